//! The store as a process has it: each call takes a while before and after it is done, so that a process may die in
//! between, and what is done is judged at that very moment by who knows it otherwise.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::executor::block_on;

use super::{line::Life, world::World};
use crate::{
    api::{GrantPhase, Receipt, RevocationReason},
    audit,
    clock::rfc3339,
    directory::{DirectoryCell, SubjectRef},
    identity::{Edit, IdpName, Relation, Resource, ResourceId, ResourceKind},
    policy::{PolicyFacts, matching},
    store::{
        Activated, Begun, CheckFn, DecisionOutcome, DecisionRecord, EditFn, GrantId, GrantRecord, GrantSelect, Issued,
        ListQuery, NewDecision, NewGrant, Page, Provisioned, RedeemRequest, Redemption, Revocations, RunRecord,
        SqlStore, Store, StoreError, TakeFn, TokenRecord,
    },
    ticket::SecretHash,
};

/// What outlives a process: the rows, and what the one who judges knows of them.
pub struct Kept {
    pub store: Arc<SqlStore>,
    pub directory: DirectoryCell,
    /// What each run's entitlement rests on, as the store was told.
    subjects: Mutex<HashMap<String, (String, Vec<SubjectRef>)>>,
}

impl Kept {
    pub fn new(store: Arc<SqlStore>, directory: DirectoryCell) -> Arc<Self> {
        Arc::new(Self { store, directory, subjects: Mutex::default() })
    }

    /// Judged on the Directory, where the store judges on its rows.
    fn entitled(&self, user: ResourceId, run: &str) -> bool {
        let directory = self.directory.load();
        let subjects = self.subjects.lock().unwrap();
        let Some((_, subjects)) = subjects.get(run) else { return false };
        directory.user(user).is_some_and(|user| user.active) && !matching(&directory, user, subjects).is_empty()
    }

    pub fn grants(&self, phases: &[GrantPhase]) -> Vec<GrantRecord> {
        block_on(self.store.grants(&GrantSelect { phases: phases.to_vec(), ..GrantSelect::default() })).unwrap()
    }
}

/// One process's store.
pub struct WatchedStore {
    pub kept: Arc<Kept>,
    pub world: Arc<World>,
    pub life: Life,
}

impl WatchedStore {
    /// Does `work` at one moment between two pauses, and has it judged in the same moment.
    async fn step<T>(&self, kind: &'static str, work: impl Future<Output = T>, judge: impl FnOnce(&Self, &T)) -> T {
        self.life.goes_on().await;
        let (before, after) = {
            let mut state = self.world.state();
            let slow = !state.calm && state.chance.one_in(kind, 40);
            let most = if slow { 400 } else { 2 };
            state.troubled |= slow;
            (state.chance.millis(kind, 0, most), state.chance.millis(kind, 0, most))
        };
        tokio::time::sleep(before).await;
        self.life.goes_on().await;
        // The writer's clock is what it was when the state was last locked.
        drop(self.world.state());
        let done = block_on(work);
        judge(self, &done);
        tokio::time::sleep(after).await;
        self.life.goes_on().await;
        done
    }

    fn note(&self, kind: &str, told: impl FnOnce() -> String) {
        let mut state = self.world.state();
        state.mark(kind);
        state.tell(|| format!("store: {kind} {}", told()));
    }

    fn asked(&self, done: &Done<Revocations>) {
        let grants = done.iter().flat_map(|revocations| &revocations.grants).map(|grant| grant.id.to_string());
        self.world.state().rules.asked.extend(grants);
    }

    /// After a change of entitlement: whoever lost it has nothing that is not asked for already.
    fn nobody_keeps_what_they_lost(&self, kind: &str) {
        for grant in self.kept.grants(&[GrantPhase::Pending, GrantPhase::Active]) {
            if !self.kept.entitled(grant.user, &grant.run_uid) {
                let what = format!(
                    "G2: {kind} left grant {} {:?} of a person who is not entitled to it",
                    grant.id, grant.phase
                );
                self.world.state().violation(what);
            }
        }
    }

    fn provisioned(&self, kind: &'static str, done: &Result<Provisioned, StoreError>) {
        let Ok(done) = done else { return self.note(kind, || format!("{done:?}")) };
        self.note(kind, || {
            format!(
                "{} active={} → revokes {} grants, {} runs",
                done.resource.name(),
                done.resource.active(),
                done.revocations.grants.len(),
                done.revocations.runs.len()
            )
        });
        self.asked(&Ok(done.revocations.clone()));
        self.nobody_keeps_what_they_lost(kind);
    }

    /// Its `notAfter` moves when the run's start is noted: a later one is as good a reason.
    fn begun(&self, grant: &GrantRecord) {
        let mut state = self.world.state();
        let left = (grant.not_after - state.now()).to_std().unwrap_or_default();
        let known = (grant.run_uid.clone(), tokio::time::Instant::now() + left);
        state.rules.begun.insert(grant.id.to_string(), known);
    }

