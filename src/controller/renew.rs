//! Renewal, quietly, at two thirds of a credential's life; and the end of what may not be renewed.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Duration as Span;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::{
    Context,
    renewals::{Renewals, ttl},
};
use crate::{
    api::GrantPhase,
    cluster::{is_not_found, is_terminating},
    credential::{IssueError, Material, delivery},
    store::{Activated, GrantRecord, GrantSelect, RunRecord},
};

/// How often we look what is due.
const PAUSE: Duration = Duration::from_secs(2);
/// No credential lives longer.
const LONGEST_LIFE: Span = Span::days(1);
/// Renewals under way at once.
const AT_ONCE: usize = 16;

/// Renews what is due, for ever.
pub async fn keep(context: Arc<Context>) {
    let renewals = Arc::new(Mutex::new(Renewals::default()));
    let lane = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        tokio::time::sleep(PAUSE).await;
        for grant in due(&context, &renewals).await {
            let (context, renewals, lane) = (Arc::clone(&context), Arc::clone(&renewals), Arc::clone(&lane));
            tokio::spawn(async move {
                let _lane = lane.acquire().await;
                renew_due(&context, &renewals, grant).await;
            });
        }
    }
}

async fn due(context: &Context, renewals: &Mutex<Renewals>) -> Vec<GrantRecord> {
    let now = (context.clock)();
    // What is due ends within half of the longest life, so that most of what lives is not even read.
    let soon = (!renewals.lock().is_ok_and(|renewals| renewals.any_owed())).then(|| now + LONGEST_LIFE / 2);
    let select = GrantSelect { phases: vec![GrantPhase::Active], expires_before: soon, ..GrantSelect::default() };
    match context.store.grants(&select).await {
        Ok(active) => renewals.lock().map(|mut renewals| renewals.due(active, now)).unwrap_or_default(),
        Err(error) => {
            warn!(%error, "can't look which credentials are due for renewal");
            Vec::new()
        }
    }
}

async fn renew_due(context: &Arc<Context>, renewals: &Mutex<Renewals>, grant: GrantRecord) {
    let renewed = renew(Arc::clone(context), grant.clone()).await;
    let first = match renewals.lock() {
        Err(_) => return,
        Ok(mut renewals) => match &renewed {
            Renewed::Done => return renewals.done(grant.id),
            Renewed::Busy => return renewals.busy(grant.id),
            Renewed::NotYet(_) => renewals.failed(grant.id, false, (context.clock)()),
            Renewed::NotHandedOut(_) => renewals.failed(grant.id, true, (context.clock)()),
        },
    };
    let (Renewed::NotYet(why) | Renewed::NotHandedOut(why)) = renewed else { return };
    metrics::counter!(crate::telemetry::metric::RENEWALS_FAILED).increment(1);
    warn!(grant = %grant.id, run = grant.run_name, why, "can't renew yet; the old credential stays");
    if first {
        let run = ObjectReference {
            api_version: Some("tekton.dev/v1".into()),
            kind: Some("PipelineRun".into()),
            namespace: Some(grant.namespace.clone()),
            name: Some(grant.run_name.clone()),
            uid: Some(grant.run_uid.clone()),
            ..ObjectReference::default()
        };
        context.events.warning(&run, "RenewalDelayed", "Renew", &why).await;
    }
}

/// What became of a renewal.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The fresh credential is in its Secret, or the Grant has ended.
    Done,
    /// Somebody issues, renews or waits for this Grant.
    Busy,
    /// The old credential stays for now, and why.
    NotYet(String),
    /// The row says renewed, and the Secret holds the old one still.
    NotHandedOut(String),
}

/// A fresh credential for an Active Grant. The entitlement is judged anew, and the audit row is durable, before
/// anything is handed out.
pub async fn renew(context: Arc<Context>, grant: GrantRecord) -> Renewed {
    // Also keeps a second look from renewing it at the same time.
    let Some(working) = context.revoker.issuing.begin(grant.id) else { return Renewed::Busy };
    let run = match context.store.run(&grant.run_uid).await {
        Ok(Some(run)) => run,
        Ok(None) => return Renewed::Done,
        Err(error) => return Renewed::NotYet(error.to_string()),
    };
    fail::fail_point!("renew::before_token");
    let material = match (context.admission.check(), grant.provider.as_str()) {
        // A fresh credential is an issue.
        (Err(why), _) => Err(IssueError::Unavailable(why)),
        (Ok(()), "kubernetes") => context.kubernetes.renew(&grant, ttl(&grant)).await,
        (Ok(()), _) => oidc_material(&context, &grant, &run, ttl(&grant)),
    };
    let material = match material {
        Ok(material) => material,
        Err(error) => return Renewed::NotYet(error.to_string()),
    };
    fail::fail_point!("renew::before_store");
    match context.store.renew_grant(grant.id, material.expires_at).await {
        Ok(Activated::Active(renewed)) => {
            fail::fail_point!("renew::before_delivery");
            let handed_out = hand_out(&context, &renewed, &material).await;
            fail::fail_point!("renew::after_delivery");
            drop(working);
            context.revoker.projector.show(renewed.id);
            handed_out
        }
        Ok(Activated::Revoking(lost)) => {
            info!(grant = %grant.id, reason = ?lost.reason, "not renewed: the entitlement is gone");
            drop(working);
            context.revoker.revoke_grant(grant.id).await;
            Renewed::Done
        }
        Err(error) => Renewed::NotYet(error.to_string()),
    }
}

async fn hand_out(context: &Context, grant: &GrantRecord, material: &Material) -> Renewed {
    let client = &context.cluster.direct;
    let replaced = match delivery::replace(client, grant, &context.instance, material).await {
        // Somebody deleted the Secret: a fresh one, quietly.
        Err(error) if is_not_found(&error) => delivery::deliver(client, grant, &context.instance, material).await,
        other => other,
    };
    match replaced {
        Ok(()) => {
            info!(grant = %grant.id, renewals = grant.renewals, "renewed");
            Renewed::Done
        }
        // The run, and its steps, go with their namespace.
        Err(error) if is_terminating(&error) => Renewed::Done,
        Err(error) => Renewed::NotHandedOut(format!("writing the credential's Secret: {error}")),
    }
}

/// A JWT of our issuer for this Grant.
pub fn oidc_material(
    context: &Context,
    grant: &GrantRecord,
    run: &RunRecord,
    ttl: Span,
) -> Result<Material, IssueError> {
    let pipeline = grant.facts.get("pipeline").and_then(serde_json::Value::as_str).unwrap_or_default();
    let groups = context.directory.load().groups_of(grant.user);
    let issued = context.oidc.issue(grant, run, pipeline, groups, ttl, (context.clock)());
    let (token, expires_at) = issued.map_err(|error| IssueError::Refused(error.to_string()))?;
    let files = std::collections::BTreeMap::from([("token", token)]);
    Ok(Material { files, expires_at, facts: grant.facts.clone() })
}

#[cfg(test)]
mod tests;
