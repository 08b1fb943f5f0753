//! From a SCIM write to RoleBindings, seen at every API server, before the write is answered.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::{RbacSync, wish::group_of};
use crate::{
    api::GroupRoleBinding,
    directory::{Change, Directory},
    identity::{ResourceId, ResourceKind},
    store::Provisioned,
};

/// Between attempts: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long attempts are made; then it is left to reconciliation.
const FOLLOW_TIME: Duration = Duration::from_mins(1);

/// Whose people changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Affected {
    /// These groups'.
    Groups(BTreeSet<ResourceId>),
    /// Any group's, also one's that is gone.
    Any,
}

impl RbacSync {
    /// Applies what the GroupRoleBindings gain and lose by this write, and waits until every API server has seen it.
    /// What fails is tried again: its caller bounds only the wait.
    pub async fn follow(&self, provisioned: &Provisioned) {
        if timeout(FOLLOW_TIME, self.ready.wait()).await.is_err() {
            warn!("not every GroupRoleBinding is known yet; a change is followed in those that are");
        }
        self.count_behind();
        let catalog = self.catalog.load_full();
        let directory = self.directory.load_full();
        let affected = affected(provisioned, &directory);
        let work = catalog.group_role_bindings().filter(|binding| {
            // An identity provider that asks again waits for what its first request has not finished, though that process
            // has died.
            !self.is_settled(&binding.name_any())
                || match group_of(&directory, &binding.spec.group) {
                    Ok(Some(group)) => match &affected {
                        Affected::Groups(groups) => groups.contains(&group),
                        Affected::Any => true,
                    },
                    // Its group may have been the one that was deleted or renamed.
                    Ok(None) => affected == Affected::Any,
                    // Nobody knows whose it is.
                    Err(_) => true,
                }
        });
        join_all(work.map(|binding| self.follow_one(binding))).await;
    }

    async fn follow_one(&self, binding: &Arc<GroupRoleBinding>) {
        let end = Instant::now() + FOLLOW_TIME;
        let mut pause = FIRST_PAUSE;
        loop {
            let synced = self.sync(binding, false).await;
            if let Some(why) = synced.trouble() {
                warn!(binding = binding.name_any(), why, "a RoleBinding does not follow its group yet");
            }
            self.prove(binding, &synced.settled).await;
            if !synced.again() || Instant::now() >= end {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// Who may have turned. It only selects GroupRoleBindings: who did turn, their RoleBindings say.
fn affected(provisioned: &Provisioned, directory: &Directory) -> Affected {
    let mut groups = BTreeSet::new();
    for change in &provisioned.changes {
        match change {
            // Reconciliation adds those who could not be added before.
            Change::Idp(_) | Change::Confirmed(..) | Change::Deleted(ResourceKind::Agent, _) => {}
            Change::Put(resource) if resource.kind == ResourceKind::User => {
                groups.extend(directory.groups_of(resource.id));
            }
            Change::Members { group, .. } => {
                groups.insert(*group);
                groups.extend(directory.groups_of(*group));
            }
            // No RoleBinding names an Agent. A renamed group may be named by other bindings now, and no longer by its
            // own. A PATCH that states what is so already changes nothing.
            Change::Put(resource) if resource.kind == ResourceKind::Agent || !provisioned.changed => {}
            Change::Put(_) | Change::Deleted(..) => return Affected::Any,
        }
    }
    Affected::Groups(groups)
}
