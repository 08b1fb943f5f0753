//! One RoleBinding at the API servers: read, and written.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use futures::{StreamExt as _, future::try_join_all, stream::FuturesUnordered};
use k8s_openapi::{
    api::rbac::v1::{RoleBinding, RoleRef as KubernetesRoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
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

    /// Of its RoleBinding number `number`: the first bears the name, others a number too.
    pub(super) fn shard(&self, number: usize) -> Self {
        let name = if number == 0 { self.name.clone() } else { format!("{}-{number}", self.name) };
        Self { name, ..self.clone() }
    }

    /// Which of its RoleBindings has this name, if one has.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        let rest = name.strip_prefix(&self.name)?;
        let number = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
        (self.shard(number).name == name).then_some(number)
    }

    /// What a live RoleBinding says here.
    pub(super) fn live(&self, binding: &GroupRoleBinding, object: &RoleBinding) -> Live {
        let subjects = || object.subjects.iter().flatten();
        let people = subjects().filter(|subject| is_person(subject));
        let seq = object.annotations().get(SEQ_ANNOTATION).and_then(|seq| seq.parse().ok());
        Live {
            names: people.map(|subject| subject.name.clone()).collect(),
            // Without its owner it would outlive the GroupRoleBinding.
            exact: subjects().all(is_person) && seq.is_some() && object.owner_references() == owners(binding),
            other_role: object.role_ref != role_ref(&self.role),
            seq: seq.unwrap_or(0),
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
                owner_references: Some(owners(binding)),
                ..ObjectMeta::default()
            },
            role_ref: role_ref(&self.role),
            subjects: Some(people.iter().map(person).collect()),
        }
    }
}

/// Deleting the GroupRoleBinding takes its RoleBindings with it, also while we are down.
fn owners(binding: &GroupRoleBinding) -> Vec<OwnerReference> {
    vec![OwnerReference {
        api_version: format!("{}/{}", crate::api::GROUP, crate::api::VERSION),
        kind: "GroupRoleBinding".into(),
        name: binding.name_any(),
        uid: binding.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }]
}

fn role_ref(role: &RoleRef) -> KubernetesRoleRef {
    KubernetesRoleRef { api_group: Some(RBAC_GROUP.into()), kind: role.kind.as_str().into(), name: role.name.clone() }
}

fn is_person(subject: &Subject) -> bool {
    subject.kind == "User"
}

impl RbacSync {
    /// The RoleBindings of a place, by their numbers. A read goes to etcd, so whoever answers is right; a list may wait
    /// for a watch cache, so it is made only while we don't know how many there are.
    pub(super) async fn read(&self, place: &Place) -> kube::Result<BTreeMap<usize, RoleBinding>> {
        let highest = match self.shards.highest(place) {
            Some(highest) => highest,
            None => self.look_how_many(place).await?,
        };
        let objects = (0..=highest).map(|number| async move {
            let shard = place.shard(number);
            let shard = &shard;
            let read = |client| async move { bindings(client, &shard.namespace).get_opt(&shard.name).await };
            Ok::<_, kube::Error>(self.anywhere(read).await?.map(|object| (number, object)))
        });
        Ok(try_join_all(objects).await?.into_iter().flatten().collect())
    }

    async fn look_how_many(&self, place: &Place) -> kube::Result<usize> {
        let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={}", self.settings.instance));
        let ours = &ours;
        let there =
            self.anywhere(|client| async move { bindings(client, &place.namespace).list_metadata(ours).await }).await?;
        let highest = there.iter().filter_map(|found| place.number(&found.name_any())).max().unwrap_or(0);
        self.shards.saw(place, highest);
        Ok(highest)
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

    fn role() -> RoleRef {
        RoleRef { kind: RoleKind::Role, name: "deployer".into() }
    }

    #[test]
    fn what_is_written_is_read_back_and_what_others_did_to_it_is_seen() {
        let role = role();
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
        let live = place.live(&binding, &object);
        assert_eq!((live.names, live.exact, live.other_role, live.seq), (people.clone(), true, false, 7));
        object.role_ref.name = "admin".into();
        assert!(place.live(&binding, &object).other_role);
        object.role_ref.name = "deployer".into();
        let owners = object.metadata.owner_references.take();
        assert!(!place.live(&binding, &object).exact);
        object.metadata.owner_references = owners;
        let foreign = Subject { kind: "Group".into(), name: "everyone".into(), ..Subject::default() };
        object.subjects.as_mut().unwrap().push(foreign);
        let live = place.live(&binding, &object);
        assert_eq!((live.names, live.exact), (people, false));
    }

    #[test]
    fn a_shard_is_known_by_its_name_and_no_other_name_is_one() {
        let place = Place { namespace: "ns".into(), role: role(), name: "scim-shop-0123456789".into() };
        for number in [0, 1, 12] {
            assert_eq!(place.number(&place.shard(number).name), Some(number));
        }
        for name in
            ["scim-shop-0123456789-0", "scim-shop-0123456789-01", "scim-shop-0123456789-x", "scim-shop-01234567891"]
        {
            assert_eq!(place.number(name), None, "{name}");
        }
    }
}
