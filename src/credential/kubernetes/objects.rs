//! What there is of Grants at the API servers, and what there should be: compared by the controller.

use std::collections::HashSet;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{Secret, ServiceAccount},
        rbac::v1::RoleBinding,
    },
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
};
use serde::de::DeserializeOwned;

use super::{Facts, KubernetesProvider};
use crate::{
    api::{GRANT_LABEL, INSTANCE_LABEL},
    cluster::{is_conflict, is_not_found},
    store::{GrantId, GrantRecord},
};

/// Kinds of a Grant's objects, in the order in which they are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// What gives it its power.
    RoleBinding,
    /// What its token is bound to.
    Secret,
    /// Its account.
    ServiceAccount,
}

/// An object of a Grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// An object that carries our labels: what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Which object.
    pub object: Object,
    /// Its uid.
    pub uid: Option<String>,
    /// Whose it says it is; nobody's if that is no id.
    pub grant: Option<GrantId>,
}

impl KubernetesProvider {
    /// Everything that a Grant has at the API servers but for the copy of its credential, which we can't read; nothing
    /// if it is another provider's.
    pub fn objects(&self, grant: &GrantRecord) -> HashSet<Object> {
        let Ok(facts) = Facts::of(grant) else { return HashSet::new() };
        if grant.provider != "kubernetes" {
            return HashSet::new();
        }
        let own = |kind| Object { kind, namespace: self.grants_namespace.clone(), name: Self::account_name(grant.id) };
        let binding = |index| Object {
            kind: Kind::RoleBinding,
            namespace: grant.namespace.clone(),
            name: Self::binding_name(grant.id, index),
        };
        let bindings = (0..facts.roles.len()).map(binding);
        [own(Kind::Secret), own(Kind::ServiceAccount)].into_iter().chain(bindings).collect()
    }

    /// Everything at the API servers that carries this instance's labels.
    pub async fn labelled(&self) -> kube::Result<Vec<Labelled>> {
        let client = || self.cluster.patient.clone();
        let (bindings, secrets, accounts) = tokio::try_join!(
            self.list(Kind::RoleBinding, Api::<RoleBinding>::all(client())),
            self.list(Kind::Secret, Api::<Secret>::namespaced(client(), &self.grants_namespace)),
            self.list(Kind::ServiceAccount, Api::<ServiceAccount>::namespaced(client(), &self.grants_namespace)),
        )?;
        Ok([bindings, secrets, accounts].into_iter().flatten().collect())
    }

    async fn list<K>(&self, kind: Kind, api: Api<K>) -> kube::Result<Vec<Labelled>>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let ours = ListParams::default().labels(&format!("{INSTANCE_LABEL}={},{GRANT_LABEL}", self.instance));
        let found = api.list_metadata(&ours).await?.items.into_iter().map(|found| Labelled {
            object: Object { kind, namespace: found.namespace().unwrap_or_default(), name: found.name_any() },
            uid: found.uid(),
            grant: found.labels().get(GRANT_LABEL).and_then(|id| id.parse().ok()),
        });
        Ok(found.collect())
    }

    /// Removes this very object, and no later one of its name.
    pub async fn remove(&self, labelled: &Labelled) -> kube::Result<()> {
        match labelled.object.kind {
            Kind::RoleBinding => self.remove_one::<RoleBinding>(labelled).await,
            Kind::Secret => self.remove_one::<Secret>(labelled).await,
            Kind::ServiceAccount => self.remove_one::<ServiceAccount>(labelled).await,
        }
    }

    async fn remove_one<K>(&self, labelled: &Labelled) -> kube::Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.cluster.direct.clone(), &labelled.object.namespace);
        let preconditions = Preconditions { uid: labelled.uid.clone(), resource_version: None };
        let this_one = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match api.delete(&labelled.object.name, &this_one).await {
            Err(error) if !is_not_found(&error) && !is_conflict(&error) => Err(error),
            _ => Ok(()),
        }
    }
}
