//! Nothing of ours holds up a namespace's end: there is no finalizer on anything.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use scim_tekton::api::GrantPhase;

use super::{Chaos, flow};
use crate::world::{OUR_TIME, Outcome, POD_TIME, World, eventually};

pub async fn a_namespace_can_be_deleted_while_we_are_down(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "deleted", |chaos| async move {
        let person = chaos.shop.deployer("orphan").await?;
        flow::kept(&chaos, &person).await?;
        let process = chaos.process()?;
        process.kill()?;
        let namespaces: Api<Namespace> = Api::all(chaos.shop.world.kube.clone());
        namespaces.delete(&chaos.shop.namespace, &DeleteParams::default()).await?;
        eventually("the namespace is gone", POD_TIME, || async {
            Ok(namespaces.get_opt(&chaos.shop.namespace).await?.is_none().then_some(()))
        })
        .await?;
        process.start().await?;
        eventually("its Grants are revoked", OUR_TIME, || async {
            let grants = chaos.grants_of(&person).await?;
            Ok((!grants.is_empty() && grants.iter().all(|grant| grant.phase == GrantPhase::Revoked)).then_some(()))
        })
        .await?;
        chaos.nothing_works(&person).await.map(drop)
    })
    .await
}
