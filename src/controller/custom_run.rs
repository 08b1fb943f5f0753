//! CustomRuns of a CredentialTemplate, by Tekton's contract: we alone own their status (FACTS 10).

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::{Context, ControllerError, attempts::Attempt, issue};
use crate::{
    api::tekton::{CustomRun, TaskRef},
    clock::rfc3339,
    cluster::{is_conflict, is_not_found},
    credential::{IssueError, delivery},
    store::GrantRecord,
};

/// How soon an attempt is gone on with while something does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at one CustomRun.
pub async fn reconcile(custom: Arc<CustomRun>, context: Arc<Context>) -> Result<Action, ControllerError> {
    // A CustomRun whose customRef is not ours is never touched.
    if !custom.spec.custom_ref.as_ref().is_some_and(TaskRef::is_credential_template) || is_done(&custom) {
        return Ok(Action::await_change());
    }
    let namespace = custom.namespace().unwrap_or_default();
    let selected = context.namespaces.selects(&namespace).await;
    if !selected.map_err(ControllerError::kubernetes("looking whether the namespace is ours"))? {
        return Ok(Action::await_change());
    }
    if custom.spec.status.as_deref() == Some("RunCancelled") {
        let why = custom.spec.status_message.clone().unwrap_or_else(|| "the run was cancelled".into());
        return fail(&context, &custom, "CustomRunCancelled", &why).await;
    }
    let (attempt, now) = (Attempt::of(&custom), (context.clock)());
    // The first begins by the API server's clock, which ours may be behind.
    if attempt.is_later() && now < attempt.start {
        return Ok(Action::requeue(time_until(attempt.start, now)));
    }
    if attempt.end.is_some_and(|end| end <= now) {
        let so_far = custom.succeeded().map_or("it is not known why", |condition| condition.message.as_str());
        let timeout = custom.spec.timeout.as_deref().unwrap_or("an hour");
        let why = format!("no credential within {timeout}: {so_far}");
        return fail_attempt(&context, &custom, &attempt, "CustomRunTimedOut", &why).await;
    }
    match issue::issue(&context, &custom).await {
        Ok(grant) => {
            metrics::counter!(crate::telemetry::metric::GRANTS_ISSUED, "provider" => grant.provider.clone())
                .increment(1);
            info!(grant = %grant.id, run = grant.run_name, task = grant.task, user = %grant.user, "issued");
            fail::fail_point!("issue::before_result");
            let sentence = format!("{} holds this credential until the run ends", grant.user_name);
            let mut status = ended(&attempt, (context.clock)(), "True", "CredentialIssued", &sentence);
            if let Some(status) = status.as_object_mut() {
                status.insert("results".into(), results(&grant));
            }
            write(&context, &custom, status).await
        }
        Err(IssueError::Refused(mut sentence)) => {
            metrics::counter!(crate::telemetry::metric::ISSUES_REFUSED).increment(1);
            if attempt.is_one_of_several() {
                sentence.push_str(" (not retried: who is refused is refused again)");
            }
            fail(&context, &custom, "CredentialRefused", &sentence).await
        }
        Err(IssueError::Failed(sentence)) => {
            fail_attempt(&context, &custom, &attempt, "CredentialFailed", &sentence).await
        }
        Err(IssueError::NotYet(what)) => {
            debug!(run = custom.name_any(), namespace, what, "looking again");
            let young = now - attempt.start < chrono::Duration::seconds(5);
            let pause = if young { Duration::from_millis(50) } else { Duration::from_secs(1) };
            Ok(Action::requeue(before_the_end(pause, &attempt, now)))
        }
        Err(IssueError::Unavailable(sentence)) => {
            warn!(run = custom.name_any(), namespace, sentence, "no credential yet");
            delayed(&context, &custom, &attempt, &sentence).await?;
            Ok(Action::requeue(before_the_end(AGAIN, &attempt, now)))
        }
    }
}

fn is_done(custom: &CustomRun) -> bool {
    custom.succeeded().is_some_and(|condition| condition.status != "Unknown")
}

fn time_until(at: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (at - now).to_std().unwrap_or_default()
}

