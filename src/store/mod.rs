//! The store: what was acknowledged is here, durable. One interface, and one SQL for SQLite and PostgreSQL.
//!
//! Every change, its change-feed row, its audit rows and the intents to revoke that follow from it are one
//! transaction. The store is the truth of tickets, runs and Grants; Kubernetes objects are projections of it. It holds
//! no credential, only ids and hashes. Uses `identity`, `directory` (what a change is), `audit`, `ticket`, `api`.

mod list;
mod migrations;
mod postgres;
mod records;
mod restored;
mod sql;
mod sqlite;
#[cfg(test)]
pub mod testing;

pub use list::*;
pub use records::*;
pub use restored::*;
pub use sql::SqlStore;

use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    api::{Receipt, RevocationReason},
    audit,
    directory::{Change, Part},
    identity::{Edit, IdpName, Relation, Resource, ResourceId, ResourceKind},
    policy::PolicyFacts,
    ticket::SecretHash,
};

/// Why the store said no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed; nothing was stored.
    #[error("the store failed: {0}")]
    Failed(String),
    /// A name or externalId is taken.
    #[error("{attribute} {value:?} is taken by another {kind} of this identity provider")]
    Uniqueness {
        /// `User`, `Group` or `Agent`.
        kind: &'static str,
        /// Which attribute.
        attribute: &'static str,
        /// Its value.
        value: String,
    },
    /// No such thing, or not this caller's.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A member that nobody of this IdP is.
    #[error("member {0} is no User or Group of this identity provider")]
    UnknownMember(String),
    /// An owner of an Agent that is no User of this IdP.
    #[error("owner {0} is no User of this identity provider")]
    UnknownOwner(String),
    /// The edit itself was refused.
    #[error(transparent)]
    Edit(#[from] crate::identity::ScimError),
    /// Two live tokens at most, and the like.
    #[error("{0}")]
    Limit(String),
}

/// Turns the stored resource into what it shall be; runs inside the transaction, so that no concurrent edit is lost.
pub type EditFn = Box<dyn FnOnce(&Resource) -> Result<Edit, crate::identity::ScimError> + Send>;

/// Judges the stored resource before it goes; runs inside the transaction, so that what it saw is what is deleted.
pub type CheckFn = Box<dyn FnOnce(&Resource) -> Result<(), crate::identity::ScimError> + Send>;

/// Called with each committed batch, in order and before any of its writers is answered: the Directory's feed.
pub type OnCommit = Box<dyn FnMut(i64, &[Change]) + Send>;

/// Called with what makes a Directory, some at a time, and with the feed's number of the moment of which it all is; at
/// least once.
pub type TakeFn = Box<dyn FnMut(i64, Vec<Part>) + Send>;

