//! Making the RoleBindings of one GroupRoleBinding what they should be.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use k8s_openapi::{
    api::rbac::v1::{RoleBinding, RoleRef as KubernetesRoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
};
use tracing::info;

use super::{RbacSync, group_of};
use crate::{
    api::{GROUP_ROLE_BINDING_LABEL, GroupRoleBinding, INSTANCE_LABEL, RoleRef},
    audit::hex,
    cluster::{is_conflict, is_not_found},
    directory::Directory,
};

/// Version of the Directory that a RoleBinding was made from: drift repair must not put a leaver back.
const SEQ_ANNOTATION: &str = "scim-tekton.dev/directory-seq";
/// A RoleBinding of more subjects nears etcd's limit of 1.5 MB an object.
const MOST_SUBJECTS: usize = 1_000;
/// Writers that conflict read again; more often than this is not bad luck.
const ATTEMPTS: usize = 8;

impl RbacSync {
    /// Makes the RoleBindings what the Directory says now. Returns how many people hold the roles. `prune` also
    /// removes what an older version of the GroupRoleBinding left elsewhere.
    pub(super) async fn sync(&self, binding: &GroupRoleBinding, prune: bool) -> Result<i64, String> {
        let lock = self.lock(&binding.name_any());
        let _writing = lock.lock().await;
        let namespaces = binding.spec.namespaces.as_ref().map(|namespaces| namespaces.names.as_slice());
        let mut names = Vec::new();
        let mut count = 0;
        for namespace in namespaces.unwrap_or_default() {
            for role in &binding.spec.role_refs {
                count = self.apply(binding, namespace, role).await?;
                names.push((namespace.clone(), name(binding, role)));
            }
        }
        if prune {
            self.prune(binding, &names).await?;
        }
        i64::try_from(count).map_err(|error| error.to_string())
    }

