//! A store for tests of what only reads it or asks it: a few rows in memory; whatever is not set up fails.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    api::{GrantPhase, Receipt, RevocationReason},
    audit,
    identity::{Edit, IdpName, Relation, Resource, ResourceId, ResourceKind},
    policy::PolicyFacts,
    store::{
        Activated, Begun, CheckFn, DecisionOutcome, DecisionRecord, EditFn, GrantId, GrantRecord, GrantSelect, Issued,
        ListQuery, NewDecision, NewGrant, Page, Provisioned, RedeemRequest, Redemption, Revocations, RunRecord, Store,
        StoreError, TakeFn, TokenRecord,
    },
    ticket::SecretHash,
};

#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) tokens: Mutex<Vec<TokenRecord>>,
    pub(crate) runs: Mutex<Vec<RunRecord>>,
    pub(crate) grants: Mutex<Vec<GrantRecord>>,
    pub(crate) audit: Mutex<Vec<audit::Row>>,
    pub(crate) broken: bool,
}

fn not_here<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("not in this fake".into()))
}

impl FakeStore {
    fn ready(&self) -> Result<(), StoreError> {
        if self.broken { not_here() } else { Ok(()) }
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn create_token(
        &self,
        idp: &IdpName,
        hash: SecretHash,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<TokenRecord, StoreError> {
        let mut tokens = self.tokens.lock().unwrap();
        let record = TokenRecord {
            id: format!("t{}", tokens.len() + 1),
            idp: idp.clone(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at,
            revoked_at: None,
            last_used_at: None,
            hash: Some(hash),
        };
        if tokens.len() == 2 {
            return Err(StoreError::Limit("two tokens are live already: revoke one first".into()));
        }
        tokens.push(record.clone());
        Ok(record)
    }
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        Ok(self.tokens.lock().unwrap().clone())
    }
    async fn revoke_token(&self, id: &str) -> Result<TokenRecord, StoreError> {
        let mut tokens = self.tokens.lock().unwrap();
        let token = tokens.iter_mut().find(|token| token.id == id);
        let token = token.ok_or_else(|| StoreError::NotFound(format!("token {id}")))?;
        token.revoked_at = Some(DateTime::UNIX_EPOCH);
        Ok(token.clone())
    }
    async fn create(&self, _: &IdpName, _: ResourceKind, _: Edit) -> Result<Provisioned, StoreError> {
        not_here()
    }
    async fn edit(&self, _: &IdpName, _: ResourceKind, _: ResourceId, _: EditFn) -> Result<Provisioned, StoreError> {
        not_here()
    }
    async fn delete_if(
        &self,
        _: &IdpName,
        _: ResourceKind,
        _: ResourceId,
        _: CheckFn,
    ) -> Result<Provisioned, StoreError> {
        not_here()
    }
    async fn get(&self, _: &IdpName, _: ResourceKind, _: ResourceId) -> Result<Resource, StoreError> {
        not_here()
    }
    async fn members(&self, _: ResourceId) -> Result<Vec<Relation>, StoreError> {
        not_here()
    }
    async fn groups_of(&self, _: ResourceId) -> Result<Vec<Relation>, StoreError> {
        not_here()
    }
    async fn list(&self, _: &ListQuery) -> Result<Page, StoreError> {
        not_here()
    }
    async fn record_decision(&self, _: NewDecision) -> Result<DecisionOutcome, StoreError> {
        not_here()
    }
    async fn decision(&self, _: &str) -> Result<Option<DecisionRecord>, StoreError> {
        Ok(None)
    }
    async fn redeem(&self, _: RedeemRequest) -> Result<Redemption, StoreError> {
        not_here()
    }
    async fn run(&self, uid: &str) -> Result<Option<RunRecord>, StoreError> {
        Ok(self.runs.lock().unwrap().iter().find(|run| run.uid == uid).cloned())
    }
    async fn live_runs(&self) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.runs.lock().unwrap().clone())
    }
    async fn runs_to_cancel(&self) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.runs.lock().unwrap().iter().filter(|run| run.cancel_pending).cloned().collect())
    }
    async fn run_started(&self, _: &str, _: DateTime<Utc>) -> Result<(), StoreError> {
        not_here()
    }
    async fn run_ended(&self, uid: &str, reason: RevocationReason) -> Result<Revocations, StoreError> {
        let mut grants = self.grants.lock().unwrap();
        let touched = grants.iter_mut().filter(|grant| grant.run_uid == uid).map(|grant| {
            (grant.phase, grant.reason) = (GrantPhase::Revoking, Some(reason));
            grant.clone()
        });
        Ok(Revocations { grants: touched.collect(), runs: Vec::new() })
    }
    async fn policy_changed(&self, _: &str, _: Option<&PolicyFacts>) -> Result<Revocations, StoreError> {
        not_here()
    }
    async fn run_cancel_done(&self, _: &str) -> Result<(), StoreError> {
        not_here()
    }
    async fn begin_grant(&self, _: NewGrant) -> Result<Begun, StoreError> {
        not_here()
    }
    async fn activate_grant(&self, _: GrantId, _: Issued) -> Result<Activated, StoreError> {
        not_here()
    }
    async fn renew_grant(&self, id: GrantId, expires_at: DateTime<Utc>) -> Result<Activated, StoreError> {
        let mut grants = self.grants.lock().unwrap();
        let grant = grants.iter_mut().find(|grant| grant.id == id);
        let grant = grant.ok_or_else(|| StoreError::NotFound(format!("Grant {id}")))?;
        if grant.phase != GrantPhase::Active {
            return Ok(Activated::Revoking(grant.clone()));
        }
        (grant.expires_at, grant.renewals) = (Some(expires_at), grant.renewals + 1);
        Ok(Activated::Active(grant.clone()))
    }
    async fn fail_grant(&self, _: GrantId, _: &str) -> Result<(), StoreError> {
        not_here()
    }
    async fn revoke_grant(&self, id: GrantId, reason: RevocationReason) -> Result<Revocations, StoreError> {
        let mut grants = self.grants.lock().unwrap();
        let grant = grants.iter_mut().find(|grant| grant.id == id);
        let grant = grant.ok_or_else(|| StoreError::NotFound(format!("Grant {id}")))?;
        (grant.phase, grant.reason) = (GrantPhase::Revoking, Some(reason));
        Ok(Revocations { grants: vec![grant.clone()], runs: Vec::new() })
    }
    async fn grant(&self, id: GrantId) -> Result<Option<GrantRecord>, StoreError> {
        self.ready()?;
        Ok(self.grants.lock().unwrap().iter().find(|grant| grant.id == id).cloned())
    }
    async fn grants(&self, select: &GrantSelect) -> Result<Vec<GrantRecord>, StoreError> {
        let grants = self.grants.lock().unwrap().clone();
        let is = |grant: &GrantRecord| {
            (select.phases.is_empty() || select.phases.contains(&grant.phase))
                && select.user.is_none_or(|user| grant.user == user)
                && select.ended_since.is_none_or(|since| grant.revoked_at.is_some_and(|ended| ended >= since))
        };
        Ok(grants.into_iter().filter(is).collect())
    }
    async fn record_receipt(&self, _: GrantId, _: &Receipt, _: bool) -> Result<(), StoreError> {
        not_here()
    }
    async fn append_audit(&self, _: Vec<audit::Entry>) -> Result<(), StoreError> {
        not_here()
    }
    async fn audit_rows(&self, after: i64, limit: usize) -> Result<Vec<audit::Row>, StoreError> {
        let rows = self.audit.lock().unwrap();
        Ok(rows.iter().filter(|row| row.seq > after).take(limit).cloned().collect())
    }
    async fn feed_directory(&self, _: Vec<String>, _: TakeFn) -> Result<(), StoreError> {
        not_here()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.ready()
    }
}

