//! What others did to our RoleBindings is put right when we see it, not only at the next look.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::time::sleep;
use tracing::warn;

use crate::{
    api::{GROUP_ROLE_BINDING_LABEL, INSTANCE_LABEL},
    controller::{Context, watch_config},
};

/// Changes that are looked at together: one SCIM write of ours may change hundreds.
const AT_ONCE: usize = 1_000;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks at every GroupRoleBinding of which a RoleBinding was changed or deleted, for ever. What is as it should be is
/// left alone, our own writes among it.
pub async fn put_back(context: Arc<Context>) {
    let bindings: Api<PartialObjectMeta<RoleBinding>> = Api::all(context.cluster.patient.clone());
    let labels = format!("{INSTANCE_LABEL}={},{GROUP_ROLE_BINDING_LABEL}", context.instance);
    let changes = watcher(bindings, watch_config().labels(&labels)).default_backoff().ready_chunks(AT_ONCE);
    pin_mut!(changes);
    while let Some(changes) = changes.next().await {
        let mut touched = BTreeSet::new();
        for change in changes {
            match change {
                Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => {
                    touched.extend(object.labels().get(GROUP_ROLE_BINDING_LABEL).cloned());
                }
                Ok(_) => {}
                Err(error) => warn!(%error, "the watch of RoleBindings broke; it is opened again"),
            }
        }
        let catalog = context.catalog.load_full();
        for binding in catalog.group_role_bindings().filter(|binding| touched.contains(&binding.name_any())) {
            if let Some(why) = context.rbac.sync(binding, false).await.trouble() {
                warn!(binding = binding.name_any(), why, "what was changed is not put right yet");
            }
        }
        sleep(PAUSE).await;
    }
}
