//! What was removed: runs and Grant objects that somebody deleted, also while we were down.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, Resource, ResourceExt as _,
    api::ListParams,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::{Context, ControllerError, copies, objects, shown, watch_config};
use crate::{
    api::{GRANT_LABEL, Grant, GrantPhase, INSTANCE_LABEL, RevocationReason, tekton::PipelineRun},
    credential::projection,
    policy::policy_facts,
    store::{GrantSelect, RunRecord},
};

/// How often all live runs are compared with the cluster's.
const COMPARE: Duration = Duration::from_mins(1);

/// A deleted run is an ended run.
pub async fn pipeline_runs(context: Arc<Context>) {
    let runs: Api<PartialObjectMeta<PipelineRun>> = Api::all(context.cluster.patient.clone());
    deletions("PipelineRun", runs, watch_config(), |run| {
        let context = Arc::clone(&context);
        async move { run_deleted(&context, &run.uid().unwrap_or_default()).await }
    })
    .await;
}

/// A Grant object deleted by hand is a request to revoke it.
pub async fn grants(context: Arc<Context>) {
    let grants: Api<PartialObjectMeta<Grant>> = Api::all(context.cluster.patient.clone());
    let ours = watch_config().labels(&format!("{INSTANCE_LABEL}={}", context.instance));
    deletions("Grant", grants, ours, |grant| {
        let context = Arc::clone(&context);
        async move { grant_deleted(&context, &grant.name_any()).await }
    })
    .await;
}

/// A Grant's RoleBinding deleted by hand is a request to revoke it. Our own revocation deletes it too, but then the
/// Grant is not Active any more.
pub async fn role_bindings(context: Arc<Context>) {
    let bindings: Api<PartialObjectMeta<RoleBinding>> = Api::all(context.cluster.patient.clone());
    let ours = watch_config().labels(&format!("{INSTANCE_LABEL}={},{GRANT_LABEL}", context.instance));
    deletions("RoleBinding", bindings, ours, |binding| {
        let context = Arc::clone(&context);
        async move { objects::role_binding_deleted(&context, &binding).await }
    })
    .await;
}

/// Tells of each deletion, for ever: a watch that breaks is opened again, and what it missed is found by `compare`.
async fn deletions<K, F, Fut>(
    kind: &'static str,
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    mut deleted: F,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    F: FnMut(PartialObjectMeta<K>) -> Fut,
    Fut: Future<Output = ()>,
{
    let events = watcher(api, config).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Delete(object)) => deleted(object).await,
            Ok(_) => {}
            Err(error) => warn!(kind, %error, "a watch broke; it is opened again"),
        }
    }
}

/// What follows from a deleted Grant object.
pub(super) async fn grant_deleted(context: &Arc<Context>, name: &str) {
    if let Some(id) = projection::id(name) {
        objects::revoke_deleted(context, id, |_| true).await;
    }
}

/// Deletions that no watch told us of.
pub async fn ended_while_we_were_down(context: Arc<Context>) {
    loop {
        if let Err(error) = compare(&context).await {
            warn!(%error, "can't compare the live runs with the cluster's");
        }
        tokio::time::sleep(COMPARE).await;
    }
}

/// Level-triggered: every live run and Grant against what is there now. One namespace that can't be read holds up no
/// other.
async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    let live = context.store.live_runs().await?;
    let namespaces: BTreeSet<_> = live.iter().map(|run| run.namespace.clone()).collect();
    for namespace in namespaces {
        let runs: Api<PartialObjectMeta<PipelineRun>> = Api::namespaced(context.cluster.direct.clone(), &namespace);
        match runs.list(&ListParams::default()).await {
            Ok(there) => {
                let there: HashSet<_> = there.items.iter().filter_map(kube::ResourceExt::uid).collect();
                for run in live.iter().filter(|run| run.namespace == namespace && !there.contains(&run.uid)) {
                    run_deleted(context, &run.uid).await;
                }
            }
            Err(error) => warn!(namespace, %error, "can't list PipelineRuns"),
        }
    }
    compare_policies(context, &live).await;
    compare_templates(context).await?;
    // First the Grants that have ended: of those nothing is looked for.
    objects::compare(context).await?;
    copies::compare(context).await?;
    shown::compare(context).await
}

/// Policies that were deleted or changed while no watch told us.
async fn compare_policies(context: &Arc<Context>, live: &[RunRecord]) {
    let policies: BTreeMap<_, _> =
        live.iter().map(|run| (run.policy.uid.as_str(), (&run.namespace, &run.policy.name))).collect();
    let catalog = context.catalog.load_full();
    let directory = context.directory.load_full();
    for (uid, (namespace, name)) in policies {
        let policy = catalog.policy(namespace, name).filter(|policy| policy.uid().as_deref() == Some(uid));
        let facts = policy.and_then(|policy| policy_facts(policy, directory.idps()).ok());
        match context.store.policy_changed(uid, facts.as_ref()).await {
            Ok(revocations) if revocations.is_empty() => {}
            Ok(revocations) => context.revoker.revoke(revocations).await,
            Err(error) => warn!(policy = uid, %error, "can't judge the runs of a policy anew"),
        }
    }
}

/// Templates that were deleted while no watch told us.
async fn compare_templates(context: &Arc<Context>) -> Result<(), ControllerError> {
    let phases = vec![GrantPhase::Pending, GrantPhase::Active];
    let catalog = context.catalog.load_full();
    for grant in context.store.grants(&GrantSelect { phases, ..GrantSelect::default() }).await? {
        let template = catalog.template(&grant.namespace, &grant.template.name);
        if template.is_none_or(|template| template.uid().as_deref() != Some(&grant.template.uid)) {
            let revocations = context.store.revoke_grant(grant.id, RevocationReason::TemplateDeleted).await?;
            context.revoker.revoke(revocations).await;
        }
    }
    Ok(())
}

/// What follows from a deleted run.
pub(super) async fn run_deleted(context: &Arc<Context>, uid: &str) {
    match context.store.run_ended(uid, RevocationReason::RunDeleted).await {
        Ok(revocations) if revocations.is_empty() => {}
        Ok(revocations) => context.revoker.revoke(revocations).await,
        Err(error) => warn!(uid, %error, "can't record that a run was deleted"),
    }
}