/// Everything durable. All writes are durable when they return.
#[async_trait]
pub trait Store: Send + Sync {
    // --- identity providers -------------------------------------------------------------------------------------
    /// Adds a bearer token for an IdP, making the IdP at its first; at most two are live.
    async fn create_token(
        &self,
        idp: &IdpName,
        hash: SecretHash,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<TokenRecord, StoreError>;
    /// All tokens, dead ones too.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;
    /// Ends a token.
    async fn revoke_token(&self, id: &str) -> Result<TokenRecord, StoreError>;
    /// Notes when tokens, by id, were last used. No audit row: each write of theirs has its own.
    async fn tokens_used(&self, _: Vec<(String, DateTime<Utc>)>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes an IdP that comes without a token of ours, if it isn't there.
    async fn make_idp(&self, _: &IdpName) -> Result<(), StoreError> {
        Ok(())
    }
    /// All identity providers, by name.
    async fn idps(&self) -> Result<Vec<IdpRecord>, StoreError> {
        Ok(Vec::new())
    }
    /// Somebody says that what an IdP tells of its people is right, after a restore. `true` if that was in doubt.
    async fn confirm_idp(&self, idp: &IdpName) -> Result<bool, StoreError> {
        Err(StoreError::NotFound(format!("identity provider {idp}")))
    }

    // --- SCIM resources -----------------------------------------------------------------------------------------
    /// Creates a resource for an IdP.
    async fn create(&self, idp: &IdpName, kind: ResourceKind, edit: Edit) -> Result<Provisioned, StoreError>;
    /// Changes a resource (PUT, PATCH).
    async fn edit(
        &self,
        idp: &IdpName,
        kind: ResourceKind,
        id: ResourceId,
        edit: EditFn,
    ) -> Result<Provisioned, StoreError>;
    /// Deletes a resource, unless the check refuses it.
    async fn delete_if(
        &self,
        idp: &IdpName,
        kind: ResourceKind,
        id: ResourceId,
        check: CheckFn,
    ) -> Result<Provisioned, StoreError>;
    /// Deletes a resource, whatever it is.
    async fn delete(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Result<Provisioned, StoreError> {
        self.delete_if(idp, kind, id, Box::new(|_| Ok(()))).await
    }
    /// One resource.
    async fn get(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Result<Resource, StoreError>;
    /// The direct members of a group, with their kind and name, in stable order.
    async fn members(&self, group: ResourceId) -> Result<Vec<Relation>, StoreError>;
    /// The direct groups of a member.
    async fn groups_of(&self, member: ResourceId) -> Result<Vec<Relation>, StoreError>;
    /// A page of resources, in the order of their creation unless another is asked for.
    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError>;

    // --- decisions and tickets ----------------------------------------------------------------------------------
    /// Records a decision; for an allowed one, in the same transaction: its ticket and digest, and that the person is
    /// still active here and now.
    async fn record_decision(&self, decision: NewDecision) -> Result<DecisionOutcome, StoreError>;
    /// A recorded decision.
    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError>;
    /// Redeems a ticket for a run. Idempotent for the same run.
    async fn redeem(&self, request: RedeemRequest) -> Result<Redemption, StoreError>;

    // --- runs ---------------------------------------------------------------------------------------------------
    /// A redeemed run by uid.
    async fn run(&self, uid: &str) -> Result<Option<RunRecord>, StoreError>;
    /// Redeemed runs that have not ended, and those that ended with `cancel_pending`: Tekton still runs them.
    async fn live_runs(&self) -> Result<Vec<RunRecord>, StoreError>;
    /// Notes when a run started; its authority now ends at start + maxRunDuration.
    async fn run_started(&self, uid: &str, at: DateTime<Utc>) -> Result<(), StoreError>;
    /// A run ended, was cancelled or deleted: its Grants are to be revoked. Idempotent.
    async fn run_ended(&self, uid: &str, reason: RevocationReason) -> Result<Revocations, StoreError>;
    /// A policy's subjects changed (or it is gone: `None`): judges its live runs anew.
    async fn policy_changed(&self, policy_uid: &str, now: Option<&PolicyFacts>) -> Result<Revocations, StoreError>;
    /// Runs that Tekton has still to be told to cancel.
    async fn runs_to_cancel(&self) -> Result<Vec<RunRecord>, StoreError>;
    /// Notes that a run was asked to stop.
    async fn run_cancel_done(&self, uid: &str) -> Result<(), StoreError>;

    // --- grants -------------------------------------------------------------------------------------------------
    /// Begins a Grant: judges the entitlement and leaves a Pending row with the epoch at which it was judged. For a
    /// (run, task, index) that has one already: that one.
    async fn begin_grant(&self, grant: NewGrant) -> Result<Begun, StoreError>;
    /// Pending → Active, if no intent to revoke has come; if the epoch has moved on, the entitlement is judged again
    /// in the same transaction. Only after `Activated::Active` may anything be handed out.
    async fn activate_grant(&self, id: GrantId, issued: Issued) -> Result<Activated, StoreError>;
    /// Notes a renewal, if the Grant is still Active and entitled.
    async fn renew_grant(&self, id: GrantId, expires_at: DateTime<Utc>) -> Result<Activated, StoreError>;
    /// Ends a Pending Grant that could not be issued: its objects are to be removed as in a revocation.
    async fn fail_grant(&self, id: GrantId, why: &str) -> Result<(), StoreError>;
    /// Records the intent to revoke one Grant.
    async fn revoke_grant(&self, id: GrantId, reason: RevocationReason) -> Result<Revocations, StoreError>;
    /// A Grant by id.
    async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, StoreError>;
    /// Grants that match.
    async fn grants(&self, select: &GrantSelect) -> Result<Vec<GrantRecord>, StoreError>;
    /// Writes a Receipt; `done` when nothing is left to do: Revoking → Revoked. It adds to the stored one, except
    /// `unproven`, which replaces it: an attempt knows all that it could not prove, and who only appends passes what it
    /// read. Once done, nothing is unproven any more.
    async fn record_receipt(&self, id: GrantId, receipt: &Receipt, done: bool) -> Result<(), StoreError>;

    // --- audit --------------------------------------------------------------------------------------------------
    /// Appends rows that belong to no other write.
    async fn append_audit(&self, entries: Vec<audit::Entry>) -> Result<(), StoreError>;
    /// Rows after `seq`, at most `limit`.
    async fn audit_rows(&self, after: i64, limit: usize) -> Result<Vec<audit::Row>, StoreError>;

    /// The `userName` of whom rows are about, as last known. `None` if it was erased, or the store keeps none.
    async fn audit_name(&self, _user: ResourceId) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
    /// Erases what names a person in the audit log; the chain verifies as before.
    async fn erase_audit_name(&self, _user: ResourceId) -> Result<(), StoreError> {
        Ok(())
    }

    // --- whole ---------------------------------------------------------------------------------------------------
    /// Everything the Directory needs, as of one moment: of each resource's attributes, those of these names.
    async fn feed_directory(&self, attributes: Vec<String>, take: TakeFn) -> Result<(), StoreError>;
    /// Writes all of it, as of one moment, into a new file; tells how far that has come.
    async fn backup(&self, _file: &Path) -> Result<AuditHead, StoreError> {
        Err(StoreError::Limit("this store is not kept in a file: back it up with its own database's tools".into()))
    }
    /// Whether the store still takes writes, without asking it: false for ever once what writes has died.
    fn is_alive(&self) -> bool {
        true
    }
    /// Whether the store answers, by a write; so it fails once what writes has died.
    async fn ping(&self) -> Result<(), StoreError>;
}
