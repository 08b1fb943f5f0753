//! Rows, and the hash that ties each to all before it.

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{clock::rfc3339, identity::ResourceId};

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    TokenCreated,
    TokenRevoked,
    UserCreated,
    UserChanged,
    UserDeactivated,
    UserActivated,
    UserDeleted,
    GroupCreated,
    GroupChanged,
    GroupDeleted,
    AgentCreated,
    AgentChanged,
    AgentDeactivated,
    AgentActivated,
    AgentDeleted,
    DecisionAllowed,
    DecisionDenied,
    EventsRefused,
    Redeemed,
    RedemptionRefused,
    RunEnded,
    RunCancelled,
    GrantPending,
    GrantIssued,
    GrantRenewed,
    GrantFailed,
    RevocationAsked,
    Revoked,
    RbacApplied,
    Restored,
    IdpConfirmed,
}

/// What is told, without its place in the chain. Ids only: what names a person stands apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// The person it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ResourceId>,
    /// The Decision it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// The PipelineRun, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The Grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Anything else; never a secret, never a person's name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Entry {
    /// An entry of this kind, about nothing yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, user: None, decision: None, run: None, grant: None, detail: Value::Null }
    }
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its place: 1, 2, 3, ….
    pub seq: i64,
    /// When, on the server's clock.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
    /// SHA-256 over the hash before it and this row, hex.
    pub hash: String,
}

/// The hash before the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of a row that follows `previous`: SHA-256 of `previous`, sequence number, time and the entry as JSON with
/// sorted keys, a line each.
pub fn link(previous: &str, seq: i64, at: DateTime<Utc>, entry: &Entry) -> String {
    // A serde_json map sorts its keys, so going through a value makes the text canonical.
    let entry = serde_json::to_value(entry).unwrap_or(Value::Null);
    let text = format!("{previous}\n{seq}\n{}\n{entry}\n", rfc3339(at));
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// Where and how a log is broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A row is missing or out of order.
    #[error("expected row {expected}, found row {found}: a row is missing, doubled or out of order")]
    Sequence {
        /// Number that should have come.
        expected: i64,
        /// Number that came.
        found: i64,
    },
    /// A row was changed.
    #[error("row {0} does not follow from the rows before it: it or one of them was changed")]
    Hash(i64),
}

/// Verifies a log row by row, in constant memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    rows: i64,
    hash: String,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { rows: 0, hash: GENESIS.into() }
    }
}

impl Verifier {
    /// Goes on after a row that is taken on trust.
    pub fn after(row: &Row) -> Self {
        Self { rows: row.seq, hash: row.hash.clone() }
    }

    /// Takes the next row.
    pub fn push(&mut self, row: &Row) -> Result<(), Broken> {
        let expected = self.rows + 1;
        if row.seq != expected {
            return Err(Broken::Sequence { expected, found: row.seq });
        }
        if link(&self.hash, row.seq, row.at, &row.entry) != row.hash {
            return Err(Broken::Hash(row.seq));
        }
        self.rows = row.seq;
        self.hash.clone_from(&row.hash);
        Ok(())
    }

    /// How many rows held, and the last one's hash.
    pub fn so_far(&self) -> (i64, &str) {
        (self.rows, &self.hash)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn log(rows: i64) -> Vec<Row> {
        let at = DateTime::from_timestamp(1_800_000_000, 123_456_000).unwrap();
        let mut hash = GENESIS.to_owned();
        (1..=rows)
            .map(|seq| {
                let entry = Entry {
                    user: Some(ResourceId(Uuid::nil())),
                    detail: json!({ "n": seq }),
                    ..Entry::new(Kind::UserChanged)
                };
                hash = link(&hash, seq, at, &entry);
                Row { seq, at, entry, hash: hash.clone() }
            })
            .collect()
    }

    fn verify(rows: &[Row]) -> Result<Verifier, Broken> {
        let mut verifier = Verifier::default();
        rows.iter().try_for_each(|row| verifier.push(row))?;
        Ok(verifier)
    }

    #[test]
    fn a_whole_log_verifies_and_says_how_far() {
        let rows = log(5);
        assert_eq!(verify(&rows).unwrap().so_far(), (5, rows[4].hash.as_str()));
        assert_eq!(Verifier::default().so_far(), (0, GENESIS));
    }

    #[test]
    fn a_log_survives_its_export_as_json() {
        let text = serde_json::to_string(&log(3)).unwrap();
        verify(&serde_json::from_str::<Vec<Row>>(&text).unwrap()).unwrap();
    }

    #[test]
    fn a_changed_row_is_named() {
        let changes: [fn(&mut Row); 5] = [
            |row| row.entry.detail = json!({ "n": 99 }),
            |row| row.entry.kind = Kind::UserDeleted,
            |row| row.entry.user = None,
            |row| row.at += chrono::Duration::microseconds(1),
            |row| row.hash = GENESIS.into(),
        ];
        for change in changes {
            let mut rows = log(5);
            change(&mut rows[2]);
            assert_eq!(verify(&rows), Err(Broken::Hash(3)));
        }
    }

    #[test]
    fn a_row_rewritten_with_a_fitting_hash_breaks_the_next() {
        let mut rows = log(5);
        rows[2].entry.detail = json!({ "n": 99 });
        rows[2].hash = link(&rows[1].hash, 3, rows[2].at, &rows[2].entry);
        assert_eq!(verify(&rows), Err(Broken::Hash(4)));
    }

    #[test]
    fn a_dropped_row_is_named_also_the_first() {
        for drop in 0..4 {
            let mut rows = log(5);
            rows.remove(drop);
            let expected = i64::try_from(drop).unwrap() + 1;
            assert_eq!(verify(&rows), Err(Broken::Sequence { expected, found: expected + 1 }));
        }
    }

    #[test]
    fn a_dropped_row_is_found_also_when_the_rest_is_renumbered() {
        let mut rows = log(5);
        rows.remove(1);
        rows.iter_mut().zip(1..).for_each(|(row, seq)| row.seq = seq);
        assert_eq!(verify(&rows), Err(Broken::Hash(2)));
    }

    #[test]
    fn rows_out_of_order_and_doubled_ones_are_named() {
        let mut rows = log(5);
        rows.swap(1, 2);
        assert_eq!(verify(&rows), Err(Broken::Sequence { expected: 2, found: 3 }));
        let mut rows = log(5);
        rows.insert(2, rows[1].clone());
        assert_eq!(verify(&rows), Err(Broken::Sequence { expected: 3, found: 2 }));
    }

    #[test]
    fn a_truncated_log_verifies_no_further_than_it_goes() {
        let rows = log(5);
        let verifier = verify(&rows[..3]).unwrap();
        assert_eq!(verifier.so_far(), (3, rows[2].hash.as_str()), "whoever holds an anchor of row 5 sees the loss");
    }

    #[test]
    fn keys_are_sorted_whatever_features_other_crates_turn_on() {
        let value: Value = serde_json::from_str(r#"{"b":{"d":1,"c":2},"a":3}"#).unwrap();
        assert_eq!(value.to_string(), r#"{"a":3,"b":{"c":2,"d":1}}"#);
    }

    #[test]
    fn the_hash_of_a_known_row_never_changes() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let entry = Entry { run: Some("prod/deploy-1".into()), ..Entry::new(Kind::Redeemed) };
        let text =
            format!("{GENESIS}\n1\n2027-01-15T08:00:00.000000Z\n{}\n", r#"{"kind":"Redeemed","run":"prod/deploy-1"}"#);
        let expected = hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        assert_eq!(link(GENESIS, 1, at, &entry), expected);
    }
}
