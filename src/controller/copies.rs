//! The copies of credentials in runs' namespaces. One that somebody deleted is replaced by a fresh credential, quietly.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use tracing::{info, warn};

use super::{Context, ControllerError, renew};
use crate::{
    api::GrantPhase,
    cluster::is_terminating,
    credential::delivery,
    store::{GrantRecord, GrantSelect},
};

/// Copies that are looked for at once.
const AT_ONCE: usize = 8;

/// Looks for the copy of every Active Grant.
pub async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    let active = GrantSelect { phases: vec![GrantPhase::Active], ..GrantSelect::default() };
    let active = context.store.grants(&active).await?;
    let all = stream::iter(active).map(|grant| look(context, grant));
    all.buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

async fn look(context: &Arc<Context>, grant: GrantRecord) {
    // Whoever issues it now is about to write it.
    if context.revoker.issuing.is_busy(grant.id) {
        return;
    }
    match delivery::is_gone(&context.cluster.direct, &grant, &context.instance).await {
        Ok(true) => {
            info!(grant = %grant.id, run = grant.run_name, "the credential's Secret is gone: a fresh one");
            renew::renew(Arc::clone(context), grant).await;
        }
        Ok(false) => {}
        // The run goes with its namespace.
        Err(error) if is_terminating(&error) => {}
        Err(error) => warn!(grant = %grant.id, %error, "can't tell whether the credential's Secret is there"),
    }
}
