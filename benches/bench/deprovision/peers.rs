//! How else a credential is taken away, by a bare client with one API call; in the same namespace, for the same request.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{ConfigMap, Secret, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::probe::Probes;
use crate::world::{Outcome, Shop, unique};

/// Between two requests of who waits for the end of a cache of ten seconds.
const SLOW: Duration = Duration::from_millis(20);

/// What the bare client works with.
struct Bare<'a> {
    shop: &'a Shop,
    account: String,
}

impl<'a> Bare<'a> {
    async fn with_account(shop: &'a Shop) -> Outcome<Self> {
        let bare = Self { shop, account: format!("bare-{}", unique()) };
        bare.create::<ServiceAccount>(json!({"metadata": {"name": bare.account}})).await?;
        Ok(bare)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.shop.world.kube.clone(), &self.shop.namespace)
    }

    async fn create<K>(&self, object: Value) -> Outcome<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
    {
        Ok(self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
    }

    /// A token of the account, bound to nothing else unless told.
    async fn token(&self, bound_to: Value) -> Outcome<String> {
        let request: TokenRequest =
            serde_json::from_value(json!({"spec": {"audiences": [], "boundObjectRef": bound_to}}))?;
        let answer =
            self.api::<ServiceAccount>().create_token_request(&self.account, &PostParams::default(), &request).await?;
        answer.status.and_then(|status| status.token).ok_or_else(|| "no token was given".into())
    }

    /// Lets the account do what a Grant of the team lets it do.
    async fn bind(&self) -> Outcome<String> {
        let name = format!("bare-{}", unique());
        let subject = json!({"kind": "ServiceAccount", "name": self.account, "namespace": self.shop.namespace});
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deployer"});
        let binding = json!({"metadata": {"name": name}, "subjects": [subject], "roleRef": role});
        self.create::<RoleBinding>(binding).await?;
        Ok(name)
    }
}

/// A RoleBinding is deleted: the time from the call until both API servers refuse, once a repetition.
pub async fn role_binding(shop: &Shop, repetitions: usize, pause: Duration) -> Outcome<Vec<Duration>> {
    let bare = Bare::with_account(shop).await?;
    let token = bare.token(Value::Null).await?;
    let mut took = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let binding = bare.bind().await?;
        let mut probes = Probes::start(shop, &token, pause)?;
        probes.in_use().await?;
        let asked = Instant::now();
        bare.api::<RoleBinding>().delete(&binding, &DeleteParams::default()).await?;
        took.push(probes.death().await?.seen - asked);
    }
    Ok(took)
}

/// The Secret that a token is bound to is deleted: the same time, all repetitions at once.
pub async fn bound_secret(shop: &Shop, repetitions: usize) -> Outcome<Vec<Duration>> {
    try_join_all((0..repetitions).map(|_| async {
        let bare = Bare::with_account(shop).await?;
        bare.bind().await?;
        let secret: Secret = bare.create(json!({"metadata": {"name": bare.account}})).await?;
        let bound = json!({"apiVersion": "v1", "kind": "Secret", "name": bare.account, "uid": secret.uid()});
        let mut probes = Probes::start(shop, &bare.token(bound).await?, SLOW)?;
        probes.in_use().await?;
        let asked = Instant::now();
        bare.api::<Secret>().delete(&bare.account, &DeleteParams::default()).await?;
        Ok(probes.death().await?.seen - asked)
    }))
    .await
}

/// Small ConfigMaps deleted one after the other, each second.
pub async fn deletes_per_second(shop: &Shop, count: usize) -> Outcome<f64> {
    let bare = Bare { shop, account: String::new() };
    let maps = stream::iter(0..count).map(|_| {
        let name = format!("small-{}", unique());
        bare.create::<ConfigMap>(json!({"metadata": {"name": name}, "data": {"key": "value"}}))
    });
    let names: Vec<_> = maps.buffer_unordered(8).map_ok(|map| map.name_any()).try_collect().await?;
    let begun = Instant::now();
    for name in names {
        bare.api::<ConfigMap>().delete(&name, &DeleteParams::default()).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let count = count as f64;
    Ok(count / begun.elapsed().as_secs_f64())
}
