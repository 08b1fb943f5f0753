//! The interface: each method says which connection it needs and calls the function of its concern.

use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    SqlStore, audit as log,
    conn::{Conn, params},
    decisions, grants, idps, issue, load, members, query, redeem, resources, runs, tokens,
};
use crate::{
    api::{Receipt, RevocationReason},
    audit,
    identity::{Edit, IdpName, Relation, Resource, ResourceId, ResourceKind},
    policy::PolicyFacts,
    store::{
        Activated, AuditHead, Begun, CheckFn, DecisionOutcome, DecisionRecord, EditFn, GrantId, GrantRecord,
        GrantSelect, IdpRecord, Issued, ListQuery, NewDecision, NewGrant, Page, Provisioned, RedeemRequest, Redemption,
        Revocations, RunRecord, Store, StoreError, TakeFn, TokenRecord, sqlite,
    },
    ticket::SecretHash,
};

#[async_trait]
impl Store for SqlStore {
    async fn create_token(
        &self,
        idp: &IdpName,
        hash: SecretHash,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<TokenRecord, StoreError> {
        let idp = idp.clone();
        self.write(move |tx| tokens::create(tx, &idp, hash, expires_at)).await
    }

    async fn make_idp(&self, idp: &IdpName) -> Result<(), StoreError> {
        let idp = idp.clone();
        self.write(move |tx| idps::make(tx, &idp).map(drop)).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(tokens::all).await
    }

    async fn revoke_token(&self, id: &str) -> Result<TokenRecord, StoreError> {
        let id = id.to_owned();
        self.write(move |tx| tokens::revoke(tx, &id)).await
    }

    async fn tokens_used(&self, used: Vec<(String, DateTime<Utc>)>) -> Result<(), StoreError> {
        self.write(move |tx| tokens::used(tx, &used)).await
    }

    async fn idps(&self) -> Result<Vec<IdpRecord>, StoreError> {
        self.read(idps::all).await
    }

    async fn confirm_idp(&self, idp: &IdpName) -> Result<bool, StoreError> {
        let idp = idp.clone();
        self.write(move |tx| idps::confirm(tx, &idp)).await
    }

    async fn create(&self, idp: &IdpName, kind: ResourceKind, edit: Edit) -> Result<Provisioned, StoreError> {
        let idp = idp.clone();
        self.write(move |tx| resources::create(tx, &idp, kind, edit)).await
    }

    async fn edit(
        &self,
        idp: &IdpName,
        kind: ResourceKind,
        id: ResourceId,
        edit: EditFn,
    ) -> Result<Provisioned, StoreError> {
        let idp = idp.clone();
        self.write(move |tx| resources::edit(tx, &idp, kind, id, edit)).await
    }

    async fn delete_if(
        &self,
        idp: &IdpName,
        kind: ResourceKind,
        id: ResourceId,
        check: CheckFn,
    ) -> Result<Provisioned, StoreError> {
        let idp = idp.clone();
        self.write(move |tx| resources::delete(tx, &idp, kind, id, check)).await
    }

    async fn get(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Result<Resource, StoreError> {
        let idp = idp.clone();
        self.readers.look_up(move |conn| Ok(resources::get(conn, &idp, kind, id)?.resource)).await
    }

    async fn members(&self, group: ResourceId) -> Result<Vec<Relation>, StoreError> {
        self.read(move |conn| members::related_to(conn, ResourceKind::Group, group)).await
    }

    async fn groups_of(&self, member: ResourceId) -> Result<Vec<Relation>, StoreError> {
        self.readers.look_up(move |conn| members::related_to(conn, ResourceKind::User, member)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let query = query.clone();
        let (finds_one, may_read_all) = (query.finds_one(), query.may_read_all());
        let list = move |conn: &Conn| query::list(conn, &query);
        if finds_one {
            self.readers.look_up(list).await
        } else if may_read_all {
            self.readers.read_long(list).await
        } else {
            self.read(list).await
        }
    }

    async fn record_decision(&self, decision: NewDecision) -> Result<DecisionOutcome, StoreError> {
        self.write(move |tx| decisions::record(tx, decision)).await
    }

    async fn decision(&self, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
        let id = id.to_owned();
        self.read(move |conn| decisions::get(conn, &id)).await
    }

    async fn redeem(&self, request: RedeemRequest) -> Result<Redemption, StoreError> {
        self.write(move |tx| redeem::redeem(tx, &request)).await
    }

    async fn run(&self, uid: &str) -> Result<Option<RunRecord>, StoreError> {
        let uid = uid.to_owned();
        self.read(move |conn| Ok(runs::get(conn, &uid)?.map(|stored| stored.run))).await
    }

    async fn live_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.read(runs::live).await
    }

    async fn run_started(&self, uid: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let uid = uid.to_owned();
        self.write(move |tx| runs::started(tx, &uid, at)).await
    }

    async fn run_ended(&self, uid: &str, reason: RevocationReason) -> Result<Revocations, StoreError> {
        let uid = uid.to_owned();
        self.write(move |tx| runs::ended(tx, &uid, reason)).await
    }

    async fn policy_changed(&self, policy_uid: &str, now: Option<&PolicyFacts>) -> Result<Revocations, StoreError> {
        let (policy_uid, now) = (policy_uid.to_owned(), now.cloned());
        self.write(move |tx| runs::policy_changed(tx, &policy_uid, now.as_ref())).await
    }

    async fn runs_to_cancel(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.read(runs::to_cancel).await
    }

    async fn run_cancel_done(&self, uid: &str) -> Result<(), StoreError> {
        let uid = uid.to_owned();
        self.write(move |tx| runs::cancel_done(tx, &uid)).await
    }

    async fn begin_grant(&self, grant: NewGrant) -> Result<Begun, StoreError> {
        self.write(move |tx| issue::begin(tx, &grant)).await
    }

    async fn activate_grant(&self, id: GrantId, issued: Issued) -> Result<Activated, StoreError> {
        self.write(move |tx| issue::activate(tx, id, &issued)).await
    }

    async fn renew_grant(&self, id: GrantId, expires_at: DateTime<Utc>) -> Result<Activated, StoreError> {
        self.write(move |tx| issue::renew(tx, id, expires_at)).await
    }

    async fn fail_grant(&self, id: GrantId, why: &str) -> Result<(), StoreError> {
        let why = why.to_owned();
        self.write(move |tx| issue::fail(tx, id, &why)).await
    }

    async fn revoke_grant(&self, id: GrantId, reason: RevocationReason) -> Result<Revocations, StoreError> {
        self.write(move |tx| grants::revoke(tx, id, reason)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, StoreError> {
        self.read(move |conn| grants::get(conn, id)).await
    }

    async fn grants(&self, select: &GrantSelect) -> Result<Vec<GrantRecord>, StoreError> {
        let select = select.clone();
        self.read(move |conn| grants::select(conn, &select)).await
    }

    async fn record_receipt(&self, id: GrantId, receipt: &Receipt, done: bool) -> Result<(), StoreError> {
        let receipt = receipt.clone();
        self.write(move |tx| grants::record_receipt(tx, id, receipt, done)).await
    }

    async fn append_audit(&self, entries: Vec<audit::Entry>) -> Result<(), StoreError> {
        self.write(move |tx| entries.iter().try_for_each(|entry| tx.audit(entry))).await
    }

    async fn audit_rows(&self, after: i64, limit: usize) -> Result<Vec<audit::Row>, StoreError> {
        self.read(move |conn| log::rows(conn, after, limit)).await
    }

    async fn audit_name(&self, user: ResourceId) -> Result<Option<String>, StoreError> {
        self.read(move |conn| log::name(conn, user)).await
    }

    async fn erase_audit_name(&self, user: ResourceId) -> Result<(), StoreError> {
        self.write(move |tx| log::erase_name(tx, user)).await
    }

    async fn feed_directory(&self, attributes: Vec<String>, take: TakeFn) -> Result<(), StoreError> {
        self.read(move |conn| load::feed(conn, &attributes, take)).await
    }

    async fn backup(&self, file: &Path) -> Result<AuditHead, StoreError> {
        let Some(store) = self.path.clone() else {
            return Err(StoreError::Limit(
                "the store is on PostgreSQL: back it up by its own means (pg_dump), while this server goes on".into(),
            ));
        };
        // On a connection of its own: SQLite copies no database from within a transaction.
        let file = file.to_owned();
        let copied = tokio::task::spawn_blocking(move || sqlite::backup(&store, &file)).await;
        copied.map_err(|error| StoreError::Failed(format!("the backup ended early: {error}")))?
    }

    fn is_alive(&self) -> bool {
        self.writer.is_alive()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Through the writer: a store that can't write is not ready.
        self.write(|tx| Ok(tx.prepare_cached("SELECT 1")?.query_row(params![], |_| Ok(()))?)).await
    }
}