/// A live run and its Active Grant.
pub(crate) fn run_and_grant(run: &str, user: ResourceId, now: DateTime<Utc>) -> (RunRecord, GrantRecord) {
    let named =
        |name: &str| crate::api::ObjectRef { name: name.into(), uid: format!("{name}-uid"), generation: Some(1) };
    let record = RunRecord {
        uid: format!("{run}-uid"),
        namespace: "prod".into(),
        name: run.into(),
        user,
        idp: "okta".into(),
        user_name: "alice@example.com".into(),
        policy: named("deploy"),
        decision_id: "d1".into(),
        event: crate::store::EventFacts::default(),
        redeemed_at: now,
        start_by: now + chrono::Duration::hours(1),
        max_run_duration: 7200,
        started_at: Some(now),
        ended_at: None,
        ended_reason: None,
        cancel_pending: false,
    };
    let grant = GrantRecord {
        id: GrantId(uuid::Uuid::new_v4()),
        run_uid: record.uid.clone(),
        namespace: record.namespace.clone(),
        run_name: record.name.clone(),
        task: "credential".into(),
        index: 0,
        user,
        idp: record.idp.clone(),
        user_name: record.user_name.clone(),
        provider: "oidc".into(),
        policy: record.policy.clone(),
        template: named("registry"),
        decision_id: record.decision_id.clone(),
        facts: serde_json::json!({"target": "registry"}),
        phase: GrantPhase::Active,
        epoch: 1,
        created_at: now,
        issued_at: Some(now),
        expires_at: Some(now + chrono::Duration::minutes(15)),
        not_after: record.not_after(),
        renewals: 0,
        secret_name: None,
        asked_at: None,
        revoked_at: None,
        reason: None,
        receipt: None,
        failure: None,
    };
    (record, grant)
}
