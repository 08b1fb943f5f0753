//! Renewal, quietly, at two thirds of a credential's life; and the end of what may not be renewed.

use std::{sync::Arc, time::Duration};

use chrono::Duration as Span;
use k8s_openapi::api::core::v1::ObjectReference;
use tracing::{info, warn};

use super::Context;
use crate::{
    api::GrantPhase,
    cluster::is_not_found,
    credential::{IssueError, Material, delivery},
    store::{Activated, GrantRecord, GrantSelect, RunRecord},
};

/// How often we look what is due.
const PAUSE: Duration = Duration::from_secs(2);
/// No credential lives longer.
const LONGEST_LIFE: Span = Span::days(1);

/// Renews what is due, for ever.
pub async fn keep(context: Arc<Context>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let now = (context.clock)();
        // What is due ends within a third of the longest life, so that most of what lives is not even read.
        let select = GrantSelect {
            phases: vec![GrantPhase::Active],
            expires_before: Some(now + LONGEST_LIFE / 3),
            ..GrantSelect::default()
        };
        match context.store.grants(&select).await {
            Ok(grants) => {
                for grant in grants.into_iter().filter(|grant| due(grant).is_some_and(|due| due <= now)) {
                    tokio::spawn(renew(Arc::clone(&context), grant));
                }
            }
            Err(error) => warn!(%error, "can't look which credentials are due for renewal"),
        }
    }
}

fn ttl(grant: &GrantRecord) -> Span {
    let seconds = grant.facts.get("ttlSeconds").and_then(serde_json::Value::as_i64);
    seconds.map_or(Span::minutes(15), Span::seconds)
}

/// Two thirds into its life: at least 2 minutes before its end wherever it lives 6 minutes. A Grant that ends with
/// this credential is not renewed.
fn due(grant: &GrantRecord) -> Option<chrono::DateTime<chrono::Utc>> {
    let end = grant.expires_at?;
    (end < grant.not_after).then(|| end - ttl(grant) / 3)
}

async fn renew(context: Arc<Context>, grant: GrantRecord) {
    // Also keeps a second look from renewing it at the same time.
    let Some(working) = context.revoker.issuing.begin(grant.id) else { return };
    let run = match context.store.run(&grant.run_uid).await {
        Ok(Some(run)) => run,
        Ok(None) => return,
        Err(error) => return warn!(grant = %grant.id, %error, "can't renew yet"),
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
        Err(error) => {
            metrics::counter!(crate::telemetry::metric::RENEWALS_FAILED).increment(1);
            warn!(grant = %grant.id, run = grant.run_name, %error, "can't renew yet; the old credential stays");
            let run = ObjectReference {
                api_version: Some("tekton.dev/v1".into()),
                kind: Some("PipelineRun".into()),
                namespace: Some(grant.namespace.clone()),
                name: Some(grant.run_name.clone()),
                uid: Some(grant.run_uid.clone()),
                ..ObjectReference::default()
            };
            context.events.warning(&run, "RenewalDelayed", "Renew", &error.to_string()).await;
            return;
        }
    };
    fail::fail_point!("renew::before_store");
    // The entitlement is judged anew, and the audit row is durable, before anything is handed out.
    match context.store.renew_grant(grant.id, material.expires_at).await {
        Ok(Activated::Active(renewed)) => {
            fail::fail_point!("renew::before_delivery");
            hand_out(&context, &renewed, &material).await;
            fail::fail_point!("renew::after_delivery");
            drop(working);
            context.revoker.projector.show(renewed.id);
        }
        Ok(Activated::Revoking(lost)) => {
            info!(grant = %grant.id, reason = ?lost.reason, "not renewed: the entitlement is gone");
            drop(working);
            context.revoker.revoke_grant(grant.id).await;
        }
        Err(error) => warn!(grant = %grant.id, %error, "can't renew yet"),
    }
}

async fn hand_out(context: &Context, grant: &GrantRecord, material: &Material) {
    let client = &context.cluster.direct;
    let replaced = match delivery::replace(client, grant, &context.instance, material).await {
        // Somebody deleted the Secret: a fresh one, quietly.
        Err(error) if is_not_found(&error) => delivery::deliver(client, grant, &context.instance, material).await,
        other => other,
    };
    match replaced {
        Ok(()) => info!(grant = %grant.id, renewals = grant.renewals, "renewed"),
        Err(error) => warn!(grant = %grant.id, %error, "the renewed credential is not in its Secret yet"),
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
