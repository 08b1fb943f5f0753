//! Who is bound to what: the whole cluster's bindings, and those of our two namespaces.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::{Api, Client, api::ListParams};

use crate::server::control::doctor::{Bindings, Names};

/// Lists what only a list can tell; the Roles that are bound are read by their names.
pub(super) async fn read(client: &Client, names: &Names) -> Result<Bindings, kube::Error> {
    let all = ListParams::default();
    let (cluster_roles, cluster) =
        (Api::<ClusterRole>::all(client.clone()), Api::<ClusterRoleBinding>::all(client.clone()));
    let (install, grants): (Api<RoleBinding>, Api<RoleBinding>) =
        (Api::namespaced(client.clone(), &names.install), Api::namespaced(client.clone(), &names.grants));
    let (cluster_roles, cluster, install, grants) =
        tokio::try_join!(cluster_roles.list(&all), cluster.list(&all), install.list(&all), grants.list(&all))?;
    let local: Vec<_> = install.items.into_iter().chain(grants.items).collect();
    let bound: BTreeSet<(String, String)> = local
        .iter()
        .filter(|binding| binding.role_ref.kind == "Role")
        .filter_map(|binding| Some((binding.metadata.namespace.clone()?, binding.role_ref.name.clone())))
        .collect();
    let roles = try_join_all(bound.into_iter().map(|(namespace, name)| async move {
        Api::<Role>::namespaced(client.clone(), &namespace).get_opt(&name).await
    }));
    let roles = roles.await?.into_iter().flatten().collect();
    Ok(Bindings { cluster_roles: cluster_roles.items, cluster: cluster.items, roles, local })
}
