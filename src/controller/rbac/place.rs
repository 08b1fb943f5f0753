//! One RoleBinding at the API servers: read, and written.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures::{StreamExt as _, stream::FuturesUnordered};
use k8s_openapi::{
    api::rbac::v1::{RoleBinding, RoleRef as KubernetesRoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{
    RbacSync,
    plan::{Live, Names},
};
use crate::{
    api::{GROUP_ROLE_BINDING_LABEL, GroupRoleBinding, INSTANCE_LABEL, RoleRef},
    audit::hex,
    cluster::{is_conflict, is_not_found},
};

/// Version of the Directory that a RoleBinding was made from: drift repair must not put a leaver back.
const SEQ_ANNOTATION: &str = "scim-tekton.dev/directory-seq";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// Where one role of a GroupRoleBinding is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) role: RoleRef,
    /// Of the RoleBinding.
    pub(super) name: String,
}

impl Place {
    /// Role names may hold what object names may not, so they are hashed.
    pub(super) fn new(binding: &GroupRoleBinding, namespace: &str, role: &RoleRef) -> Self {
        let text = format!("{}/{}", role.kind.as_str(), role.name);
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let short = hash.as_ref().get(..5).map(hex).unwrap_or_default();
        let name = format!("scim-{}-{short}", binding.name_any());
        Self { namespace: namespace.to_owned(), role: role.clone(), name }
    }

    /// What a live RoleBinding says here.
    pub(super) fn live(&self, binding: &RoleBinding) -> Live {
        let subjects = || binding.subjects.iter().flatten();
        let people = subjects().filter(|subject| is_person(subject));
        Live {
            names: people.map(|subject| subject.name.clone()).collect(),
            exact: binding.role_ref == role_ref(&self.role) && subjects().all(is_person),
            seq: binding.annotations().get(SEQ_ANNOTATION).and_then(|seq| seq.parse().ok()).unwrap_or(0),
        }
    }

    /// The RoleBinding that gives the role to these people.
    pub(super) fn role_binding(
        &self,
        binding: &GroupRoleBinding,
        instance: &str,
        people: &Names,
        seq: i64,
    ) -> RoleBinding {
        let person = |name: &String| Subject {
            api_group: Some(RBAC_GROUP.into()),
            kind: "User".into(),
            name: name.clone(),
            namespace: None,
        };
        RoleBinding {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([
                    (GROUP_ROLE_BINDING_LABEL.to_owned(), binding.name_any()),
                    (INSTANCE_LABEL.to_owned(), instance.to_owned()),
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
            role_ref: role_ref(&self.role),
            subjects: Some(people.iter().map(person).collect()),
        }
    }
}

fn role_ref(role: &RoleRef) -> KubernetesRoleRef {
    KubernetesRoleRef { api_group: Some(RBAC_GROUP.into()), kind: role.kind.as_str().into(), name: role.name.clone() }
}

fn is_person(subject: &Subject) -> bool {
    subject.kind == "User"
}

impl RbacSync {
    /// A read goes to etcd, so whoever answers is right.
    pub(super) async fn get(&self, place: &Place) -> kube::Result<Option<RoleBinding>> {
        self.anywhere(|client| async move { bindings(client, &place.namespace).get_opt(&place.name).await }).await
    }

    /// Through one API server only: a create that a hanging one does late could revive what was removed since.
    pub(super) async fn create(&self, place: &Place, new: &RoleBinding) -> kube::Result<()> {
        let bindings = bindings(self.cluster.rbac.clone(), &place.namespace);
        bindings.create(&PostParams::default(), new).await.map(drop)
    }

    /// `new` carries the version that it replaces: what is done late, or twice, is a conflict.
    pub(super) async fn replace(&self, place: &Place, new: &RoleBinding) -> kube::Result<()> {
        let params = PostParams::default();
        let params = &params;
        self.anywhere(|client| async move {
            bindings(client, &place.namespace).replace(&place.name, params, new).await.map(drop)
        })
        .await
    }

    /// Deletes this very version.
    pub(super) async fn delete(&self, place: &Place, live: &RoleBinding) -> kube::Result<()> {
        let preconditions = Preconditions { uid: live.uid(), resource_version: live.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.delete_any(&place.namespace, &place.name, &params).await
    }

    /// Deletes a RoleBinding, if it is there.
    pub(super) async fn delete_any(&self, namespace: &str, name: &str, params: &DeleteParams) -> kube::Result<()> {
        let deleted =
            self.anywhere(|client| async move { bindings(client, namespace).delete(name, params).await.map(drop) });
        match deleted.await {
            Err(error) if is_not_found(&error) => Ok(()),
            done => done,
        }
    }

    /// Asks every API server at once: the first that has done it counts, so that a hanging one holds nothing up.
    /// `Not found` and `conflict` come from etcd and are true whoever says them; another error may be one server's own.
    async fn anywhere<T, Fut: Future<Output = kube::Result<T>>>(
        &self,
        call: impl Fn(Client) -> Fut,
    ) -> kube::Result<T> {
        let servers = self.cluster.servers();
        let mut asked: FuturesUnordered<_> = servers.iter().map(|server| call(server.rbac.clone())).collect();
        let mut failed = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Err(error) if !is_not_found(&error) && !is_conflict(&error) => {
                    // What was said tells more than what was not.
                    if failed.is_none() || matches!(error, kube::Error::Api(_)) {
                        failed = Some(error);
                    }
                }
                answer => return answer,
            }
        }
        match failed {
            Some(error) => Err(error),
            None => call(self.cluster.rbac.clone()).await,
        }
    }
}

fn bindings(client: Client, namespace: &str) -> Api<RoleBinding> {
    Api::namespaced(client, namespace)
}

#[cfg(test)]
mod tests {
    use super::{Names, Place, Subject};
    use crate::api::{GroupRef, GroupRoleBinding, GroupRoleBindingSpec, RoleKind, RoleRef};

    #[test]
    fn what_is_written_is_read_back_and_what_others_did_to_it_is_seen() {
        let role = RoleRef { kind: RoleKind::Role, name: "deployer".into() };
        let spec = GroupRoleBindingSpec {
            group: GroupRef::default(),
            role_refs: vec![role.clone()],
            namespaces: None,
            cluster_wide: None,
        };
        let binding = GroupRoleBinding::new("shop", spec);
        let place = Place::new(&binding, "ns", &role);
        let people = Names::from(["okta:bob".to_owned(), "okta:carol".to_owned()]);
        let mut object = place.role_binding(&binding, "scim", &people, 7);
        let live = place.live(&object);
        assert_eq!((live.names, live.exact, live.seq), (people.clone(), true, 7));
        object.role_ref.name = "admin".into();
        assert!(!place.live(&object).exact);
        object.role_ref.name = "deployer".into();
        let foreign = Subject { kind: "Group".into(), name: "everyone".into(), ..Subject::default() };
        object.subjects.as_mut().unwrap().push(foreign);
        let live = place.live(&object);
        assert_eq!((live.names, live.exact), (people, false));
    }
}
