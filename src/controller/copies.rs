//! The copies of credentials in runs' namespaces. One that somebody deleted is replaced by a fresh credential, quietly;
//! one that a late request made for a Grant that has ended is taken away again.

use std::sync::Arc;

use chrono::Duration;
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

/// How long after a Grant's end the request of a process that died may still make its copy: longer than an API server
/// works on any request.
const LATE: Duration = Duration::minutes(2);

/// Looks for the copy of every Active Grant, and takes away what may have come after one's end: we may not list Secrets
/// here, so each is deleted by its name.
pub async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    let active = GrantSelect { phases: vec![GrantPhase::Active], ..GrantSelect::default() };
    let active = context.store.grants(&active).await?;
    let all = stream::iter(active).map(|grant| look(context, grant));
    all.buffer_unordered(AT_ONCE).collect::<()>().await;
    let ended = GrantSelect { ended_since: Some((context.clock)() - LATE), ..GrantSelect::default() };
    let ended = context.store.grants(&ended).await?;
    let all = stream::iter(ended).map(|grant| withdraw_again(context, grant));
    all.buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

async fn withdraw_again(context: &Arc<Context>, grant: GrantRecord) {
    match delivery::withdraw(&context.cluster.direct, &grant).await {
        Err(error) if !is_terminating(&error) => warn!(grant = %grant.id, %error, "can't withdraw a copy again"),
        _ => {}
    }
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
