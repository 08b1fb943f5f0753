//! Records of backups, of what `restore` makes of one, and of which store this is.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::identity::IdpName;

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdpRecord {
    /// Its name.
    pub name: IdpName,
    /// When it came into being.
    pub created_at: DateTime<Utc>,
    /// Its users.
    pub users: i64,
    /// Its groups.
    pub groups: i64,
    /// Since when its people are denied, because a backup was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_since: Option<DateTime<Utc>>,
}

/// The last row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Its number; 0 where there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// Which store this is, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Made at random with the store; `restore` gives another.
    pub store: Uuid,
    /// Its audit log.
    pub head: AuditHead,
    /// Its `entitlement_epoch`.
    pub epoch: i64,
    /// Whether `restore` has made it, and no server has taken it yet.
    pub restored: bool,
}

/// What `restore` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How far the backup had come.
    pub backup: AuditHead,
    /// Which store it is now.
    pub store: Uuid,
    /// Who is denied until they are confirmed.
    pub idps: Vec<IdpName>,
    /// Runs that were ended.
    pub runs: usize,
    /// Grants that are to be revoked.
    pub grants: usize,
    /// Tickets that are void now.
    pub tickets: usize,
    /// SCIM bearer tokens that are live, by their ids: one that was revoked after the backup is among them.
    pub tokens: Vec<String>,
    /// Where the store that stood there is now.
    pub kept: Option<PathBuf>,
}
