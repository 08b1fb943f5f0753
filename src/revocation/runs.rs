//! Ending the runs of who lost their entitlement.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tracing::{info, warn};

use super::Revoker;
use crate::{
    api::{RevocationReason, TICKET_ANNOTATION, tekton::PipelineRun},
    clock::rfc3339,
    cluster::is_not_found,
    store::{GrantSelect, RunRecord},
};

/// How long we watch a gone person's pods end, and how often we look.
const PODS_TIME: Duration = Duration::from_mins(1);
const PODS_PAUSE: Duration = Duration::from_millis(250);

impl Revoker {
    /// Asks Tekton to cancel a run. Returns when Tekton was told, or that it could not be told (tried again later).
    pub(super) async fn cancel_run(&self, run: &RunRecord, reason: RevocationReason) -> Option<DateTime<Utc>> {
        fail::fail_point!("revoke::before_cancel");
        let runs: Api<PipelineRun> = Api::namespaced(self.cluster.direct.clone(), &run.namespace);
        // The uid makes sure that a new run of the same name is left alone: a changed uid is a conflict.
        let patch = json!({"metadata": {"uid": run.uid}, "spec": {"status": "Cancelled"}});
        let told = match runs.patch(&run.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => true,
            Err(error) if is_not_found(&error) => true,
            // Refused by Tekton's webhook (400) since it is done, or by the API server since it is another run: looked at,
            // not guessed.
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 409 | 422) => {
                needs_no_cancelling(&runs, run).await
            }
            Err(error) => {
                warn!(run = run.path(), %error, "can't cancel the run; it is tried again");
                false
            }
        };
        if !told {
            return None;
        }
        let at = (self.clock)();
        info!(run = run.path(), reason = reason.as_str(), "run cancelled");
        if !reason.person_is_gone() {
            self.cancelled(run).await;
        }
        Some(at)
    }

    async fn cancelled(&self, run: &RunRecord) {
        if let Err(error) = self.store.run_cancel_done(&run.uid).await {
            warn!(run = run.path(), %error, "can't note that the run is cancelled");
        }
    }

    /// Ends the pods of a person who is gone, and appends to the Receipts what became of the run.
    pub(super) async fn end_pods(&self, run: RunRecord, reason: RevocationReason, cancelled: DateTime<Utc>) {
        let fresh = self.ending.lock().is_ok_and(|mut ending| ending.insert(run.uid.clone()));
        if !fresh {
            return;
        }
        let gone = if reason.person_is_gone() { self.delete_pods(&run).await } else { None };
        // A gone person's run is done with only when its pods are: else the sweep comes back to it.
        if reason.person_is_gone() && gone.is_some() {
            self.cancelled(&run).await;
        }
        self.append(&run, cancelled, gone).await;
        if let Ok(mut ending) = self.ending.lock() {
            ending.remove(&run.uid);
        }
    }

    async fn append(&self, run: &RunRecord, cancelled: DateTime<Utc>, gone: Option<DateTime<Utc>>) {
        let select = GrantSelect { run_uid: Some(run.uid.clone()), ..GrantSelect::default() };
        let grants = match self.store.grants(&select).await {
            Ok(grants) => grants,
            Err(error) => {
                warn!(run = run.path(), %error, "can't append to the receipts");
                return;
            }
        };
        for grant in grants {
            let Some(mut receipt) = grant.receipt else { continue };
            receipt.run_cancelled = receipt.run_cancelled.or_else(|| Some(rfc3339(cancelled)));
            receipt.pods_gone = receipt.pods_gone.or_else(|| gone.map(rfc3339));
            if let Err(error) = self.store.record_receipt(grant.id, &receipt, false).await {
                warn!(grant = %grant.id, %error, "can't append to the receipt");
            }
            self.projector.show(grant.id);
        }
    }

    /// Grace 1, not 0: 0 removes the object without the kubelet's word that the container is dead (FACTS 39). Tekton
    /// may still be making pods when we look first, so we look until none has been there.
    async fn delete_pods(&self, run: &RunRecord) -> Option<DateTime<Utc>> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.direct.clone(), &run.namespace);
        let ours = ListParams::default().labels(&format!("tekton.dev/pipelineRun={}", run.name));
        let delete = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        let deadline = tokio::time::Instant::now() + PODS_TIME;
        while tokio::time::Instant::now() < deadline {
            match pods.list(&ours).await {
                // Also labelled so is Tekton's affinity assistant, which does nothing of the person's and which we may not
                // delete: it has no ticket.
                Ok(found) if !found.items.iter().any(has_ticket) => return Some((self.clock)()),
                Ok(found) => {
                    let ours = found.items.into_iter().filter(has_ticket);
                    let names = ours.filter(|pod| pod.metadata.deletion_timestamp.is_none());
                    join_all(names.filter_map(|pod| pod.metadata.name).map(|name| {
                        let (pods, delete) = (&pods, &delete);
                        async move { pods.delete(&name, delete).await.map(drop) }
                    }))
                    .await;
                }
                Err(error) => warn!(run = run.path(), %error, "can't list the run's pods"),
            }
            tokio::time::sleep(PODS_PAUSE).await;
        }
        warn!(run = run.path(), "the run's pods are still there");
        None
    }
}

/// Tekton copies it from the run.
fn has_ticket(pod: &Pod) -> bool {
    pod.annotations().contains_key(TICKET_ANNOTATION)
}

/// Whether a run that could not be cancelled is another one of its name, or has ended, or is being cancelled.
async fn needs_no_cancelling(runs: &Api<PipelineRun>, run: &RunRecord) -> bool {
    match runs.get_opt(&run.name).await {
        Ok(None) => true,
        Ok(Some(live)) => {
            live.uid().as_deref() != Some(&run.uid)
                || live.spec.status.as_deref() == Some("Cancelled")
                || live.is_done()
        }
        Err(error) => {
            warn!(run = run.path(), %error, "can't look whether the run needs cancelling");
            false
        }
    }
}
