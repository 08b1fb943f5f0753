//! What must hold when nothing happens any more and everything is well again.

use std::collections::BTreeSet;

use super::{etcd::text, play::Stage};
use crate::{
    api::{GRANT_LABEL, GrantPhase, PENDING, TICKET_ANNOTATION},
    audit,
    store::Store as _,
};

/// Judges a world at rest. All steps have ended, so no run may be going and no credential may be alive.
pub async fn judge(stage: &Stage) {
    for wrong in rows(stage).await.into_iter().chain(cluster(stage)).chain(log(stage).await) {
        stage.world.state().violation(format!("at rest: {wrong}"));
    }
}

async fn rows(stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    for grant in stage.kept.grants(&[]) {
        let dead = matches!(grant.phase, GrantPhase::Revoked | GrantPhase::Failed) && grant.revoked_at.is_some();
        if !dead {
            wrong.push(format!("G1: grant {} is {:?}, receipt {:?}", grant.id, grant.phase, grant.receipt));
        }
    }
    for run in stage.kept.store.live_runs().await.unwrap() {
        wrong.push(format!(
            "run {} is live: ended {:?}, to be cancelled {}",
            run.name, run.ended_reason, run.cancel_pending
        ));
    }
    wrong
}

fn cluster(stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    let now = stage.world.state();
    for (key, run) in now.etcd.list("pipelineruns", None) {
        let pending = text(run, "/spec/status") == PENDING;
        let done = ["True", "False"].contains(&text(run, "/status/conditions/0/status"));
        if pending && !run["metadata"]["annotations"][TICKET_ANNOTATION].is_null() {
            wrong.push(format!("G4: run {} still waits for its ticket to be redeemed or refused", key.name));
        } else if !done {
            wrong.push(format!("run {} hangs", key.name));
        }
    }
    let left: Vec<_> = now
        .etcd
        .objects()
        .filter(|(key, object)| key.resource != "grants" && !object["metadata"]["labels"][GRANT_LABEL].is_null())
        .map(|(key, _)| format!("{} {}/{}", key.resource, key.namespace, key.name))
        .collect();
    wrong.extend(left.into_iter().map(|left| format!("{left} belongs to no live Grant")));
    wrong
}

async fn log(stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut verifier = audit::Verifier::default();
    let mut issued = BTreeSet::new();
    for row in stage.kept.store.audit_rows(0, usize::MAX).await.unwrap() {
        if let Err(broken) = verifier.push(&row) {
            wrong.push(format!("the audit log is broken: {broken}"));
        }
        if row.entry.kind == audit::Kind::GrantIssued {
            issued.extend(row.entry.grant);
        }
    }
    let let_out: Vec<_> = stage.world.state().rules.let_out.keys().cloned().collect();
    wrong.extend(
        let_out
            .into_iter()
            .filter(|grant| !issued.contains(grant))
            .map(|grant| format!("G6: no audit row says that grant {grant} was issued")),
    );
    wrong
}
