//! GroupRoleBindings: the members of a SCIM group as subjects of RoleBindings, kept up by each SCIM write before it is
//! answered, and by reconciliation.
//!
//! It acts through the impersonated account `scim-tekton-rbac`, which has its own `bind` list, apart from the Grants'.

mod apply;
mod follow;

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

use super::{Context, ControllerError};
use crate::{
    api::{GroupRef, GroupRoleBinding},
    cluster::Cluster,
    directory::{Directory, DirectoryCell},
    identity::{IdpName, ResourceId},
    policy::CatalogCell,
};

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
    settings: RbacSettings,
    /// One writer for each GroupRoleBinding.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl RbacSync {
    /// Over these.
    pub fn new(cluster: Cluster, directory: DirectoryCell, catalog: CatalogCell, settings: RbacSettings) -> Self {
        Self { cluster, directory, catalog, settings, writing: Mutex::default() }
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let Ok(mut writing) = self.writing.lock() else { return Arc::default() };
        Arc::clone(writing.entry(name.to_owned()).or_default())
    }

    /// The name of a user at the API server; none for people who can't log in there, and never a `system:` name.
    fn kubernetes_name(&self, idp: &IdpName, user_name: &str) -> Option<String> {
        let prefix = self.settings.username_prefixes.get(idp)?;
        let name = format!("{prefix}{user_name}");
        (!name.starts_with("system:")).then_some(name)
    }
}

/// The group that a GroupRoleBinding names.
fn group_of(directory: &Directory, group: &GroupRef) -> Result<Option<ResourceId>, String> {
    if let Some(id) = &group.id {
        let id: ResourceId = id.parse().map_err(|_| format!("spec.group.id {id:?} is no SCIM id of ours (a UUID)"))?;
        return Ok(directory.group(id).map(|group| group.id));
    }
    let idp = match (&group.idp, directory.idps().len()) {
        (Some(idp), _) => IdpName::from(idp.as_str()),
        (None, 1) => directory.idps().iter().next().cloned().unwrap_or_else(|| IdpName::from("")),
        (None, 0) => return Ok(None),
        (None, _) => return Err("spec.group.idp is required where several identity providers exist".into()),
    };
    let name = group.display_name.as_deref().unwrap_or_default();
    Ok(directory.group_by_name(&idp, name).map(|group| group.id))
}

/// Looks at one GroupRoleBinding: everything is as it says, and nothing of it is elsewhere.
pub async fn reconcile(binding: Arc<GroupRoleBinding>, context: Arc<Context>) -> Result<Action, ControllerError> {
    let namespaces = binding.spec.namespaces.iter().flat_map(|namespaces| &namespaces.names);
    let mut ours = false;
    for namespace in namespaces {
        let selected = context.namespaces.selects(namespace).await;
        ours |= selected.map_err(ControllerError::kubernetes("looking whether the namespace is ours"))?;
    }
    if !ours {
        return Ok(Action::await_change());
    }
    let (ready, reason, message, subjects) = match context.rbac.sync(&binding, true).await {
        Ok(subjects) => ("True", "Applied", String::new(), Some(subjects)),
        Err(why) => {
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
    Ok(if ready == "True" { Action::requeue(Duration::from_mins(1)) } else { Action::requeue(Duration::from_secs(5)) })
}
