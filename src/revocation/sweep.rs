//! Finishing what was begun: intents that no task of this process is executing, after a restart or a failed attempt.

use std::{sync::Arc, time::Duration};

use tracing::{error, info};

use super::Revoker;
use crate::{
    api::{GrantPhase, RevocationReason},
    store::{GrantSelect, Revocations, StoreError},
};

/// How often the store is asked what is left to do.
const PAUSE: Duration = Duration::from_secs(2);

impl Revoker {
    /// Looks for what is left to do, for ever.
    pub async fn sweep(self: Arc<Self>) {
        loop {
            if let Err(error) = self.sweep_once().await {
                error!(%error, "can't look for pending revocations");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn sweep_once(self: &Arc<Self>) -> Result<(), StoreError> {
        let phases = vec![GrantPhase::Revoking, GrantPhase::Failed];
        let select = GrantSelect { phases, unfinished: true, ..GrantSelect::default() };
        let grants = self.store.grants(&select).await?;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("scim_tekton_revocations_pending").set(grants.len() as f64);
        let runs: Vec<_> = self
            .store
            .runs_to_cancel()
            .await?
            .into_iter()
            .map(|run| {
                let reason = run.ended_reason.unwrap_or(RevocationReason::Manual);
                (run, reason)
            })
            .collect();
        if !grants.is_empty() || !runs.is_empty() {
            info!(grants = grants.len(), runs = runs.len(), "revocations to finish");
            self.revoke(Revocations { grants, runs }).await;
        }
        Ok(())
    }
}
