//! EventSources and their webhook secrets: read by name from the install namespace, at a change and every 30 s. We
//! watch no Secret.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use secrecy::SecretString;
use serde_json::json;
use tracing::warn;

use super::Context;
use crate::{api::EventSource, cluster::time, policy::update_catalog};

const REFRESH: Duration = Duration::from_secs(30);

/// Reads all secrets again, for ever: a rotated one is in force after 30 s.
pub async fn keep(context: Arc<Context>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let sources: Api<EventSource> = Api::all(context.cluster.direct.clone());
        match sources.list(&kube::api::ListParams::default()).await {
            Ok(sources) => {
                for source in sources {
                    resolve(&context, &source).await;
                }
            }
            Err(error) => warn!(%error, "can't list EventSources to refresh their secrets"),
        }
    }
}

/// Puts a source into the catalog with its secrets, or with the reason why it has none: then every event is denied.
pub async fn resolve(context: &Context, source: &EventSource) {
    let secrets = secrets(context, source).await;
    let (status, reason, message) = match &secrets {
        Ok(_) => ("True", "SecretsFound", String::new()),
        Err(why) => ("False", "SecretMissing", why.clone()),
    };
    update_catalog(&context.catalog, |catalog| catalog.put_event_source(source, secrets.clone()));
    let was = source.status.as_ref().and_then(|status| status.conditions.first());
    if was.is_some_and(|was| {
        was.status == status && was.message == message && was.observed_generation == source.metadata.generation
    }) {
        return;
    }
    let patch = json!({"status": {
        "observedGeneration": source.metadata.generation,
        "conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "observedGeneration": source.metadata.generation,
            "lastTransitionTime": time::to_kubernetes((context.clock)()),
        }],
    }});
    let sources: Api<EventSource> = Api::all(context.cluster.patient.clone());
    if let Err(error) = sources.patch_status(&source.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        warn!(source = source.name_any(), %error, "can't write an EventSource's status");
    }
}

async fn secrets(context: &Context, source: &EventSource) -> Result<Vec<SecretString>, String> {
    let api: Api<Secret> = Api::namespaced(context.cluster.direct.clone(), &context.install_namespace);
    let mut found = Vec::new();
    for reference in &source.spec.webhook.secret_refs {
        let place = format!("Secret {}/{} key {}", context.install_namespace, reference.name, reference.key);
        let secret = api.get_opt(&reference.name).await.map_err(|error| format!("{place}: {error}"))?;
        let secret = secret.ok_or_else(|| format!("{place} does not exist"))?;
        let value = secret.data.unwrap_or_default().remove(&reference.key);
        let value = value.ok_or_else(|| format!("{place} does not exist"))?;
        let value = String::from_utf8(value.0).map_err(|_| format!("{place} is not text"))?;
        if value.is_empty() {
            return Err(format!("{place} is empty"));
        }
        found.push(SecretString::from(value));
    }
    Ok(found)
}
