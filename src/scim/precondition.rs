//! `If-Match` and `If-None-Match` (RFC 7644 §3.14, RFC 9110 §13.1). Our versions are weak, and compared as such: RFC 9110
//! would have `If-Match` never match a weak one, RFC 7644's own examples do.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::identity::{Resource, ScimError};

/// What a request asks of a resource's version before it is changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Precondition {
    only_if: Option<String>,
    unless: Option<String>,
}

impl Precondition {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self { only_if: joined(headers, &header::IF_MATCH), unless: joined(headers, &header::IF_NONE_MATCH) }
    }

    /// 412 unless the resource is what was asked for. Called inside the store's transaction, where that still holds when
    /// the change is made.
    pub(super) fn check(&self, resource: &Resource) -> Result<(), ScimError> {
        let holds = self.only_if.as_deref().is_none_or(|tags| names(tags, resource))
            && !self.unless.as_deref().is_some_and(|tags| names(tags, resource));
        if holds { Ok(()) } else { Err(another_version(resource)) }
    }
}

/// 412 unless the resource is of the version that the caller asks for.
pub(super) fn only_if_match(headers: &HeaderMap, resource: &Resource) -> Result<(), ScimError> {
    let holds = joined(headers, &header::IF_MATCH).is_none_or(|tags| names(&tags, resource));
    if holds { Ok(()) } else { Err(another_version(resource)) }
}

/// Whether the caller has this version already.
pub(super) fn none_match(headers: &HeaderMap, resource: &Resource) -> bool {
    joined(headers, &header::IF_NONE_MATCH).is_some_and(|tags| names(&tags, resource))
}

fn another_version(resource: &Resource) -> ScimError {
    let detail = format!("the version of the resource is {} now", resource.etag());
    ScimError { status: 412, scim_type: None, detail: detail.into() }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).map(String::from_utf8_lossy).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Whether a list of entity tags holds the resource's; `*` alone means any (RFC 9110 §8.8.3: a tag may hold commas).
fn names(tags: &str, resource: &Resource) -> bool {
    let mut rest = tags.trim();
    if rest == "*" {
        return true;
    }
    let ours = resource.version.to_string();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let Some(opened) = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"') else { return false };
        let Some((tag, after)) = opened.split_once('"') else { return false };
        if tag == ours {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::Map;
    use uuid::Uuid;

    use super::*;
    use crate::identity::{ResourceId, ResourceKind};

    #[test]
    fn tags_are_compared_weakly_and_one_by_one() {
        let at = DateTime::UNIX_EPOCH;
        let resource = Resource {
            id: ResourceId(Uuid::nil()),
            kind: ResourceKind::User,
            idp: "okta".into(),
            external_id: None,
            attributes: Map::new(),
            version: 3,
            created: at,
            last_modified: at,
        };
        for (tags, holds) in [
            ("W/\"3\"", true),
            ("\"3\"", true),
            ("*", true),
            (" * ", true),
            ("W/\"2\", W/\"3\"", true),
            ("\"x,\" ,\"3\"", true),
            ("W/\"2\"", false),
            ("W/\"33\"", false),
            ("\"x,3\"", false),
            ("\"*\"", false),
            ("W/W/\"3\"", false),
            ("3", false),
            ("\"2\", *", false),
            ("\"3", false),
            ("", false),
        ] {
            assert_eq!(names(tags, &resource), holds, "{tags}");
            let headers = |name| HeaderMap::from_iter([(name, tags.parse().unwrap())]);
            assert_eq!(Precondition::read(&headers(header::IF_MATCH)).check(&resource).is_ok(), holds, "{tags}");
            assert_eq!(Precondition::read(&headers(header::IF_NONE_MATCH)).check(&resource).is_err(), holds, "{tags}");
        }
        assert!(Precondition::default().check(&resource).is_ok());
    }
}
