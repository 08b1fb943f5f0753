//! What goes over the control socket, for both ends of it.

use std::{collections::BTreeMap, path::PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    audit,
    config::IdpLabel,
    identity::ResourceId,
    interceptor::Judgement,
    scim::{Imported, MembersBy},
    store::{DecisionRecord, GrantId, GrantRecord, TokenRecord},
};

/// An error.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// A sentence.
    pub error: String,
}

/// A SCIM bearer token to make.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewToken {
    /// For whom.
    pub idp: IdpLabel,
    /// When it ends, in seconds from now.
    pub expires_in: i64,
}

/// A SCIM bearer token that was made.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenMade {
    /// The token; this is the only time that it is shown.
    pub token: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub record: TokenRecord,
}

/// An identity provider was confirmed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// Whether it was in doubt.
    pub lifted: bool,
}

/// Where to write a backup.
#[derive(Debug, Serialize, Deserialize)]
pub struct BackupRequest {
    /// A new file, by its absolute path.
    pub file: PathBuf,
}

/// A person.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// SCIM `id`.
    pub id: ResourceId,
    /// Owner.
    pub idp: String,
    /// SCIM `userName`.
    pub user_name: String,
    /// SCIM `displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// SCIM `active`.
    pub active: bool,
    /// Accounts at source hosts, as `github.com/583231`.
    pub links: Vec<String>,
    /// Names of all groups, nested ones too.
    pub groups: Vec<String>,
}

/// An Agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentView {
    /// What it has as a person has it; `userName` is its `agentUserName`.
    #[serde(flatten)]
    pub who: UserView,
    /// The `userName` of each who answers for it.
    pub owners: Vec<String>,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// SCIM `id`.
    pub id: ResourceId,
    /// Owner.
    pub idp: String,
    /// SCIM `displayName`.
    pub display_name: String,
    /// How many users are in it, nested groups counted.
    pub users: usize,
}

/// A group with everybody in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupWithUsers {
    /// The group.
    #[serde(flatten)]
    pub group: GroupView,
    /// All users in it, directly or through nested groups.
    pub members: Vec<UserView>,
}

/// A page of many.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed<T> {
    /// These.
    pub items: Vec<T>,
    /// What to ask for as `after`, where there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which people or groups.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PeopleQuery {
    /// Of this IdP.
    pub idp: Option<String>,
    /// That match this filter (RFC 7644 §3.4.2.2).
    pub filter: Option<String>,
    /// Those behind the page that ended with this.
    pub after: Option<String>,
    /// At most so many; no page has more than `PAGE`.
    pub limit: Option<usize>,
}

/// Most that one page holds.
pub const PAGE: usize = 1000;

/// An account at a source-code host, and who claims it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkView {
    /// As `github.com`.
    pub host: String,
    /// The account's number there.
    pub account: u64,
    /// What an event of this account meets.
    pub state: LinkState,
    /// Everyone who claims it, active or not.
    pub holders: Vec<Holder>,
}

/// Who claims an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// SCIM `id`.
    pub id: ResourceId,
    /// Owner.
    pub idp: String,
    /// SCIM `userName`.
    pub user_name: String,
    /// SCIM `active`.
    pub active: bool,
}

/// What an event of a linked account meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkState {
    /// One who is active.
    Linked,
    /// Somebody who is not active, or an Agent without an active owner: denied.
    Inactive,
    /// Several, active or not: denied until one is left.
    Ambiguous,
    /// One who is active, of an IdP that nobody has confirmed since a restore: denied.
    Unconfirmed,
}

impl LinkState {
    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Inactive => "inactive",
            Self::Ambiguous => "ambiguous",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// Which Links.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkQuery {
    /// At this host.
    pub host: Option<String>,
    /// Only those whose events are denied.
    pub denied: bool,
    /// Those behind the page that ended with this.
    pub after: Option<String>,
    /// At most so many; no page has more than `PAGE`.
    pub limit: Option<usize>,
}

/// Links to import.
#[derive(Debug, Serialize, Deserialize)]
pub struct LinkImport {
    /// Which.
    pub links: Vec<NewLink>,
    /// Only tells what would become of them.
    pub check: bool,
}

/// A Link to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLink {
    /// As `github.com`.
    pub host: String,
    /// The account's number there.
    pub account: u64,
    /// `userName` or SCIM `id`, of the identity provider whose word is taken for the host.
    pub user: String,
}

/// Resources to import.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportRequest {
    /// As a POST would send them.
    pub resources: Vec<Value>,
    /// By what groups name their members.
    #[serde(default)]
    pub members_by: MembersBy,
    /// Only tells what would become of them.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of each, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportAnswer {
    /// One each.
    pub outcomes: Vec<Imported>,
}

/// Which Grants.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantQuery {
    /// Dead ones too.
    pub all: bool,
    /// Of this user (`userName` or id).
    pub user: Option<String>,
    /// The user's IdP, where a name stands in several.
    pub idp: Option<String>,
}

/// What to revoke: exactly one of ids, user, run, policy, all.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RevokeRequest {
    /// These Grants.
    pub ids: Vec<GrantId>,
    /// All of this user (`userName` or id).
    pub user: Option<String>,
    /// The user's IdP, where a name stands in several.
    pub idp: Option<String>,
    /// All of this run (`namespace/name` or uid).
    pub run: Option<String>,
    /// All under this policy (`namespace/name` or uid).
    pub policy: Option<String>,
    /// All that there are.
    pub all: bool,
}

/// What was revoked.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokeAnswer {
    /// The Grants, with their Receipts as far as they are.
    pub grants: Vec<GrantRecord>,
    /// The runs that were asked to stop, as `namespace/name`.
    pub runs: Vec<String>,
}

/// A Decision with the person's name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionView {
    /// What was recorded.
    #[serde(flatten)]
    pub record: DecisionRecord,
    /// Who it is about, if that is still known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
}

impl From<&Judgement> for DecisionView {
    fn from(judgement: &Judgement) -> Self {
        let user_name = judgement.user.as_ref().map(|user| user.user_name.to_string());
        Self { record: judgement.unrecorded(), user_name }
    }
}

/// Which rows of the audit log.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    /// After this row.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Or the last so many.
    pub last: Option<i64>,
}

/// Rows of the audit log, and the names of the people in them as far as they are known: rows carry ids only.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// In order.
    pub rows: Vec<audit::Row>,
    /// `userName` by id.
    pub people: BTreeMap<ResourceId, String>,
}

/// What `doctor` found, check by check.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkup {
    /// In the order in which they are to be read.
    pub findings: Vec<Finding>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// How to mend it, where it is to be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Ok,
    /// Somebody should look, and we go on.
    Warn,
    /// A promise of ours is not kept.
    Fail,
}

/// Whether a token is good at this time; for tables.
pub fn token_state(token: &TokenRecord, now: DateTime<Utc>) -> &'static str {
    if token.revoked_at.is_some() {
        "revoked"
    } else if token.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "live"
    }
}