    fn let_out(&self, kind: &'static str, done: &Result<Activated, StoreError>) {
        let grant = match done {
            Ok(Activated::Active(grant)) => grant,
            other => {
                return self
                    .note(kind, || format!("{:?}", other.as_ref().map(|_| "Revoking").map_err(ToString::to_string)));
            }
        };
        self.note(kind, || format!("{} Active", grant.id));
        let run = block_on(self.kept.store.run(&grant.run_uid)).unwrap();
        let now = self.world.state().now();
        let mut state = self.world.state();
        state.count(kind);
        if !self.kept.entitled(grant.user, &grant.run_uid) {
            state.violation(format!("G1: {kind} of grant {} though its person is not entitled", grant.id));
        }
        if state.rules.asked.contains(&grant.id.to_string()) {
            state.violation(format!("G1: {kind} of grant {} after its end was asked for", grant.id));
        }
        if run.is_none_or(|run| run.ended_at.is_some()) {
            state.violation(format!("G1: {kind} of grant {} though its run has ended", grant.id));
        }
        if now >= grant.not_after {
            state.violation(format!("G1: {kind} of grant {} after its notAfter", grant.id));
        }
        let end = grant.expires_at.unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        state.rules.let_out.entry(grant.id.to_string()).or_default().insert(end);
    }
}

type Done<T> = Result<T, StoreError>;

/// Nothing of it can be wrong.
fn fine<T>(_: &WatchedStore, _: &T) {}

