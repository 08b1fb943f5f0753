//! Cursors (RFC 9865): pages that lose nobody and show nobody twice while resources come and go.
//!
//! Nothing is kept for a walk, and nothing in a cursor is secret or trusted. It names a place in the order of creation, the
//! query that it belongs to, and when it was given: all that somebody could forge is another place among the resources
//! that the caller may list anyway, or more time for itself. A cursor under another query is refused, since pages of two
//! queries make a list of neither.

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};

use crate::identity::{Filter, IdpName, ResourceKind, ScimError, ScimType};

const VERSION: u8 = 1;

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The how-manieth of the query's types.
    pub(super) part: u8,
    /// The place in that type's order of creation.
    pub(super) place: i64,
}

/// What a cursor is good for: this caller's list of these types by these filters. Only a hash of it, so that a URL in
/// somebody's log tells nothing of whom was looked for. Pages may differ in size and in what they show of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk([u8; 8]);

impl Walk {
    pub(super) fn new(idp: &IdpName, parts: &[(ResourceKind, Option<Filter>)]) -> Self {
        // Of the parsed filter: the RFC's own example writes `userName` on the first page and `username` on the second.
        let query = format!("{:?}", (idp, parts));
        let hash = digest::digest(&digest::SHA256, query.as_bytes());
        Self(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The text of a cursor: characters that need no escape in a URL (RFC 9865 §2).
    pub(super) fn write(self, cursor: Cursor, now: DateTime<Utc>) -> String {
        let mut bytes = vec![VERSION, cursor.part];
        bytes.extend(cursor.place.to_be_bytes());
        bytes.extend(now.timestamp().to_be_bytes());
        bytes.extend(self.0);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what `write` wrote for this walk, at most `timeout` ago. An empty text is the beginning.
    pub(super) fn read(self, text: &str, now: DateTime<Utc>, timeout: Duration) -> Result<Cursor, ScimError> {
        if text.is_empty() {
            return Ok(Cursor { part: 0, place: 0 });
        }
        let (cursor, given_at, walk) = split(text).ok_or_else(|| {
            ScimError::bad(ScimType::InvalidCursor, "expected cursor to be empty or the nextCursor of the page before")
        })?;
        if walk != self {
            let detail = "expected a cursor with the query that it was given for: the same endpoint and filter";
            return Err(ScimError::bad(ScimType::InvalidCursor, detail));
        }
        if now.timestamp().saturating_sub(given_at) > timeout.num_seconds() {
            let detail = format!("expected the cursor within {} seconds; begin anew", timeout.num_seconds());
            return Err(ScimError::bad(ScimType::ExpiredCursor, detail));
        }
        Ok(cursor)
    }
}

fn split(text: &str) -> Option<(Cursor, i64, Walk)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let ([version, part], rest) = bytes.split_first_chunk()?;
    let (place, rest) = rest.split_first_chunk()?;
    let (given_at, rest) = rest.split_first_chunk()?;
    let walk = rest.try_into().ok()?;
    let cursor = Cursor { part: *part, place: i64::from_be_bytes(*place) };
    (*version == VERSION).then_some((cursor, i64::from_be_bytes(*given_at), Walk(walk)))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::identity::Mode;

    const HOUR: Duration = Duration::hours(1);

    fn walk(idp: &str, kind: ResourceKind, filter: &str) -> Walk {
        Walk::new(&idp.into(), &[(kind, Some(Filter::parse(filter, kind, Mode::Compat).unwrap()))])
    }

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap()
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_until_its_time_is_over() {
        let walk = walk("okta", ResourceKind::User, "title pr");
        let cursor = Cursor { part: 1, place: i64::MAX };
        let text = walk.write(cursor, now());
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c)), "{text}");
        assert_eq!(walk.read(&text, now() + HOUR, HOUR), Ok(cursor));
        let late = walk.read(&text, now() + HOUR + Duration::seconds(1), HOUR).unwrap_err();
        assert_eq!((late.status, late.scim_type), (400, Some(ScimType::ExpiredCursor)));
        assert_eq!(walk.read("", now(), HOUR), Ok(Cursor { part: 0, place: 0 }));
    }

    #[test]
    fn a_cursor_is_good_for_its_own_query_only() {
        let own = walk("okta", ResourceKind::User, r#"userName sw "J""#);
        let text = own.write(Cursor { part: 0, place: 7 }, now());
        assert!(walk("okta", ResourceKind::User, r#"username SW "J""#).read(&text, now(), HOUR).is_ok());
        for other in [
            walk("entra", ResourceKind::User, r#"userName sw "J""#),
            walk("okta", ResourceKind::User, r#"userName sw "K""#),
            walk("okta", ResourceKind::User, r#"title sw "J""#),
            walk("okta", ResourceKind::Group, r#"displayName sw "J""#),
            Walk::new(&"okta".into(), &[(ResourceKind::User, None)]),
        ] {
            assert_eq!(other.read(&text, now(), HOUR).unwrap_err().scim_type, Some(ScimType::InvalidCursor));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused_and_a_forged_one_is_only_another_place() {
        let walk = walk("okta", ResourceKind::User, "title pr");
        let text = walk.write(Cursor { part: 0, place: 7 }, now());
        for bad in ["7", "x", "é", " ", &text[1..], &format!("{text}AAAA"), &text.replace('A', "B")] {
            assert_eq!(walk.read(bad, now(), HOUR).unwrap_err().scim_type, Some(ScimType::InvalidCursor), "{bad}");
        }
        for (place, at) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
            let mut forged = vec![VERSION, u8::MAX];
            forged.extend(place.to_be_bytes());
            forged.extend(at.to_be_bytes());
            forged.extend(walk.0);
            let read = walk.read(&BASE64_URL_SAFE_NO_PAD.encode(forged), now(), HOUR);
            assert_eq!(read.is_ok(), at == i64::MAX);
        }
    }
}
