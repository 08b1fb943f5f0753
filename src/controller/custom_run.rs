//! CustomRuns of a CredentialTemplate, by Tekton's contract: we alone own their status (FACTS 10).

use std::{sync::Arc, time::Duration};

use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::{Context, ControllerError, issue};
use crate::{
    api::tekton::{CustomRun, TaskRef},
    clock::rfc3339,
    cluster::{is_conflict, is_not_found, time},
    credential::{IssueError, delivery},
    store::GrantRecord,
};

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
        return write(&context, &custom, "False", "CustomRunCancelled", &why, None).await;
    }
    match issue::issue(&context, &custom).await {
        Ok(grant) => {
            metrics::counter!(crate::telemetry::metric::GRANTS_ISSUED, "provider" => grant.provider.clone())
                .increment(1);
            info!(grant = %grant.id, run = grant.run_name, task = grant.task, user = %grant.user, "issued");
            fail::fail_point!("issue::before_result");
            let sentence = format!("{} holds this credential until the run ends", grant.user_name);
            write(&context, &custom, "True", "CredentialIssued", &sentence, Some(&grant)).await
        }
        Err(IssueError::Refused(sentence)) => {
            info!(run = custom.name_any(), namespace, sentence, "no credential");
            metrics::counter!(crate::telemetry::metric::ISSUES_REFUSED).increment(1);
            context.events.warning(&custom.object_ref(&()), "CredentialRefused", "Issue", &sentence).await;
            write(&context, &custom, "False", "CredentialRefused", &sentence, None).await
        }
        Err(IssueError::NotYet(what)) => {
            debug!(run = custom.name_any(), namespace, what, "looking again");
            let created = custom.meta().creation_timestamp.as_ref().map(time::from_kubernetes).unwrap_or_default();
            let young = (context.clock)() - created < chrono::Duration::seconds(5);
            Ok(Action::requeue(if young { Duration::from_millis(50) } else { Duration::from_secs(1) }))
        }
        Err(IssueError::Unavailable(sentence)) => {
            warn!(run = custom.name_any(), namespace, sentence, "no credential yet");
            context.events.warning(&custom.object_ref(&()), "CredentialDelayed", "Issue", &sentence).await;
            Ok(Action::requeue(Duration::from_secs(1)))
        }
    }
}

fn is_done(custom: &CustomRun) -> bool {
    let conditions = custom.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Succeeded" && condition.status != "Unknown")
}

/// Writes the whole status with the resourceVersion that it was judged at: a conflict is a reason to look again.
async fn write(
    context: &Context,
    custom: &CustomRun,
    status: &str,
    reason: &str,
    message: &str,
    grant: Option<&GrantRecord>,
) -> Result<Action, ControllerError> {
    let now = rfc3339((context.clock)());
    let started = custom.status.as_ref().and_then(|status| status.start_time.clone()).unwrap_or_else(|| now.clone());
    let patch = json!({
        "metadata": {"resourceVersion": custom.resource_version()},
        "status": {
            "startTime": started,
            "completionTime": now,
            "conditions": [{
                "type": "Succeeded", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": now,
            }],
            "results": grant.map(results).unwrap_or_default(),
        },
    });
    let api: Api<CustomRun> = Api::namespaced(context.cluster.direct.clone(), &custom.namespace().unwrap_or_default());
    match api.patch_status(&custom.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(Action::await_change()),
        Err(error) if is_conflict(&error) => Ok(Action::requeue(Duration::from_millis(100))),
        Err(error) if is_not_found(&error) => Ok(Action::await_change()),
        Err(error) => Err(ControllerError::kubernetes("writing the CustomRun's status")(error)),
    }
}

/// Results stand in plain text in the status (FACTS 12): names and times, never a credential.
fn results(grant: &GrantRecord) -> Vec<Value> {
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
