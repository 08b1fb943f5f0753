//! What follows in the world from a command of the command line.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::{error, warn};

use super::control::Effects;
use crate::{
    revocation::Revoker,
    scim::TokenTable,
    store::{Revocations, Store},
};

/// Carries it out.
pub struct Commanded {
    /// Where there is a cluster.
    pub revoker: Option<Arc<Revoker>>,
    /// How long a command waits for it.
    pub wait: Duration,
    /// Who may provision.
    pub tokens: Arc<TokenTable>,
    /// The truth.
    pub store: Arc<dyn Store>,
}

#[async_trait]
impl Effects for Commanded {
    async fn revoke(&self, revocations: Revocations) {
        let Some(revoker) = self.revoker.clone() else { return };
        let work = tokio::spawn(async move { revoker.revoke(revocations).await });
        if !matches!(tokio::time::timeout(self.wait, work).await, Ok(Ok(()))) {
            warn!("answering before all is proven; the rest is durable and goes on");
        }
    }

    async fn tokens_changed(&self) {
        if let Err(error) = self.tokens.reload(&*self.store).await {
            error!(%error, "can't reload the bearer tokens");
        }
    }
}
