//! What goes into the store and what comes out.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    api::{GrantPhase, ObjectRef, Receipt, RevocationReason},
    directory::Change,
    identity::{IdpName, Resource, ResourceId},
    policy::PolicyFacts,
    ticket::SecretHash,
};

/// A SCIM bearer token, without the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// Names the token in commands and in the audit log.
    pub id: String,
    /// Whose it is.
    pub idp: IdpName,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was ended.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, as far as that is written yet.
    #[serde(default)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Its hash, for the one that checks tokens.
    #[serde(skip)]
    pub hash: Option<SecretHash>,
}

/// What a SCIM write did.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// The resource after it; for a deletion, before it.
    pub resource: Resource,
    /// Number of the change in the feed; the Directory has it.
    pub seq: i64,
    /// Whether anything changed (a PATCH that states what is so already changes nothing).
    pub changed: bool,
    /// The changes, as the feed tells them.
    pub changes: Vec<Change>,
    /// What is to be revoked because of it.
    pub revocations: Revocations,
}

/// Intents to revoke, durable when they are returned.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    /// Grants that are Revoking now.
    pub grants: Vec<GrantRecord>,
    /// Runs that are to be cancelled, and why.
    pub runs: Vec<(RunRecord, RevocationReason)>,
}

impl Revocations {
    /// Takes in others.
    pub fn join(&mut self, mut others: Self) {
        self.grants.append(&mut others.grants);
        self.runs.append(&mut others.runs);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.runs.is_empty()
    }
}

/// What an event told, for the claims of tokens and for people; never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventFacts {
    /// Name of the `EventSource`.
    pub source: String,
    /// As `github.com`.
    pub host: String,
    /// As `push`.
    pub event: String,
    /// `member`, ….
    pub trust: String,
    /// The EventListener's event id.
    pub event_id: String,
    /// Numeric id of who acted, at the host.
    pub actor_id: Option<u64>,
    /// As `acme/shop`.
    pub repository: Option<String>,
    /// Its numeric id at the host.
    pub repository_id: Option<u64>,
    /// As `refs/heads/main`.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
}

/// A decision to record.
#[derive(Clone, Debug)]
pub struct NewDecision {
    /// Its id (UUID v7).
    pub id: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Allow or deny.
    pub allowed: bool,
    /// gRPC status code of the answer (0 for allow).
    pub code: i32,
    /// The sentence for the person who pushed.
    pub reason: String,
    /// Short machine-readable reason, as `NotEntitled`.
    pub reason_code: String,
    /// Step by step, for `explain`.
    pub trace: Vec<TraceStep>,
    /// The person, where one was found.
    pub user: Option<ResourceId>,
    /// Namespace of the trigger.
    pub namespace: String,
    /// `context.trigger_id`.
    pub trigger: String,
    /// Its policy, where one was found.
    pub policy: Option<ObjectRef>,
    /// What the event told, where it could be read.
    pub event: EventFacts,
    /// For an allowed one.
    pub ticket: Option<NewTicket>,
}

/// One step of a decision's trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// What was looked at, as `signature`.
    pub check: String,
    /// Whether it held.
    pub ok: bool,
    /// What was found.
    pub found: String,
}

/// A ticket to record.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// Its hash.
    pub hash: SecretHash,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Digest of the signed body for (source, policy, trigger): all tickets of one share one spend.
    pub spend_key: SecretHash,
}

/// What became of a decision to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It is recorded as it was given.
    Recorded,
    /// The person is not active any more: it was recorded as a denial; the ticket is void.
    NotActive,
    /// Nobody has confirmed the person's IdP since a backup was restored: recorded as a denial; the ticket is void.
    Unconfirmed(IdpName),
    /// This event has already started a run (`namespace/name`): recorded as a denial; the ticket is void.
    Spent(String),
}

/// What a decision to allow is recorded as, and answered with, after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// gRPC status code.
    pub code: i32,
    /// One word.
    pub reason_code: &'static str,
    /// The sentence for the person who pushed.
    pub reason: String,
}

impl DecisionOutcome {
    /// The denial, where it is one.
    pub fn denial(&self) -> Option<Denial> {
        match self {
            Self::Recorded => None,
            Self::NotActive => Some(Denial {
                code: 7,
                reason_code: "NotActive",
                reason: "you are not active in your identity provider any more; ask its administrators".into(),
            }),
            Self::Unconfirmed(idp) => {
                Some(Denial { code: 7, reason_code: "IdpNotConfirmed", reason: crate::directory::unconfirmed(idp) })
            }
            Self::Spent(run) => Some(Denial {
                code: 6,
                reason_code: "Spent",
                reason: format!(
                    "this event has already started {run}, and one event starts one run; push again to start another"
                ),
            }),
        }
    }
}

/// A recorded decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Its id.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Allow or deny.
    pub allowed: bool,
    /// gRPC status code.
    pub code: i32,
    /// One word.
    pub reason_code: String,
    /// The sentence.
    pub reason: String,
    /// Step by step.
    pub trace: Vec<TraceStep>,
    /// The person.
    pub user: Option<ResourceId>,
    /// Namespace of the trigger.
    pub namespace: String,
    /// `context.trigger_id`.
    pub trigger: String,
    /// Its policy.
    pub policy: Option<ObjectRef>,
    /// What the event told.
    pub event: EventFacts,
}

/// A PipelineRun asks that its ticket be redeemed.
#[derive(Clone, Debug)]
pub struct RedeemRequest {
    /// Hash of the ticket; `None` if it is not even well-formed.
    pub ticket: Option<SecretHash>,
    /// The run's uid.
    pub uid: String,
    /// The run's namespace.
    pub namespace: String,
    /// The run's name.
    pub name: String,
    /// The run's creationTimestamp: expiry is judged against it.
    pub created_at: DateTime<Utc>,
    /// The live policies of that namespace by uid: what the run's shape was checked against.
    pub policies: BTreeMap<String, RedeemPolicy>,
}

