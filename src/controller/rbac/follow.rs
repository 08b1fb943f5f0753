//! From a SCIM write to RoleBindings, seen at every API server, before the write is answered.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{RbacSync, apply, group_of};
use crate::{
    api::{GroupRoleBinding, RoleRef},
    cluster::{Action, ApiServer, Verdict},
    credential::kubernetes::actions,
    directory::{Change, Directory},
    identity::{ResourceId, ResourceKind},
    store::Provisioned,
};

const PAUSE: Duration = Duration::from_millis(3);
const PROOF_TIME: Duration = Duration::from_secs(4);

/// Somebody whose rights a change turned, as the API server calls them. One for each direction is enough: a binding
/// changes as a whole.
#[derive(Clone, Debug, Default)]
struct Turned {
    gained: Option<String>,
    lost: Option<String>,
}

impl RbacSync {
    /// Applies what the GroupRoleBindings gain and lose by this write, and waits until every API server has seen it.
    pub async fn follow(&self, provisioned: &Provisioned) {
        let catalog = self.catalog.load_full();
        if catalog.group_role_bindings().next().is_none() {
            return;
        }
        let directory = self.directory.load_full();
        let Some((groups, turned)) = self.affected(provisioned, &directory) else { return };
        let work = catalog.group_role_bindings().filter(|binding| match group_of(&directory, &binding.spec.group) {
            Ok(Some(group)) => groups.as_ref().is_none_or(|groups| groups.contains(&group)),
            // Its group may have been the one that was deleted or renamed.
            Ok(None) => groups.is_none(),
            Err(_) => false,
        });
        join_all(work.map(|binding| self.follow_one(binding, &turned))).await;
    }

    async fn follow_one(&self, binding: &Arc<GroupRoleBinding>, turned: &Turned) {
        if let Err(why) = self.sync(binding, false).await {
            warn!(binding = binding.name_any(), why, "a RoleBinding does not follow its group yet");
            return;
        }
        let namespaces = binding.spec.namespaces.iter().flat_map(|namespaces| &namespaces.names);
        let places = namespaces.flat_map(|namespace| binding.spec.role_refs.iter().map(move |role| (namespace, role)));
        join_all(places.map(|(namespace, role)| self.seen_everywhere(binding, namespace, role, turned))).await;
    }

    async fn seen_everywhere(&self, binding: &GroupRoleBinding, namespace: &str, role: &RoleRef, turned: &Turned) {
        let action = match actions(&self.cluster.direct, role, namespace).await {
            Ok(action) => action,
            Err(error) => {
                warn!(binding = binding.name_any(), %error, "can't see whether the change has arrived");
                return;
            }
        };
        // A role without rules gives nothing and takes nothing.
        let Some(action) = action else { return };
        let name = apply::name(binding, role);
        let servers = self.cluster.servers();
        join_all(servers.iter().map(|server| async {
            tokio::join!(
                self.seen(server, turned.gained.as_deref(), &action, &name, true),
                self.seen(server, turned.lost.as_deref(), &action, &name, false),
            )
        }))
        .await;
    }

    /// Waits until an API server knows. Who lost this binding may hold the right by another one: RBAC's answer names
    /// the binding that allowed it.
    async fn seen(&self, server: &ApiServer, user: Option<&str>, action: &Action, binding: &str, allowed: bool) {
        let Some(user) = user else { return };
        let groups = ["system:authenticated".to_owned()];
        let deadline = Instant::now() + PROOF_TIME;
        loop {
            match server.may_account(user, &groups, action).await {
                Verdict::Allowed(_) if allowed => return,
                Verdict::Allowed(reason) if !allowed && !reason.contains(binding) => return,
                Verdict::Refused if !allowed => return,
                _ if Instant::now() >= deadline => {
                    warn!(address = %server.address, binding, "an API server has not seen a RoleBinding's change");
                    return;
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// The groups whose people changed (`None`: any may have), and somebody to see it by. `None`: nobody's.
    fn affected(
        &self,
        provisioned: &Provisioned,
        directory: &Directory,
    ) -> Option<(Option<BTreeSet<ResourceId>>, Turned)> {
        let mut groups = BTreeSet::new();
        let mut any = false;
        let mut turned = Turned::default();
        for change in &provisioned.changes {
            match change {
                Change::Idp(_) => {}
                Change::Put(resource) if resource.kind == ResourceKind::User => {
                    groups.extend(directory.groups_of(resource.id));
                    let name = self.kubernetes_name(&resource.idp, resource.name());
                    if resource.active() { turned.gained = name } else { turned.lost = name }
                }
                // A renamed group may be named by other bindings now, and no longer by its own.
                Change::Put(_) => any |= provisioned.changed,
                Change::Members { group, added, removed } => {
                    groups.insert(*group);
                    groups.extend(directory.groups_of(*group));
                    turned.gained = turned.gained.or_else(|| self.someone(directory, added));
                    turned.lost = turned.lost.or_else(|| self.someone_outside(directory, removed, *group));
                }
                Change::Deleted(kind, _) => {
                    any = true;
                    if *kind == ResourceKind::User {
                        turned.lost = self.kubernetes_name(&provisioned.resource.idp, provisioned.resource.name());
                    }
                }
            }
        }
        if any {
            return Some((None, turned));
        }
        // Who is in no group has gained nothing: nobody waits for that.
        (!groups.is_empty()).then_some((Some(groups), turned))
    }

    fn someone(&self, directory: &Directory, members: &[ResourceId]) -> Option<String> {
        members.iter().find_map(|id| {
            let user = directory.user(*id).cloned().or_else(|| directory.users_in(*id).next().cloned())?;
            user.active.then(|| self.kubernetes_name(&user.idp, &user.user_name))?
        })
    }

    /// Somebody who is not in the group by another way.
    fn someone_outside(&self, directory: &Directory, members: &[ResourceId], group: ResourceId) -> Option<String> {
        let outside: Vec<_> = members
            .iter()
            .copied()
            .filter(|id| directory.user(*id).is_none() || !directory.groups_of(*id).contains(&group))
            .collect();
        self.someone(directory, &outside)
    }
}
