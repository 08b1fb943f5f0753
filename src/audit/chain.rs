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
