//! What a SCIM write waits for: the credentials that it ends, and the RoleBindings that it changes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::warn;

use super::RbacSync;
use crate::{
    revocation::{Enforce, Revoker},
    store::Provisioned,
};

/// How long a write waits for a cluster in which nobody answered a moment ago. Not zero: the API servers may be back,
/// and then a revocation takes some tens of milliseconds.
const GLANCE: Duration = Duration::from_millis(500);

/// Enforces in the cluster, within a bounded time.
pub struct Enforcer {
    revoker: Arc<Revoker>,
    rbac: Arc<RbacSync>,
    wait: Duration,
}

impl Enforcer {
    /// Waits at most this long (`scim.revocationWait`).
    pub fn new(revoker: Arc<Revoker>, rbac: Arc<RbacSync>, wait: Duration) -> Self {
        Self { revoker, rbac, wait }
    }
}

#[async_trait]
impl Enforce for Enforcer {
    async fn enforce(&self, provisioned: &Provisioned) {
        let (revoker, rbac, provisioned) = (Arc::clone(&self.revoker), Arc::clone(&self.rbac), provisioned.clone());
        // A task of its own: what is not done when the wait is over goes on.
        let work = tokio::spawn(async move {
            let bindings = rbac.follow(&provisioned);
            let revocations = revoker.revoke(provisioned.revocations.clone());
            tokio::join!(revocations, bindings);
        });
        let wait = if self.revoker.cluster_is_down() { self.wait.min(GLANCE) } else { self.wait };
        if !matches!(tokio::time::timeout(wait, work).await, Ok(Ok(()))) {
            metrics::counter!(crate::telemetry::metric::REVOCATION_WAIT_EXCEEDED).increment(1);
            warn!("answering before all is proven; the rest is durable and goes on");
        }
    }
}
