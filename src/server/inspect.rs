//! What `doctor` asks the API server. Everything is read by its name, and of Secrets only when they were written.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::{join, join_all};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::control::doctor::{ClusterFacts, Gate, Inspect, Seen};
use crate::{
    api,
    cluster::time,
    controller::admission::{Guard, POLICIES},
};

/// Looks with our own account.
pub struct Inspector {
    /// Without retries, with a time limit: somebody waits at a terminal.
    pub client: Client,
    /// What the running check says, where this server runs the controller.
    pub admission: Option<Arc<Guard>>,
    /// Name of our ClusterInterceptor, where this server runs the interceptor.
    pub interceptor: Option<String>,
    /// Our CA, PEM.
    pub ca: String,
    /// Where EventSources' Secrets are.
    pub install_namespace: String,
    /// Where Grants' accounts are.
    pub grants_namespace: String,
}

#[async_trait]
impl Inspect for Inspector {
    async fn look(&self, secrets: Vec<String>) -> ClusterFacts {
        let crds = api::crds().into_iter().filter_map(|crd| crd.metadata.name);
        let crds = crds.map(|name| async move { (name.clone(), self.seen(&name).await) });
        let gates = POLICIES.map(|name| async move {
            let (policy, binding) = join(self.seen(name), self.seen(name)).await;
            Gate { name: name.into(), policy, binding }
        });
        let secrets = secrets.into_iter().map(|name| async {
            let written = self.written(&name).await;
            (name, written)
        });
        let interceptor = async {
            let name = self.interceptor.clone()?;
            let seen = self.seen(&name).await;
            Some((name, seen))
        };
        let (crds, gates, secrets, interceptor, grants) = tokio::join!(
            join_all(crds),
            join_all(gates),
            join_all(secrets),
            interceptor,
            self.seen(&self.grants_namespace)
        );
        ClusterFacts {
            crds,
            interceptor,
            ca: self.ca.clone(),
            gates,
            guard: self.admission.as_ref().map(|guard| guard.check()),
            grants_namespace: Some((self.grants_namespace.clone(), grants)),
            secrets: secrets.into_iter().collect(),
        }
    }
}

impl Inspector {
    async fn seen<K>(&self, name: &str) -> Seen<K>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        Api::<K>::all(self.client.clone()).get_opt(name).await.map_err(|error| error.to_string())
    }

    /// When a Secret's content was last written: a rotated one is as young as its content.
    async fn written(&self, name: &str) -> Seen<DateTime<Utc>> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.install_namespace);
        let secret = secrets.get_metadata_opt(name).await.map_err(|error| error.to_string())?;
        Ok(secret.and_then(|secret| {
            let writes = secret.metadata.managed_fields.iter().flatten().filter_map(|write| write.time.as_ref());
            writes.chain(&secret.metadata.creation_timestamp).map(time::from_kubernetes).max()
        }))
    }
}
