//! What was removed: runs and Grant objects that somebody deleted, also while we were down.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::TryStreamExt as _;
use kube::{
    Api, ResourceExt as _,
    api::ListParams,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use tracing::{info, warn};

use super::{Context, ControllerError};
use crate::{
    api::{Grant, GrantPhase, INSTANCE_LABEL, RevocationReason, tekton::PipelineRun},
    credential::projection,
};

/// How often all live runs are compared with the cluster's.
const COMPARE: Duration = Duration::from_mins(1);

/// A deleted run is an ended run.
pub async fn pipeline_runs(context: Arc<Context>) {
    let runs: Api<PartialObjectMeta<PipelineRun>> = Api::all(context.cluster.patient.clone());
    let events = watcher(runs, watcher::Config::default()).default_backoff();
    let context = &context;
    let watched = events
        .try_for_each(|event| async move {
            if let watcher::Event::Delete(run) = event {
                run_deleted(context, &run.uid().unwrap_or_default()).await;
            }
            Ok(())
        })
        .await;
    if let Err(error) = watched {
        warn!(%error, "the watch for deleted PipelineRuns ended");
    }
}

/// A Grant object deleted by hand is a request to revoke it.
pub async fn grants(context: Arc<Context>) {
    let grants: Api<PartialObjectMeta<Grant>> = Api::all(context.cluster.patient.clone());
    let ours = watcher::Config::default().labels(&format!("{INSTANCE_LABEL}={}", context.instance));
    let events = watcher(grants, ours).default_backoff();
    let context = &context;
    let watched = events
        .try_for_each(|event| async move {
            if let watcher::Event::Delete(grant) = event
                && let Some(id) = projection::id(&grant.name_any())
                && let Ok(Some(row)) = context.store.grant(id).await
                && row.phase == GrantPhase::Active
            {
                info!(grant = %id, "Grant object deleted: revoking");
                match context.store.revoke_grant(id, RevocationReason::Manual).await {
                    Ok(revocations) => context.revoker.revoke(revocations).await,
                    Err(error) => warn!(grant = %id, %error, "can't record the revocation"),
                }
            }
            Ok(())
        })
        .await;
    if let Err(error) = watched {
        warn!(%error, "the watch for deleted Grants ended");
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

async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    let live = context.store.live_runs().await?;
    let namespaces: HashSet<_> = live.iter().map(|run| run.namespace.clone()).collect();
    for namespace in namespaces {
        let runs: Api<PipelineRun> = Api::namespaced(context.cluster.patient.clone(), &namespace);
        let there = runs.list_metadata(&ListParams::default()).await;
        let there = there.map_err(ControllerError::kubernetes("listing PipelineRuns"))?;
        let there: HashSet<_> = there.items.iter().filter_map(kube::ResourceExt::uid).collect();
        for run in live.iter().filter(|run| run.namespace == namespace && !there.contains(&run.uid)) {
            run_deleted(context, &run.uid).await;
        }
    }
    Ok(())
}

async fn run_deleted(context: &Arc<Context>, uid: &str) {
    match context.store.run_ended(uid, RevocationReason::RunDeleted).await {
        Ok(revocations) if revocations.is_empty() => {}
        Ok(revocations) => context.revoker.revoke(revocations).await,
        Err(error) => warn!(uid, %error, "can't record that a run was deleted"),
    }
}
