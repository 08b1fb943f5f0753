//! PipelineRuns that carry our ticket: redeemed before they start, watched until they end.

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;
use tracing::info;

use super::{Context, ControllerError};
use crate::{
    api::{
        PENDING, RevocationReason, TICKET_ANNOTATION,
        tekton::{PipelineRun, TektonCondition},
    },
    cluster::{is_conflict, is_not_found, time},
    policy,
    store::{RedeemPolicy, RedeemRequest, Redemption, RunRecord},
    ticket::ticket_hash,
};

/// Looks at one run.
pub async fn reconcile(run: Arc<PipelineRun>, context: Arc<Context>) -> Result<Action, ControllerError> {
    let Some(ticket) = run.annotations().get(TICKET_ANNOTATION) else { return Ok(Action::await_change()) };
    let namespace = run.namespace().unwrap_or_default();
    let pending = run.spec.status.as_deref() == Some(PENDING);
    // A run that we redeemed is ours to the end, whatever its labels, owners or namespace have become since.
    if let Some(record) = context.store.run(&run.uid().unwrap_or_default()).await? {
        return match finished(&run) {
            Some(outcome) => end(&context, &run, outcome).await,
            None if pending => redeem(&context, &run, ticket, &namespace).await,
            None => watch_over(&context, &run, record).await,
        };
    }
    let selected = context.namespaces.selects(&namespace).await;
    if !pending || !selected.map_err(ControllerError::kubernetes("looking whether the namespace is ours"))? {
        return Ok(Action::await_change());
    }
    // Tekton copies our annotation to child runs, which it does not leave pending: the authority is the parent's.
    if run.owner_references().iter().any(|owner| owner.controller == Some(true)) {
        let sentence = "a run with a controller is not redeemed: the ticket is its parent's";
        return refuse(&context, &run, sentence).await;
    }
    redeem(&context, &run, ticket, &namespace).await
}

/// How a run ended, if it has.
pub fn finished(run: &PipelineRun) -> Option<RevocationReason> {
    match run.succeeded()? {
        TektonCondition { status, reason, .. } if status == "False" && reason.contains("Cancelled") => {
            Some(RevocationReason::RunCancelled)
        }
        TektonCondition { status, .. } if status == "True" || status == "False" => Some(RevocationReason::RunFinished),
        _ => None,
    }
}

async fn redeem(
    context: &Arc<Context>,
    run: &PipelineRun,
    ticket: &str,
    namespace: &str,
) -> Result<Action, ControllerError> {
    if let Err(why) = context.admission.check() {
        // Not its fault: it waits.
        context.events.warning(&run.object_ref(&()), "RedemptionDelayed", "Redeem", &why).await;
        return Ok(Action::requeue(Duration::from_secs(5)));
    }
    let catalog = context.catalog.load_full();
    let directory = context.directory.load_full();
    let policies = catalog
        .policies_in(namespace)
        .map(|policy| {
            let check = policy::run_check(policy, run, directory.idps());
            (check.policy.uid.clone(), redeem_policy(check))
        })
        .collect();
    let created = run.meta().creation_timestamp.as_ref().map(time::from_kubernetes).unwrap_or_default();
    let request = RedeemRequest {
        ticket: ticket_hash(ticket),
        uid: run.uid().unwrap_or_default(),
        namespace: namespace.to_owned(),
        name: run.name_any(),
        created_at: created,
        policies,
    };
    fail::fail_point!("redeem::before_store", |_| Err(ControllerError::Later("failpoint".into())));
    let redemption = context.store.redeem(request).await?;
    fail::fail_point!("redeem::after_store");
    match redemption {
        Redemption::Redeemed(record) => start(context, run, &record).await,
        Redemption::Refused(sentence) => refuse(context, run, &sentence).await,
    }
}

fn redeem_policy(check: policy::RunCheck) -> RedeemPolicy {
    RedeemPolicy {
        policy: check.policy,
        facts: check.facts,
        misfit: check.misfit,
        max_start_delay: check.max_start_delay,
        max_run_duration: check.max_run_duration,
    }
}

/// Clears Pending: Tekton starts the run now.
async fn start(context: &Arc<Context>, run: &PipelineRun, record: &RunRecord) -> Result<Action, ControllerError> {
    let api: Api<PipelineRun> = Api::namespaced(context.cluster.direct.clone(), &record.namespace);
    if record.ended_at.is_some() {
        // The person lost the right between the redemption and now; the revocation cancels the run.
        return Ok(Action::requeue(Duration::from_secs(2)));
    }
    let patch = json!({
        "metadata": {"uid": record.uid, "resourceVersion": run.resource_version()},
        "spec": {"status": null},
    });
    match api.patch(&record.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => {}
        Err(error) if is_conflict(&error) || is_not_found(&error) => {
            return Ok(Action::requeue(Duration::from_millis(100)));
        }
        Err(error) => return Err(ControllerError::kubernetes("starting the run")(error)),
    }
    fail::fail_point!("redeem::after_start");
    info!(run = record.path(), user = %record.user, decision = record.decision_id, "ticket redeemed, run started");
    let note = format!(
        "{} may start this run under AccessPolicy {} (decision {})",
        record.user_name, record.policy.name, record.decision_id
    );
    context.events.normal(&run.object_ref(&()), "TicketRedeemed", "Redeem", &note).await;
    Ok(Action::await_change())
}

/// Ends a run that must not start: Tekton admits Pending → Cancelled and makes no child (FACTS 42).
async fn refuse(context: &Arc<Context>, run: &PipelineRun, sentence: &str) -> Result<Action, ControllerError> {
    let namespace = run.namespace().unwrap_or_default();
    metrics::counter!(crate::telemetry::metric::REDEMPTIONS_REFUSED).increment(1);
    info!(run = format!("{namespace}/{}", run.name_any()), sentence, "ticket refused, run cancelled");
    // The Event goes first: who sees the run cancelled finds the reason there.
    context.events.warning(&run.object_ref(&()), "TicketRefused", "Redeem", sentence).await;
    let api: Api<PipelineRun> = Api::namespaced(context.cluster.direct.clone(), &namespace);
    let patch = json!({"metadata": {"uid": run.uid()}, "spec": {"status": "Cancelled"}});
    match api.patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(error) if !is_not_found(&error) => Err(ControllerError::kubernetes("cancelling a refused run")(error)),
        _ => Ok(Action::await_change()),
    }
}

/// A run that goes: notes its start, and ends its authority in time.
async fn watch_over(
    context: &Arc<Context>,
    run: &PipelineRun,
    mut record: RunRecord,
) -> Result<Action, ControllerError> {
    if record.ended_at.is_some() {
        return Ok(Action::await_change());
    }
    let started = run.status.as_ref().and_then(|status| status.start_time.as_deref()).and_then(time::parse);
    if let (Some(at), None) = (started, record.started_at) {
        context.store.run_started(&record.uid, at).await?;
        record.started_at = Some(at);
    }
    let left = record.not_after() - (context.clock)();
    match left.to_std() {
        Ok(left) if !left.is_zero() => Ok(Action::requeue(left)),
        _ => end(context, run, RevocationReason::Expired).await,
    }
}

async fn end(context: &Arc<Context>, run: &PipelineRun, reason: RevocationReason) -> Result<Action, ControllerError> {
    let revocations = context.store.run_ended(&run.uid().unwrap_or_default(), reason).await?;
    if !revocations.is_empty() {
        context.revoker.revoke(revocations).await;
    }
    Ok(Action::await_change())
}
