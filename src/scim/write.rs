//! Writes, and what must be true in the world before they are answered.

use std::{future::Future, sync::Arc, time::Instant};

use super::ScimState;
use crate::store::{Provisioned, Store, StoreError};

/// Writes to the store, then takes away in the world what the write took away, then returns: so an IdP that has its 200
/// knows that the person's credentials have lost their power.
///
/// Runs in a task of its own. Hyper drops a handler when its client goes away, and an IdP that gives up after a few
/// seconds must not thereby keep a leaver's credentials alive. The server waits for these tasks when it stops
/// (`ScimState::writes`).
pub(super) async fn settle<F, W>(state: &ScimState, write: F) -> Result<Provisioned, StoreError>
where
    F: FnOnce(Arc<dyn Store>) -> W,
    W: Future<Output = Result<Provisioned, StoreError>> + Send + 'static,
{
    let write = write(Arc::clone(&state.store));
    let enforce = Arc::clone(&state.enforce);
    let span = tracing::Span::current();
    let task = state.writes.spawn(tracing::Instrument::instrument(
        async move {
            let start = Instant::now();
            let provisioned = write.await?;
            let stored = start.elapsed();
            fail::fail_point!("provision::before_enforce");
            // Also where nothing changed: an IdP that asks again waits for what its first request has not finished.
            enforce.enforce(&provisioned).await;
            fail::fail_point!("provision::before_answer");
            tracing::info!(
                kind = provisioned.resource.kind.as_str(),
                id = %provisioned.resource.id,
                seq = provisioned.seq,
                changed = provisioned.changed,
                grants = provisioned.revocations.grants.len(),
                runs = provisioned.revocations.runs.len(),
                stored_us = stored.as_micros(),
                enforced_us = start.elapsed().saturating_sub(stored).as_micros(),
                "provisioned"
            );
            for attribute in provisioned.resource.misfit_accounts() {
                let id = provisioned.resource.id;
                tracing::warn!(%id, attribute, "expected a numeric account id: as it is, it links nobody");
            }
            Ok(provisioned)
        },
        span,
    ));
    task.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
}