#[async_trait]
impl Store for WatchedStore {
    async fn create_token(&self, idp: &IdpName, hash: SecretHash, ends: Option<DateTime<Utc>>) -> Done<TokenRecord> {
        self.kept.store.create_token(idp, hash, ends).await
    }
    async fn tokens(&self) -> Done<Vec<TokenRecord>> {
        self.kept.store.tokens().await
    }
    async fn revoke_token(&self, id: &str) -> Done<TokenRecord> {
        self.kept.store.revoke_token(id).await
    }
    async fn create(&self, idp: &IdpName, kind: ResourceKind, edit: Edit) -> Done<Provisioned> {
        self.step("create", self.kept.store.create(idp, kind, edit), |s, done| s.provisioned("create", done)).await
    }
    async fn edit(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId, edit: EditFn) -> Done<Provisioned> {
        self.step("edit", self.kept.store.edit(idp, kind, id, edit), |s, done| s.provisioned("edit", done)).await
    }
    async fn delete_if(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId, check: CheckFn) -> Done<Provisioned> {
        self.step("delete", self.kept.store.delete_if(idp, kind, id, check), |s, done| s.provisioned("delete", done))
            .await
    }
    async fn get(&self, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Done<Resource> {
        self.step("get", self.kept.store.get(idp, kind, id), fine).await
    }
    async fn members(&self, group: ResourceId) -> Done<Vec<Relation>> {
        self.step("members", self.kept.store.members(group), fine).await
    }
    async fn groups_of(&self, member: ResourceId) -> Done<Vec<Relation>> {
        self.step("groups of", self.kept.store.groups_of(member), fine).await
    }
    async fn list(&self, query: &ListQuery) -> Done<Page> {
        self.kept.store.list(query).await
    }
    async fn record_decision(&self, decision: NewDecision) -> Done<DecisionOutcome> {
        self.step("decide", self.kept.store.record_decision(decision), |s, done| {
            s.note("decide", || format!("{done:?}"));
        })
        .await
    }
    async fn decision(&self, id: &str) -> Done<Option<DecisionRecord>> {
        self.kept.store.decision(id).await
    }
    async fn redeem(&self, request: RedeemRequest) -> Done<Redemption> {
        let facts: HashMap<_, _> =
            request.policies.iter().map(|(uid, policy)| (uid.clone(), policy.facts.clone())).collect();
        let (new, uid) = (block_on(self.kept.store.run(&request.uid))?.is_none(), request.uid.clone());
        self.step("redeem", self.kept.store.redeem(request), move |s, done| match done {
            Ok(Redemption::Redeemed(run)) => {
                if new && !s.world.state().rules.redeemed.contains(&uid) {
                    let subjects = facts.get(&run.policy.uid).map(|facts| facts.subjects.clone()).unwrap_or_default();
                    s.kept.subjects.lock().unwrap().insert(uid.clone(), (run.policy.uid.clone(), subjects));
                    if !s.kept.entitled(run.user, &uid) {
                        s.world
                            .state()
                            .violation(format!("G4: run {} was redeemed though its person is not entitled", run.name));
                    }
                }
                s.world.state().rules.redeemed.insert(uid);
                s.note("redeem", || format!("{} for {}", run.name, run.user_name));
            }
            other => s.note("redeem", || format!("{other:?}")),
        })
        .await
    }
    async fn run(&self, uid: &str) -> Done<Option<RunRecord>> {
        self.step("run", self.kept.store.run(uid), fine).await
    }
    async fn live_runs(&self) -> Done<Vec<RunRecord>> {
        self.step("live runs", self.kept.store.live_runs(), fine).await
    }
    async fn run_started(&self, uid: &str, at: DateTime<Utc>) -> Done<()> {
        self.step("run started", self.kept.store.run_started(uid, at), |s, _| s.note("run started", || rfc3339(at)))
            .await
    }
    async fn run_ended(&self, uid: &str, reason: RevocationReason) -> Done<Revocations> {
        self.step("run ended", self.kept.store.run_ended(uid, reason), |s, done| {
            s.asked(done);
            s.note("run ended", || {
                format!("{} → {:?}", reason.as_str(), done.as_ref().map(|r| (r.grants.len(), r.runs.len())).ok())
            });
        })
        .await
    }
    async fn policy_changed(&self, policy_uid: &str, now: Option<&PolicyFacts>) -> Done<Revocations> {
        self.step("policy changed", self.kept.store.policy_changed(policy_uid, now), |s, done| {
            if done.is_err() {
                return;
            }
            let runs: BTreeSet<_> = block_on(s.kept.store.live_runs())
                .unwrap()
                .into_iter()
                .filter(|run| run.ended_at.is_none())
                .map(|run| run.uid)
                .collect();
            for (uid, (policy, subjects)) in s.kept.subjects.lock().unwrap().iter_mut() {
                if policy == policy_uid && runs.contains(uid) {
                    *subjects = now.map(|facts| facts.subjects.clone()).unwrap_or_default();
                }
            }
            s.asked(done);
            s.note("policy changed", || format!("{:?}", now.map(|facts| facts.generation)));
            s.nobody_keeps_what_they_lost("a policy's change");
        })
        .await
    }
    async fn runs_to_cancel(&self) -> Done<Vec<RunRecord>> {
        self.step("runs to cancel", self.kept.store.runs_to_cancel(), fine).await
    }
    async fn run_cancel_done(&self, uid: &str) -> Done<()> {
        self.step("run cancel done", self.kept.store.run_cancel_done(uid), |s, _| s.note("run cancelled", String::new))
            .await
    }
    async fn begin_grant(&self, grant: NewGrant) -> Done<Begun> {
        self.step("begin grant", self.kept.store.begin_grant(grant), |s, done| match done {
            Ok(Begun::Pending(grant)) => {
                s.note("grant Pending", || grant.id.to_string());
                s.begun(grant);
                if !s.kept.entitled(grant.user, &grant.run_uid) {
                    s.world
                        .state()
                        .violation(format!("G1: grant {} was begun though its person is not entitled", grant.id));
                }
            }
            Ok(Begun::Existing(grant)) => s.note("grant exists", || format!("{} {:?}", grant.id, grant.phase)),
            other => s.note("begin grant", || format!("{other:?}")),
        })
        .await
    }
    async fn activate_grant(&self, id: GrantId, issued: Issued) -> Done<Activated> {
        self.step("activate", self.kept.store.activate_grant(id, issued), |s, done| s.let_out("activations", done))
            .await
    }
    async fn renew_grant(&self, id: GrantId, expires_at: DateTime<Utc>) -> Done<Activated> {
        self.step("renew", self.kept.store.renew_grant(id, expires_at), |s, done| s.let_out("renewals", done)).await
    }
    async fn fail_grant(&self, id: GrantId, why: &str) -> Done<()> {
        self.step("fail", self.kept.store.fail_grant(id, why), |s, _| s.note("grant Failed", || format!("{id} {why}")))
            .await
    }
    async fn revoke_grant(&self, id: GrantId, reason: RevocationReason) -> Done<Revocations> {
        self.step("revoke", self.kept.store.revoke_grant(id, reason), |s, done| {
            s.asked(done);
            s.note("revoke", || format!("{id} {}", reason.as_str()));
        })
        .await
    }
    async fn grant(&self, id: GrantId) -> Done<Option<GrantRecord>> {
        self.step("grant", self.kept.store.grant(id), fine).await
    }
    async fn grants(&self, select: &GrantSelect) -> Done<Vec<GrantRecord>> {
        self.step("grants", self.kept.store.grants(select), fine).await
    }
    async fn record_receipt(&self, id: GrantId, receipt: &Receipt, done: bool) -> Done<()> {
        self.step("receipt", self.kept.store.record_receipt(id, receipt, done), |s, recorded| {
            s.note("receipt", || format!("{id} done={done} unproven={:?}", receipt.unproven));
            if done && recorded.is_ok() {
                let mut state = s.world.state();
                state.count("revocations proven");
                state
                    .rules
                    .dead
                    .entry(id.to_string())
                    .or_insert("G2: its Receipt says that every API server refuses it");
                state.look();
            }
        })
        .await
    }
    async fn append_audit(&self, entries: Vec<audit::Entry>) -> Done<()> {
        self.kept.store.append_audit(entries).await
    }
    async fn audit_rows(&self, after: i64, limit: usize) -> Done<Vec<audit::Row>> {
        self.kept.store.audit_rows(after, limit).await
    }
    async fn feed_directory(&self, attributes: Vec<String>, take: TakeFn) -> Done<()> {
        self.kept.store.feed_directory(attributes, take).await
    }
    async fn ping(&self) -> Done<()> {
        self.kept.store.ping().await
    }
}