fn before_the_end(pause: Duration, attempt: &Attempt, now: DateTime<Utc>) -> Duration {
    attempt.end.map_or(pause, |end| pause.min(time_until(end, now)))
}

/// An attempt failed: another one follows, while there are any.
async fn fail_attempt(
    context: &Arc<Context>,
    custom: &CustomRun,
    attempt: &Attempt,
    reason: &str,
    why: &str,
) -> Result<Action, ControllerError> {
    if attempt.is_last() {
        metrics::counter!(crate::telemetry::metric::ISSUES_REFUSED).increment(1);
        return fail(context, custom, reason, why).await;
    }
    info!(run = custom.name_any(), reason, why, "an attempt failed; another follows");
    let now = (context.clock)();
    let next = attempt.next_start(now);
    let mut failed = custom.status.as_ref().map(|status| status.retries_status.clone()).unwrap_or_default();
    failed.push(ended(attempt, now, "False", reason, why));
    let message = format!("attempt {} failed: {why}", failed.len());
    let status = json!({
        "startTime": rfc3339(next),
        "conditions": [condition(now, "Unknown", "CredentialRetried", &message)],
        "retriesStatus": failed,
    });
    write(context, custom, status).await?;
    Ok(Action::requeue(time_until(next, now)))
}

/// It ends without a credential: whatever was made of one goes, and the person whose build it is is told.
async fn fail(context: &Arc<Context>, custom: &CustomRun, reason: &str, why: &str) -> Result<Action, ControllerError> {
    issue::abandon(context, custom, why).await?;
    if reason != "CustomRunCancelled" {
        info!(run = custom.name_any(), namespace = custom.namespace(), reason, why, "no credential");
        context.events.warning(&custom.object_ref(&()), reason, "Issue", why).await;
    }
    let status = ended(&Attempt::of(custom), (context.clock)(), "False", reason, why);
    write(context, custom, status).await
}

/// Says once that it takes longer, and why.
async fn delayed(context: &Context, custom: &CustomRun, attempt: &Attempt, why: &str) -> Result<(), ControllerError> {
    let told = custom.succeeded().filter(|condition| condition.reason == "CredentialDelayed");
    match told {
        Some(condition) if condition.message == why => return Ok(()),
        // The status follows what it waits for; one Event is enough.
        Some(_) => {}
        None => context.events.warning(&custom.object_ref(&()), "CredentialDelayed", "Issue", why).await,
    }
    let condition = condition((context.clock)(), "Unknown", "CredentialDelayed", why);
    let status = json!({"startTime": rfc3339(attempt.start), "conditions": [condition]});
    write(context, custom, status).await.map(drop)
}

fn condition(now: DateTime<Utc>, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": "Succeeded", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": rfc3339(now),
    })
}

/// What is said of an attempt that has ended.
fn ended(attempt: &Attempt, now: DateTime<Utc>, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "startTime": rfc3339(attempt.start),
        "completionTime": rfc3339(now),
        "conditions": [condition(now, status, reason, message)],
    })
}

/// Writes the status with the resourceVersion that it was judged at: a conflict is a reason to look again.
async fn write(context: &Context, custom: &CustomRun, status: Value) -> Result<Action, ControllerError> {
    let patch = json!({"metadata": {"resourceVersion": custom.resource_version()}, "status": status});
    let api: Api<CustomRun> = Api::namespaced(context.cluster.direct.clone(), &custom.namespace().unwrap_or_default());
    match api.patch_status(&custom.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(Action::await_change()),
        Err(error) if is_conflict(&error) => Ok(Action::requeue(Duration::from_millis(100))),
        Err(error) if is_not_found(&error) => Ok(Action::await_change()),
        Err(error) => Err(ControllerError::kubernetes("writing the CustomRun's status")(error)),
    }
}

/// Results stand in plain text in the status (FACTS 12): names and times, never a credential.
fn results(grant: &GrantRecord) -> Value {
    [
        ("secret", delivery::secret_name(grant.id)),
        ("expires-at", grant.expires_at.map(rfc3339).unwrap_or_default()),
        ("identity", grant.user_name.clone()),
        ("grant", grant.id.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| json!({"name": name, "value": value}))
    .collect()
}
