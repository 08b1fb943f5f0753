//! The attacks of DESIGN §8 that are a matter of time.

use std::sync::Arc;

use kube::ResourceExt as _;
use reqwest::Method;
use scim_tekton::failpoint::{ALL, Failpoint, Flow};
use serde_json::json;

use super::{Chaos, flow, leavers::leave_at};
use crate::{
    ensure,
    world::{OUR_TIME, Outcome, World, eventually, kubectl},
};

pub async fn deactivated_between_ticket_and_issue(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "ticketed", |chaos| async move {
        // Before the run is there: its ticket is good, and its person is gone.
        let person = chaos.shop.deployer("ticketed").await?;
        let ticket = chaos.shop.ticket(&person, "quick").await?;
        chaos.shop.world.okta.deactivate(&person).await?;
        let run = chaos.shop.create_run("quick", Some(&ticket), true).await?.name_any();
        let note = chaos.shop.event_about(&run, "TicketRefused").await?;
        ensure!(note.contains("not active"), "{note}");
        chaos.shop.ended(&run).await?;
        // After it was redeemed, and before anything is issued.
        let before_issue = at("redeem::after_start")?;
        leave_at(&chaos, before_issue).await?;
        let grants = chaos.grants_of(&person).await?;
        ensure!(grants.is_empty(), "a Grant was begun: {grants:?}");
        Ok(())
    })
    .await
}

pub async fn deactivated_between_check_and_role_binding(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "checked", |chaos| async move {
        let mut grants = 0;
        for step in ["issue::after_pending", "issue::account_made", "issue::token_made", "issue::bindings_made"] {
            grants += leave_at(&chaos, at(step)?).await?;
        }
        ensure!(grants >= 4, "only {grants} Grants were met");
        Ok(())
    })
    .await
}

pub async fn deactivated_during_renewal(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "renewing", |chaos| async move {
        for step in ALL.iter().filter(|point| point.flow == Flow::Renew) {
            let grants = leave_at(&chaos, step).await?;
            ensure!(grants == 1, "{grants} Grants at {}", step.name);
        }
        Ok(())
    })
    .await
}

pub async fn store_outage(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "outage", |chaos| async move {
        let (process, shop) = (chaos.process()?, &chaos.shop);
        let person = shop.deployer("outage").await?;
        let kept = flow::kept(&chaos, &person).await?;
        let ticket = shop.ticket(&person, "quick").await?;
        process.fail_at("store::before_commit").await?;
        // Nothing is allowed, nothing is acknowledged, nothing starts.
        let answer = shop.decide(&shop.push(&person), "quick").await?;
        ensure!(answer["continue"] == false, "an event was allowed: {answer}");
        let operation = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "value": {"active": false}}],
        });
        let path = format!("/Users/{}", person.id);
        let (status, body) = shop.world.okta.call(Method::PATCH, &path, Some(operation)).await?;
        ensure!(status.is_server_error(), "a write was acknowledged: {status} {body}");
        let schemas = body["schemas"].to_string();
        ensure!(schemas.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "no SCIM error: {body}");
        let run = shop.create_run("quick", Some(&ticket), true).await?;
        eventually("the run has been looked at", OUR_TIME, || async {
            let errors =
                chaos.shop.world.instance.metric("scim_tekton_reconcile_errors_total", &[("kind", "PipelineRun")]);
            Ok((errors.await? >= 1.0).then_some(()))
        })
        .await?;
        let now = shop.runs().get(&run.name_any()).await?;
        ensure!(now.spec.status.as_deref() == Some("PipelineRunPending"), "it is {:?}", now.spec.status);
        // The store is back: what waited goes on, and the identity provider asks again.
        process.let_go("store::before_commit").await?;
        let (status, reason) = shop.ended(&run.name_any()).await?;
        ensure!(status == "True", "{}: Succeeded={status}, reason {reason}", run.name_any());
        shop.world.okta.deactivate(&person).await?;
        chaos.nothing_works(&person).await?;
        shop.ended(&kept).await.map(drop)
    })
    .await
}

pub async fn clock_skew(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "skew", |chaos| async move {
        let (process, shop) = (chaos.process()?, &chaos.shop);
        let redeemed = at("redeem::after_start")?;
        let held = flow::bring_to(&chaos, redeemed).await?;
        // Ten minutes behind, all that we end in time would end ten minutes late.
        process.ahead(-600).await?;
        process.let_go(redeemed.name).await?;
        let grant = eventually("a Grant is begun", OUR_TIME, || async {
            Ok(chaos.grants_of(&held.person).await?.into_iter().find(|grant| grant.provider == "kubernetes"))
        })
        .await?;
        eventually("the CustomRun says what it waits for", OUR_TIME, || async {
            let said = "jsonpath={.items[*].status.conditions[*].message}";
            let said = kubectl(&["get", "customruns", "-n", &shop.namespace, "-o", said]).await?;
            if said.contains("behind the API server's") { Ok(Some(())) } else { Err(said.into()) }
        })
        .await?;
        let secrets = kubectl(&["get", "secrets", "-n", &grant.namespace, "-o", "name"]).await?;
        ensure!(!secrets.contains(&grant.id.to_string()), "it was handed out: {secrets}");
        process.ahead(0).await?;
        let run = held.run.unwrap_or_default();
        let (status, reason) = shop.ended(&run).await?;
        ensure!(status == "True", "{run}: Succeeded={status}, reason {reason}");
        // Nor does a ticket that was made in our past live on in the API server's present.
        process.ahead(-600).await?;
        let ticket = shop.ticket(&held.person, "quick").await?;
        process.ahead(0).await?;
        let run = shop.create_run("quick", Some(&ticket), true).await?.name_any();
        shop.event_about(&run, "TicketRefused").await.map(drop)
    })
    .await
}

fn at(name: &str) -> Outcome<&'static Failpoint> {
    Ok(ALL.iter().find(|point| point.name == name).ok_or_else(|| format!("there is no failpoint {name}"))?)
}
