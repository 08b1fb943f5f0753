//! What is done every now and then, for as long as the process lives.

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tracing::error;

use super::cluster;
use crate::{
    clock::Clock,
    config::Config,
    interceptor::InterceptorState,
    keys::{CertificateAuthority, LeafCell},
    scim::TokenTable,
    store::Store,
};

/// Keeps the metrics' memory bounded.
pub async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}

/// Writes the audit rows of refused events whose minute is over.
pub async fn flush_refusals(state: InterceptorState) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        state.flush_refusals().await;
    }
}

/// Writes when tokens were last used.
pub async fn write_token_use(tokens: Arc<TokenTable>, store: Arc<dyn Store>) {
    loop {
        tokio::time::sleep(Duration::from_mins(1)).await;
        if let Err(error) = tokens.write_use(&*store).await {
            error!(%error, "can't write when the bearer tokens were last used");
        }
    }
}

/// Shows a fresh certificate before the old one ends; the CA stays, so EventListeners notice nothing.
pub async fn tend_leaf(config: Config, ca: Arc<CertificateAuthority>, leaf: Arc<LeafCell>, clock: Clock) {
    loop {
        tokio::time::sleep(Duration::from_hours(1)).await;
        if leaf.get().needs_renewal(clock()) {
            match ca.issue(&cluster::server_names(&config), &cluster::addresses(&config), clock()) {
                Ok(fresh) => leaf.set(fresh),
                Err(error) => error!(%error, "can't renew our certificate"),
            }
        }
    }
}
