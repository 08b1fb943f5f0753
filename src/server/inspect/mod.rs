//! What `doctor` asks the API servers. Everything but bindings and ClusterRoles is read by its name, and of Secrets only
//! when they were written.

mod bindings;
mod skews;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{
    StreamExt as _,
    future::{join, join_all},
    stream,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::control::doctor::{Account, Bindings, ClusterFacts, Gate, Inspect, Names, Right, Seen, Skew};
use crate::{
    api,
    clock::Clock,
    cluster::{Cluster, Verdict, may_we, time},
    controller::admission::{Guard, POLICIES},
};

/// How many questions are asked at a time.
const AT_A_TIME: usize = 16;

/// Looks with our own account, without retries and with a time limit: somebody waits at a terminal.
pub struct Inspector {
    /// The API servers.
    pub cluster: Cluster,
    /// What the running check says, where this server runs the controller.
    pub admission: Option<Arc<Guard>>,
    /// What is called how.
    pub names: Names,
    /// Whether this server runs the interceptor.
    pub intercepts: bool,
    /// Our CA, PEM.
    pub ca: String,
    /// Time.
    pub clock: Clock,
}

#[async_trait]
impl Inspect for Inspector {
    fn names(&self) -> &Names {
        &self.names
    }

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
            let name = self.intercepts.then(|| self.names.interceptor.clone())?;
            let seen = self.seen(&name).await;
            Some((name, seen))
        };
        let (crds, gates, secrets, interceptor, grants) = tokio::join!(
            join_all(crds),
            join_all(gates),
            join_all(secrets),
            interceptor,
            self.seen(&self.names.grants)
        );
        ClusterFacts {
            crds,
            interceptor,
            ca: self.ca.clone(),
            gates,
            guard: self.admission.as_ref().map(|guard| guard.check()),
            grants_namespace: Some((self.names.grants.clone(), grants)),
            secrets: secrets.into_iter().collect(),
        }
    }

    async fn may(&self, rights: Vec<Right>) -> Vec<Result<bool, String>> {
        let asked = stream::iter(rights).map(|right| async move {
            let client = match right.account {
                Account::Own => &self.cluster.direct,
                Account::Rbac => &self.cluster.rbac,
            };
            match may_we(client, &right.action).await {
                Verdict::Allowed(_) => Ok(true),
                Verdict::Refused => Ok(false),
                Verdict::Unknown(why) => Err(why),
            }
        });
        asked.buffered(AT_A_TIME).collect().await
    }

    async fn bindings(&self) -> Result<Bindings, String> {
        bindings::read(&self.cluster.direct, &self.names).await.map_err(|error| error.to_string())
    }

    async fn skews(&self) -> Vec<Skew> {
        join_all(self.cluster.servers().iter().map(|server| skews::of(server, &self.clock))).await
    }
}

impl Inspector {
    async fn seen<K>(&self, name: &str) -> Seen<K>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        Api::<K>::all(self.cluster.direct.clone()).get_opt(name).await.map_err(|error| error.to_string())
    }

    /// When a Secret's content was last written: a rotated one is as young as its content.
    async fn written(&self, name: &str) -> Seen<DateTime<Utc>> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.direct.clone(), &self.names.install);
        let secret = secrets.get_metadata_opt(name).await.map_err(|error| error.to_string())?;
        Ok(secret.and_then(|secret| {
            let writes = secret.metadata.managed_fields.iter().flatten().filter_map(|write| write.time.as_ref());
            writes.chain(&secret.metadata.creation_timestamp).map(time::from_kubernetes).max()
        }))
    }
}
