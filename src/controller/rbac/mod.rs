//! GroupRoleBindings: the members of a SCIM group as subjects of RoleBindings, kept up by each SCIM write before it is
//! answered, and by reconciliation.
//!
//! It acts through the impersonated account `scim-tekton-rbac`, which has its own `bind` list, apart from the Grants'.

mod apply;
mod drift;
mod follow;
mod place;
mod plan;
mod proof;
mod shards;
mod sync;
mod wish;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;
use tracing::warn;

pub use drift::put_back;
use proof::Unproven;
use shards::Known;

use super::{Context, ControllerError, Namespaces, catalog::Ready};
use crate::{
    api::GroupRoleBinding, cluster::Cluster, directory::DirectoryCell, identity::IdpName, policy::CatalogCell,
};

/// When one is looked at again, unasked.
const AGAIN: Duration = Duration::from_mins(1);
/// When one that failed is.
const SOON: Duration = Duration::from_secs(5);

/// How an IdP's people are called at the API server (its OIDC username claim and prefix).
#[derive(Clone, Debug, Default)]
pub struct RbacSettings {
    /// `idps[].kubernetes.usernamePrefix`, by IdP; people of an IdP that has none are no subjects.
    pub username_prefixes: BTreeMap<IdpName, String>,
    /// Name of this instance.
    pub instance: String,
}

/// Keeps RoleBindings up with groups.
pub struct RbacSync {
    cluster: Cluster,
    directory: DirectoryCell,
    catalog: CatalogCell,
    /// Whether the catalog knows every GroupRoleBinding.
    ready: Arc<Ready>,
    namespaces: Namespaces,
    settings: RbacSettings,
    unproven: Unproven,
    /// How many RoleBindings each role of a GroupRoleBinding has in a namespace.
    shards: Known,
    /// What the last sync of each GroupRoleBinding in this process left.
    standing: Mutex<HashMap<String, sync::Standing>>,
    /// One writer for each GroupRoleBinding.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl RbacSync {
    /// Over these; it acts in these namespaces only, so that several instances don't overwrite each other's.
    pub fn new(
        cluster: Cluster,
        directory: DirectoryCell,
        (catalog, ready): (CatalogCell, Arc<Ready>),
        namespaces: Namespaces,
        settings: RbacSettings,
    ) -> Self {
        Self {
            cluster,
            directory,
            catalog,
            ready,
            namespaces,
            settings,
            unproven: Unproven::default(),
            shards: Known::default(),
            standing: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let Ok(mut writing) = self.writing.lock() else { return Arc::default() };
        Arc::clone(writing.entry(name.to_owned()).or_default())
    }
}

/// Looks at one GroupRoleBinding: everything is as it says, and nothing of it is elsewhere.
pub async fn reconcile(binding: Arc<GroupRoleBinding>, context: Arc<Context>) -> Result<Action, ControllerError> {
    let synced = context.rbac.sync(&binding, true).await;
    if !synced.ours {
        // Another instance's, which writes its status. A namespace may be labelled as ours later.
        if let Some(why) = synced.trouble() {
            warn!(binding = binding.name_any(), why, "a GroupRoleBinding is not ours, but something of it was");
        }
        return Ok(Action::requeue(AGAIN));
    }
    let (ready, reason, message, subjects) = match synced.trouble() {
        None => ("True", "Applied", String::new(), Some(synced.subjects)),
        Some(why) => {
            warn!(binding = binding.name_any(), why, "a GroupRoleBinding is not applied");
            ("False", "NotApplied", why, None)
        }
    };
    let was = binding.status.as_ref().and_then(|status| status.conditions.first());
    let since = match was {
        Some(condition) if condition.status == ready => json!(condition.last_transition_time),
        _ => json!(crate::cluster::time::to_kubernetes((context.clock)())),
    };
    let status = json!({"status": {
        "observedGeneration": binding.metadata.generation,
        "subjects": subjects,
        "conditions": [{
            "type": "Ready", "status": ready, "reason": reason, "message": message,
            "observedGeneration": binding.metadata.generation, "lastTransitionTime": since,
        }],
    }});
    let api: Api<GroupRoleBinding> = Api::all(context.cluster.patient.clone());
    api.patch_status(&binding.name_any(), &PatchParams::default(), &Patch::Merge(status))
        .await
        .map_err(ControllerError::kubernetes("writing the GroupRoleBinding's status"))?;
    Ok(if ready == "True" { Action::requeue(AGAIN) } else { Action::requeue(SOON) })
}
