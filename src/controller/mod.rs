//! The controllers: PipelineRuns (redeem, start, end), CustomRuns (issue), Grants, GroupRoleBindings, what is found out
//! about AccessPolicies and CredentialTemplates, the check that the admission policies hold, and the watches that feed
//! the policies' catalog. All of it is level-triggered: what an event told is only a reason to look.
//!
//! Uses `revocation`, `credential`, `store`, `cluster`, `policy`, `directory`.

mod access_policy;
pub mod admission;
mod attempts;
pub mod catalog;
mod copies;
mod credential_template;
mod custom_run;
mod enforce;
#[cfg(test)]
mod fixture;
mod issue;
mod matrix;
#[cfg(test)]
mod model;
mod namespaces;
mod objects;
mod pipeline_run;
mod rbac;
mod removals;
mod renew;
mod renewals;
mod shown;
mod sources;
mod status;

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Resource,
    core::DeserializeGuard,
    runtime::{Controller, controller::Action, watcher},
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

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
    /// Whether our admission policies hold.
    pub admission: Arc<admission::Guard>,
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
    /// Where Grants' accounts are.
    pub grants_namespace: String,
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

/// How long a watch may be silent before it is opened anew: an API server that hangs must not blind us for minutes.
const WATCH_SECONDS: u32 = 30;

/// The configuration of every watch.
fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Runs every controller until one of them ends, which is a failure of ours: the process is to exit then.
pub async fn run(context: Arc<Context>) {
    let mut all = JoinSet::new();
    all.spawn(named("API servers", context.cluster.clone().keep_fresh()));
    all.spawn(named("admission policies", admission::keep(Arc::clone(&context))));
    all.spawn(named("sweep", Arc::clone(&context.revoker).sweep()));
    all.spawn(named("catalog", catalog::keep(Arc::clone(&context))));
    all.spawn(named("controllers", async move {
        // Nothing is judged before the policies are known.
        context.catalog_ready.wait().await;
        controllers(context).await;
    }));
    if let Some(Ok(name)) = all.join_next().await {
        error!(name, "a part of the controller has ended");
    }
}

async fn controllers(context: Arc<Context>) {
    let mut all = JoinSet::new();
    all.spawn(named("PipelineRun", reconcile("PipelineRun", Arc::clone(&context), pipeline_run::reconcile)));
    all.spawn(named("CustomRun", reconcile("CustomRun", Arc::clone(&context), custom_run::reconcile)));
    all.spawn(named("GroupRoleBinding", reconcile("GroupRoleBinding", Arc::clone(&context), rbac::reconcile)));
    all.spawn(named("AccessPolicy", reconcile("AccessPolicy", Arc::clone(&context), access_policy::reconcile)));
    all.spawn(named(
        "CredentialTemplate",
        reconcile("CredentialTemplate", Arc::clone(&context), credential_template::reconcile),
    ));
    all.spawn(named("deleted PipelineRuns", removals::pipeline_runs(Arc::clone(&context))));
    all.spawn(named("deleted Grants", removals::grants(Arc::clone(&context))));
    all.spawn(named("deleted RoleBindings", removals::role_bindings(Arc::clone(&context))));
    all.spawn(named("changed RoleBindings", rbac::put_back(Arc::clone(&context))));
    all.spawn(named("comparison", removals::ended_while_we_were_down(Arc::clone(&context))));
    all.spawn(named("renewal", renew::keep(context)));
    if let Some(Ok(name)) = all.join_next().await {
        error!(name, "a controller has ended");
    }
}

/// Gives its name when it ends.
async fn named(name: &'static str, work: impl Future<Output = ()>) -> &'static str {
    work.await;
    name
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
        metrics::counter!(crate::telemetry::metric::RECONCILE_ERRORS, "kind" => kind).increment(1);
        warn!(kind, name = ?object.meta().name, namespace = ?object.meta().namespace, %error, "trying again");
        Action::requeue(Duration::from_secs(2))
    };
    Controller::new(api, watch_config())
        .run(look, again, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(kind, %error, "reconciliation");
            }
        })
        .await;
}
