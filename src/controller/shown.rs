//! The Grant objects against their rows. A process that died between the two has left one that tells of what was: an
//! auditor would read there that a dead credential lives.

use std::sync::Arc;

use kube::{Api, ResourceExt as _, api::ListParams};

use super::{Context, ControllerError};
use crate::{
    api::{Grant, GrantPhase, INSTANCE_LABEL},
    credential::projection,
};

/// Shows anew what is told otherwise than it is. Whoever is told to be dead stays so, and is not looked at.
pub async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    let grants: Api<Grant> = Api::all(context.cluster.patient.clone());
    // From the API server's memory: what that has not heard of yet is seen the next time.
    let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={}", context.instance)).match_any();
    let there = grants.list(&ours).await.map_err(ControllerError::kubernetes("listing Grants"))?;
    for object in there.items {
        if object.status.as_ref().is_some_and(|status| status.phase == GrantPhase::Revoked) {
            continue;
        }
        let Some(id) = projection::id(&object.name_any()) else { continue };
        if context.store.grant(id).await?.is_some_and(|grant| !projection::tells(&object, &grant)) {
            context.revoker.projector.show(id);
        }
    }
    Ok(())
}