/// What a policy says of a run that is to be redeemed under it.
#[derive(Clone, Debug)]
pub struct RedeemPolicy {
    /// Name, uid, generation.
    pub policy: ObjectRef,
    /// Who may.
    pub facts: PolicyFacts,
    /// Why the run is not one of this policy's (pipeline, service account), if it is not.
    pub misfit: Option<String>,
    /// `maxStartDelay`, seconds.
    pub max_start_delay: i64,
    /// `maxRunDuration`, seconds.
    pub max_run_duration: i64,
}

/// What became of a redemption.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one a redemption, moved once")]
pub enum Redemption {
    /// The run may start.
    Redeemed(RunRecord),
    /// It may not: a sentence for the person who pushed.
    Refused(String),
}

/// A redeemed run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The PipelineRun's uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whose authority it carries.
    pub user: ResourceId,
    /// The user's IdP.
    pub idp: IdpName,
    /// The user's `userName` when it was redeemed.
    pub user_name: String,
    /// The policy, as it was when it was redeemed.
    pub policy: ObjectRef,
    /// The Decision.
    pub decision_id: String,
    /// What the event told.
    pub event: EventFacts,
    /// When it was redeemed.
    pub redeemed_at: DateTime<Utc>,
    /// When its authority ends if it has not started.
    pub start_by: DateTime<Utc>,
    /// `maxRunDuration`, seconds.
    pub max_run_duration: i64,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, or was asked to.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why.
    pub ended_reason: Option<RevocationReason>,
    /// Whether Tekton has still to be told to cancel it.
    pub cancel_pending: bool,
}

impl RunRecord {
    /// When the run's authority ends by itself.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.started_at.map_or(self.start_by, |start| start + chrono::Duration::seconds(self.max_run_duration))
    }

    /// `namespace/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Id of a Grant; also names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantId(pub Uuid);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for GrantId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// A Grant to begin.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its id (UUID v4: names made from it can't be guessed or reused).
    pub id: GrantId,
    /// The redeemed run.
    pub run_uid: String,
    /// The pipeline's task.
    pub task: String,
    /// Of a matrix; else 0.
    pub index: i64,
    /// `kubernetes` or `oidc`.
    pub provider: String,
    /// The template, as it is.
    pub template: ObjectRef,
    /// What the provider must know to take the credential back (role names and probes; an audience); no secret.
    pub facts: Value,
}

/// A Grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantRecord {
    /// Its id.
    pub id: GrantId,
    /// The run.
    pub run_uid: String,
    /// The run's namespace.
    pub namespace: String,
    /// The run's name.
    pub run_name: String,
    /// The pipeline's task.
    pub task: String,
    /// Of a matrix; else 0.
    pub index: i64,
    /// Whose.
    pub user: ResourceId,
    /// The user's IdP.
    pub idp: IdpName,
    /// The user's `userName` when it was issued.
    pub user_name: String,
    /// `kubernetes` or `oidc`.
    pub provider: String,
    /// The policy.
    pub policy: ObjectRef,
    /// The template.
    pub template: ObjectRef,
    /// The Decision.
    pub decision_id: String,
    /// What the provider must know; no secret.
    pub facts: Value,
    /// Where it stands.
    pub phase: GrantPhase,
    /// The `entitlement_epoch` at which it was judged.
    pub epoch: i64,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it became Active.
    pub issued_at: Option<DateTime<Utc>>,
    /// When its credential ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// No credential of it outlives this.
    pub not_after: DateTime<Utc>,
    /// How often it was renewed.
    pub renewals: i64,
    /// Secret of the run's namespace.
    pub secret_name: Option<String>,
    /// When a revocation was asked for.
    pub asked_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Option<RevocationReason>,
    /// What it achieved.
    pub receipt: Option<Receipt>,
    /// Why it could not be issued.
    pub failure: Option<String>,
}

/// What became of beginning a Grant.
#[derive(Clone, Debug)]
pub enum Begun {
    /// A Pending row stands; issue, then activate.
    Pending(GrantRecord),
    /// There was one already.
    Existing(GrantRecord),
    /// Not entitled (any more): a sentence.
    Refused(String),
}

/// What an issue achieved.
#[derive(Clone, Debug)]
pub struct Issued {
    /// When the credential ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Secret of the run's namespace that will hold it.
    pub secret_name: String,
    /// The provider's facts, completed.
    pub facts: Value,
}

/// What became of activating or renewing a Grant.
#[derive(Clone, Debug)]
pub enum Activated {
    /// Hand it out.
    Active(GrantRecord),
    /// An intent to revoke has come, or the entitlement is gone (then the intent is recorded now): undo.
    Revoking(GrantRecord),
}

/// Which Grants.
#[derive(Clone, Debug, Default)]
pub struct GrantSelect {
    /// In these phases; empty: all.
    pub phases: Vec<GrantPhase>,
    /// Of this user.
    pub user: Option<ResourceId>,
    /// Of this run.
    pub run_uid: Option<String>,
    /// Of this policy.
    pub policy_uid: Option<String>,
    /// Of this template.
    pub template_uid: Option<String>,
    /// Only those whose objects are not known to be gone.
    pub unfinished: bool,
    /// Only those whose credential ends by itself before this.
    pub expires_before: Option<DateTime<Utc>>,
    /// Only those that have ended, with all their objects, since this.
    pub ended_since: Option<DateTime<Utc>>,
}
