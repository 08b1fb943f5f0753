//! People with a live Grant each: provisioned, pushed, their runs held open.

use std::{future::ready, sync::Arc};

use futures::{StreamExt as _, future::try_join_all};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, PostParams},
    runtime::{WatchStreamExt as _, reflector, watcher},
};
use scim_tekton::api::{Grant, GrantPhase, tekton::PipelineRun};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    progress::Progress,
    world::{BATCH_TIME, Outcome, Person, Shop, apply, eventually},
};

/// People who push at the same time.
const BATCH: usize = 10;

/// A person with a live Grant.
pub struct Holder {
    pub person: Person,
    /// The credential that the run's steps would use.
    pub token: String,
}

/// A team whose people push and whose runs never end.
pub struct Team {
    pub shop: Arc<Shop>,
    grants: reflector::Store<Grant>,
    _watch: AbortOnDropHandle<()>,
}

impl Team {
    pub async fn set_up(shop: Arc<Shop>) -> Outcome<Self> {
        apply(&shop.fill(include_str!("held.yaml"))).await?;
        shop.trigger("held").await?;
        let (grants, writer) = reflector::store();
        let all = Api::<Grant>::namespaced(shop.world.kube.clone(), &shop.namespace);
        let watch = watcher(all, watcher::Config::default()).default_backoff().reflect(writer).for_each(|_| ready(()));
        Ok(Self { shop, grants, _watch: AbortOnDropHandle::new(tokio::spawn(watch)) })
    }

    /// So many people, each with a live Grant.
    pub async fn hold(&self, people: usize, progress: &Progress) -> Outcome<Vec<Holder>> {
        let mut holders = Vec::with_capacity(people);
        while holders.len() < people {
            if people > 1 {
                progress.at(format!("{} of {people} people have a live Grant", holders.len()));
            }
            let batch = (0..BATCH.min(people - holders.len())).map(|_| self.holder());
            holders.extend(try_join_all(batch).await?);
        }
        Ok(holders)
    }

    async fn holder(&self) -> Outcome<Holder> {
        let person = self.shop.deployer("holder").await?;
        let ticket = self.shop.ticket(&person, "held").await?;
        let run = self.create_run(&ticket).await?;
        let secret = eventually(&format!("the Grant of {run} is Active"), BATCH_TIME, || {
            ready(Ok(self.grants.state().into_iter().find_map(|grant| {
                let status = grant.status.as_ref().filter(|status| status.phase == GrantPhase::Active)?;
                status.secret_name.clone().filter(|_| grant.spec.pipeline_run.name == run)
            })))
        })
        .await?;
        let secrets: Api<Secret> = Api::namespaced(self.shop.world.kube.clone(), &self.shop.namespace);
        let data = secrets.get(&secret).await?.data.unwrap_or_default();
        let token = String::from_utf8(data.get("token").ok_or("the Secret has no token")?.0.clone())?;
        Ok(Holder { person, token })
    }

    /// As a TriggerTemplate does, with no end by time: with 10,000 people the first must outlive the hour that is
    /// Tekton's default.
    async fn create_run(&self, ticket: &str) -> Outcome<String> {
        let mut run = serde_json::to_value(self.shop.run_object("held", Some(ticket), true)?)?;
        run["spec"]["timeouts"] = json!({"pipeline": "0"});
        let kind = ApiResource::erase::<PipelineRun>(&());
        let runs: Api<DynamicObject> = Api::namespaced_with(self.shop.world.kube.clone(), &self.shop.namespace, &kind);
        Ok(runs.create(&PostParams::default(), &serde_json::from_value(run)?).await?.name_any())
    }
}
