//! From a change to dead credentials: what a SCIM write, a run's end or a person's command takes away is taken away
//! here, from the caller's own task, and proven at every API server.
//!
//! The intents are rows of the store before anything is done, so what is not finished is found again (`sweep`).
//! Uses `credential`, `store`, `cluster`.

mod in_flight;
mod revoker;
mod runs;
mod sweep;

use async_trait::async_trait;

pub use in_flight::*;
pub use revoker::*;

use crate::store::Provisioned;

/// What must have happened in the world before a SCIM write is answered. Bounded by `scim.revocationWait`; what is not
/// done by then is durable and goes on.
#[async_trait]
pub trait Enforce: Send + Sync {
    /// Revokes what lost its entitlement, and applies what GroupRoleBindings gain and lose.
    async fn enforce(&self, provisioned: &Provisioned);
}

/// Enforces nothing: without a cluster there is nothing to enforce in.
#[derive(Debug, Default)]
pub struct NothingToEnforce;

#[async_trait]
impl Enforce for NothingToEnforce {
    async fn enforce(&self, _: &Provisioned) {}
}
