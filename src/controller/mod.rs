//! The controllers: PipelineRuns (redeem, start, end), CustomRuns (issue), Grants, GroupRoleBindings, and the watches
//! that feed the policies' catalog. All of it is level-triggered: what an event told is only a reason to look.
//!
//! Uses `revocation`, `credential`, `store`, `cluster`, `policy`, `directory`.

pub mod catalog;
mod custom_run;
mod enforce;
mod issue;
mod namespaces;
mod pipeline_run;
mod rbac;
mod removals;
mod renew;
mod sources;

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Resource,
    core::DeserializeGuard,
    runtime::{Controller, controller::Action, watcher},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::{debug, warn};

pub use enforce::Enforcer;
pub use namespaces::Namespaces;
pub use rbac::{RbacSettings, RbacSync};

use crate::{
    clock::Clock,
    cluster::{Cluster, Events},
    credential::{kubernetes::KubernetesProvider, oidc::OidcProvider},
    directory::DirectoryCell,
    policy::CatalogCell,
    revocation::Revoker,
    store::{Store, StoreError},
};

/// What all controllers share.
pub struct Context {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The API servers.
    pub cluster: Cluster,
    /// The identities.
    pub directory: DirectoryCell,
    /// The policies in force.
    pub catalog: CatalogCell,
    /// Whether the catalog is complete.
    pub catalog_ready: Arc<catalog::Ready>,
    /// What takes credentials back.
    pub revoker: Arc<Revoker>,
    /// Provider `kubernetes`.
    pub kubernetes: Arc<KubernetesProvider>,
    /// Provider `oidc`.
    pub oidc: Arc<OidcProvider>,
    /// GroupRoleBindings.
    pub rbac: Arc<RbacSync>,
    /// How we speak to people.
    pub events: Events,
    /// Where we act.
    pub namespaces: Namespaces,
    /// Time.
    pub clock: Clock,
    /// Name of our ClusterInterceptor: tells several instances in one cluster apart.
    pub instance: String,
    /// Where EventSources' secrets are.
    pub install_namespace: String,
}

/// Why a reconciliation failed; it is tried again with backoff.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// An API server said no or nothing.
    #[error("{doing}: {source}")]
    Kubernetes {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not now.
    #[error("{0}")]
    Later(String),
}

impl ControllerError {
    /// For `map_err` after a call of an API server.
    pub fn kubernetes(doing: &'static str) -> impl Fn(kube::Error) -> Self {
        move |source| Self::Kubernetes { doing, source: Box::new(source) }
    }
}

/// Runs every controller until one of them ends, which is a failure of ours: the process is to exit then.
pub async fn run(context: Arc<Context>) {
    let mut all = JoinSet::new();
    all.spawn(context.cluster.clone().keep_fresh());
    all.spawn(Arc::clone(&context.revoker).sweep());
    all.spawn(catalog::keep(Arc::clone(&context)));
    context.catalog_ready.wait().await;
    all.spawn(reconcile("PipelineRun", Arc::clone(&context), pipeline_run::reconcile));
    all.spawn(reconcile("CustomRun", Arc::clone(&context), custom_run::reconcile));
    all.spawn(reconcile("GroupRoleBinding", Arc::clone(&context), rbac::reconcile));
    all.spawn(removals::pipeline_runs(Arc::clone(&context)));
    all.spawn(removals::grants(Arc::clone(&context)));
    all.spawn(removals::ended_while_we_were_down(Arc::clone(&context)));
    all.spawn(renew::keep(context));
    all.join_next().await;
}

/// One controller of one kind. A foreign object that does not parse is skipped: it must not stop the stream.
async fn reconcile<K, F, Fut>(kind: &'static str, context: Arc<Context>, reconcile: F)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Action, ControllerError>> + Send + 'static,
{
    let api: Api<DeserializeGuard<K>> = Api::all(context.cluster.patient.clone());
    let look = move |guard: Arc<DeserializeGuard<K>>, context: Arc<Context>| {
        let reconcile = reconcile.clone();
        async move {
            match &guard.0 {
                Ok(object) => reconcile(Arc::new(object.clone()), context).await,
                Err(error) => {
                    debug!(kind, name = ?guard.meta().name, %error, "an object that does not parse is not ours");
                    Ok(Action::await_change())
                }
            }
        }
    };
    let again = move |object: Arc<DeserializeGuard<K>>, error: &ControllerError, _: Arc<Context>| {
        metrics::counter!("scim_tekton_reconcile_errors_total", "kind" => kind).increment(1);
        warn!(kind, name = ?object.meta().name, namespace = ?object.meta().namespace, %error, "trying again");
        Action::requeue(Duration::from_secs(2))
    };
    Controller::new(api, watcher::Config::default())
        .run(look, again, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(kind, %error, "reconciliation");
            }
        })
        .await;
}