    async fn apply(&self, binding: &GroupRoleBinding, namespace: &str, role: &RoleRef) -> Result<usize, String> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.rbac.clone(), namespace);
        let name = name(binding, role);
        for _ in 0..ATTEMPTS {
            let live = bindings.get_opt(&name).await.map_err(|error| format!("reading {namespace}/{name}: {error}"))?;
            // Loaded after the live object was read: what is written is never older than what is there.
            let directory = self.directory.load_full();
            let subjects = self.subjects(binding, &directory)?;
            let written = match live {
                None if subjects.is_empty() => return Ok(0),
                None => {
                    let new = self.role_binding(binding, namespace, role, &subjects, directory.seq());
                    bindings.create(&PostParams::default(), &new).await.map(drop)
                }
                Some(live) if seq(&live) > directory.seq() => {
                    return Err("the Directory is older than the binding".into());
                }
                Some(live) if subjects.is_empty() => {
                    let preconditions = Preconditions { uid: live.uid(), resource_version: live.resource_version() };
                    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                    bindings.delete(&name, &params).await.map(drop)
                }
                Some(live) if users(&live).eq(subjects.iter().map(String::as_str)) => return Ok(subjects.len()),
                Some(live) => {
                    let mut new = self.role_binding(binding, namespace, role, &subjects, directory.seq());
                    new.metadata.resource_version = live.resource_version();
                    bindings.replace(&name, &PostParams::default(), &new).await.map(drop)
                }
            };
            match written {
                Ok(()) => {
                    info!(namespace, name, subjects = subjects.len(), "RoleBinding follows its group");
                    return Ok(subjects.len());
                }
                Err(error) if is_conflict(&error) || is_not_found(&error) => {}
                Err(error) => return Err(format!("writing {namespace}/{name}: {error}")),
            }
        }
        Err(format!("{namespace}/{name} changes faster than it can be written"))
    }

    /// The people of the group, as the API server calls them, sorted.
    fn subjects(&self, binding: &GroupRoleBinding, directory: &Directory) -> Result<Vec<String>, String> {
        let Some(group) = group_of(directory, &binding.spec.group)? else { return Ok(Vec::new()) };
        let mut subjects: Vec<_> = directory
            .users_in(group)
            .filter(|user| user.active)
            .filter_map(|user| self.kubernetes_name(&user.idp, &user.user_name))
            .collect();
        subjects.sort_unstable();
        if subjects.len() > MOST_SUBJECTS {
            return Err(format!(
                "the group has {} people; more than {MOST_SUBJECTS} are not supported yet",
                subjects.len()
            ));
        }
        Ok(subjects)
    }

    fn role_binding(
        &self,
        binding: &GroupRoleBinding,
        namespace: &str,
        role: &RoleRef,
        subjects: &[String],
        seq: i64,
    ) -> RoleBinding {
        RoleBinding {
            metadata: ObjectMeta {
                name: Some(name(binding, role)),
                namespace: Some(namespace.to_owned()),
                labels: Some(BTreeMap::from([
                    (GROUP_ROLE_BINDING_LABEL.to_owned(), binding.name_any()),
                    (INSTANCE_LABEL.to_owned(), self.settings.instance.clone()),
                ])),
                annotations: Some(BTreeMap::from([(SEQ_ANNOTATION.to_owned(), seq.to_string())])),
                // Deleting the GroupRoleBinding takes its RoleBindings with it, also while we are down.
                owner_references: Some(vec![OwnerReference {
                    api_version: format!("{}/{}", crate::api::GROUP, crate::api::VERSION),
                    kind: "GroupRoleBinding".into(),
                    name: binding.name_any(),
                    uid: binding.uid().unwrap_or_default(),
                    controller: Some(true),
                    block_owner_deletion: Some(false),
                }]),
                ..ObjectMeta::default()
            },
            role_ref: KubernetesRoleRef {
                api_group: Some("rbac.authorization.k8s.io".into()),
                kind: role.kind.as_str().into(),
                name: role.name.clone(),
            },
            subjects: Some(
                subjects
                    .iter()
                    .map(|user| Subject {
                        api_group: Some("rbac.authorization.k8s.io".into()),
                        kind: "User".into(),
                        name: user.clone(),
                        namespace: None,
                    })
                    .collect(),
            ),
        }
    }

    async fn prune(&self, binding: &GroupRoleBinding, keep: &[(String, String)]) -> Result<(), String> {
        let all: Api<RoleBinding> = Api::all(self.cluster.rbac.clone());
        let instance = &self.settings.instance;
        let labels = format!("{GROUP_ROLE_BINDING_LABEL}={},{INSTANCE_LABEL}={instance}", binding.name_any());
        let found = all.list_metadata(&ListParams::default().labels(&labels)).await;
        for stray in found.map_err(|error| format!("listing RoleBindings: {error}"))? {
            let place = (stray.namespace().unwrap_or_default(), stray.name_any());
            if keep.contains(&place) {
                continue;
            }
            let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.rbac.clone(), &place.0);
            match bindings.delete(&place.1, &DeleteParams::default()).await {
                Err(error) if !is_not_found(&error) => return Err(format!("pruning {}/{}: {error}", place.0, place.1)),
                _ => info!(namespace = place.0, name = place.1, "RoleBinding pruned"),
            }
        }
        Ok(())
    }
}

/// Name of the RoleBinding of one role: role names may hold what object names may not, so they are hashed.
pub(super) fn name(binding: &GroupRoleBinding, role: &RoleRef) -> String {
    let text = format!("{}/{}", role.kind.as_str(), role.name);
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let short = hash.as_ref().get(..5).map(hex).unwrap_or_default();
    format!("scim-{}-{short}", binding.name_any())
}

fn seq(binding: &RoleBinding) -> i64 {
    binding.annotations().get(SEQ_ANNOTATION).and_then(|seq| seq.parse().ok()).unwrap_or(0)
}

fn users(binding: &RoleBinding) -> impl Iterator<Item = &str> {
    binding.subjects.iter().flatten().map(|subject| subject.name.as_str())
}
