//! Finishing what was begun: intents that no task of this process is executing, after a restart or a failed attempt.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use tracing::{error, info};

use super::Revoker;
use crate::{
    api::{GrantPhase, RevocationReason},
    store::{GrantSelect, Revocations, StoreError},
};

/// How many revocations one sweep has under way.
const AT_ONCE: usize = 64;
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
        metrics::gauge!(crate::telemetry::metric::REVOCATIONS_PENDING).set(grants.len() as f64);
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
            // People who are gone first; never more at once than one API server takes gladly.
            let (gone, rest): (Vec<_>, Vec<_>) =
                grants.into_iter().partition(|grant| grant.reason.is_some_and(RevocationReason::person_is_gone));
            self.revoke(Revocations { grants: Vec::new(), runs }).await;
            let all = stream::iter(gone.into_iter().chain(rest)).map(|grant| {
                let this = Arc::clone(self);
                async move { this.revoke_grant(grant.id).await }
            });
            all.buffer_unordered(AT_ONCE).collect::<()>().await;
        }
        Ok(())
    }
}
