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
        let known: Vec<EventSource> = context.catalog.load().sources().map(|entry| entry.object.clone()).collect();
        for source in known {
            refresh(&context, &source).await;
        }
    }
}

/// Puts a source that was added or changed into the catalog with its secrets, or with the reason why it has none: then
/// every event is denied.
pub async fn resolve(context: &Context, source: &EventSource) {
    let secrets = match secrets(context, source).await {
        Ok(secrets) => Ok(secrets),
        Err(Missing::Known(why) | Missing::NotAnswered(why)) => Err(why),
    };
    update_catalog(&context.catalog, |catalog| catalog.put_event_source(source, secrets.clone()));
    tell(context, source, secrets.map(drop)).await;
}

/// Takes in what a source's secrets are now. The source itself is the watch's: one that was changed or removed
/// meanwhile is left alone. An API server that does not answer takes no secret away.
async fn refresh(context: &Context, source: &EventSource) {
    let secrets = match secrets(context, source).await {
        Ok(secrets) => Ok(secrets),
        Err(Missing::Known(why)) => Err(why),
        Err(Missing::NotAnswered(why)) => return warn!(source = source.name_any(), why, "the old secrets stay in use"),
    };
    update_catalog(&context.catalog, |catalog| {
        let same = |known: &EventSource| {
            known.metadata.uid == source.metadata.uid && known.metadata.generation == source.metadata.generation
        };
        if catalog.source(&source.name_any()).is_some_and(|known| same(&known.object)) {
            catalog.put_event_source(source, secrets.clone());
        }
    });
    tell(context, source, secrets.map(drop)).await;
}

/// Writes the condition `Ready`, if it says something new.
async fn tell(context: &Context, source: &EventSource, found: Result<(), String>) {
    let (status, reason, message) = match found {
        Ok(()) => ("True", "SecretsFound", String::new()),
        Err(why) => ("False", "SecretMissing", why),
    };
    let sources: Api<EventSource> = Api::all(context.cluster.direct.clone());
    let Ok(Some(live)) = sources.get_opt(&source.name_any()).await else { return };
    let was = live.status.as_ref().and_then(|status| status.conditions.first());
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
    if let Err(error) = sources.patch_status(&source.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        warn!(source = source.name_any(), %error, "can't write an EventSource's status");
    }
}

/// Why there is no secret.
enum Missing {
    /// It is not there.
    Known(String),
    /// Nobody knows now.
    NotAnswered(String),
}

async fn secrets(context: &Context, source: &EventSource) -> Result<Vec<SecretString>, Missing> {
    let api: Api<Secret> = Api::namespaced(context.cluster.direct.clone(), &context.install_namespace);
    let mut found = Vec::new();
    for reference in &source.spec.webhook.secret_refs {
        let place = format!("Secret {}/{} key {}", context.install_namespace, reference.name, reference.key);
        let secret =
            api.get_opt(&reference.name).await.map_err(|error| Missing::NotAnswered(format!("{place}: {error}")))?;
        let secret = secret.ok_or_else(|| Missing::Known(format!("{place} does not exist")))?;
        let value = secret.data.unwrap_or_default().remove(&reference.key);
        let value = value.ok_or_else(|| Missing::Known(format!("{place} does not exist")))?;
        let value = String::from_utf8(value.0).map_err(|_| Missing::Known(format!("{place} is not text")))?;
        if value.is_empty() {
            return Err(Missing::Known(format!("{place} is empty")));
        }
        found.push(SecretString::from(value));
    }
    Ok(found)
}
