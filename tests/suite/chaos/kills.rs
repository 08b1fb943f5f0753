//! The process dies by SIGKILL: after the restart every run reaches its end, nothing is left of dead Grants, tokens from
//! before are refused.

use std::{sync::Arc, time::Duration};

use scim_tekton::{
    api::GrantPhase,
    failpoint::{ALL, Failpoint, Flow},
};

use super::{Chaos, at_random, flow, times};
use crate::{
    cases::can_i,
    ensure, invariants,
    world::{OUR_TIME, Outcome, Person, World, eventually},
};

/// From the ticket to the end of the run, roughly.
const LIFE: Duration = Duration::from_millis(2500);

pub async fn g1_killed_at_each_failpoint_what_was_begun_is_finished(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "killed", |chaos| async move {
        for point in &ALL {
            kill_at(&chaos, point).await.map_err(|error| format!("killed at {}: {error}", point.name))?;
        }
        println!("killed at {} failpoints, {} tokens from before tried", ALL.len(), chaos.witness.minted());
        ensure!(chaos.witness.minted() > 0, "no token was tried");
        Ok(())
    })
    .await
}

async fn kill_at(chaos: &Arc<Chaos>, point: &Failpoint) -> Outcome {
    let held = flow::bring_to(chaos, point).await?;
    let process = chaos.process()?;
    process.kill()?;
    process.start().await?;
    let person = held.person;
    match point.flow {
        Flow::Decide => {
            // The host's redelivery, or the person's next push.
            let run = chaos.shop.start(&person, "quick").await?;
            succeeds(chaos, &run).await?;
            chaos.soon_nothing_works(&person).await?;
        }
        Flow::Redeem | Flow::Issue => {
            succeeds(chaos, held.run.as_deref().unwrap_or_default()).await?;
            chaos.soon_nothing_works(&person).await?;
        }
        Flow::Repair => {
            // An IdP asks again for what was not answered.
            let (okta, group) = (&chaos.shop.world.okta, &chaos.shop.group_id);
            insist(|| okta.add_member(group, &person)).await?;
            for server in chaos.shop.world.api_servers() {
                can_i(&server, &chaos.shop.namespace, &person, true).await?;
            }
            okta.deactivate(&person).await?;
            for server in chaos.shop.world.api_servers() {
                can_i(&server, &chaos.shop.namespace, &person, false).await?;
            }
        }
        Flow::Renew | Flow::Provision | Flow::Revoke => {
            insist(|| chaos.shop.world.okta.deactivate(&person)).await?;
            chaos.nothing_works(&person).await?;
            chaos.shop.ended(held.run.as_deref().unwrap_or_default()).await?;
        }
    }
    invariants::hold(&chaos.shop.world).await
}

/// The run ends well, and then its Grants.
async fn succeeds(chaos: &Chaos, run: &str) -> Outcome {
    let (status, reason) = chaos.shop.ended(run).await?;
    ensure!(status == "True", "{run}: Succeeded={status}, reason {reason}");
    chaos.shop.grants(run, GrantPhase::Revoked, 2).await.map(drop)
}

/// As an identity provider does it: again, until it is answered.
async fn insist<Fut: Future<Output = Outcome>>(call: impl Fn() -> Fut) -> Outcome {
    eventually("the identity provider gets its answer", OUR_TIME, || async { call().await.map(Some) }).await
}

pub async fn g1_killed_at_random_moments_what_was_begun_is_finished(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "kills", |chaos| async move {
        for _ in 0..times(5, 20) {
            let moment = at_random(LIFE);
            kill_after(&chaos, moment).await.map_err(|error| format!("killed after {moment:?}: {error}"))?;
        }
        println!("{} kills at random moments, {} tokens from before tried", times(5, 20), chaos.witness.minted());
        Ok(())
    })
    .await
}

/// Two runs are going when it happens: one that ends by itself, and one whose person leaves afterwards.
async fn kill_after(chaos: &Arc<Chaos>, moment: Duration) -> Outcome {
    let people: [Person; 2] = [chaos.shop.deployer("stays").await?, chaos.shop.deployer("leaves").await?];
    let kept = chaos.shop.start(&people[1], "kept").await?;
    let quick = chaos.shop.start(&people[0], "quick").await?;
    tokio::time::sleep(moment).await;
    let process = chaos.process()?;
    process.kill()?;
    process.start().await?;
    succeeds(chaos, &quick).await?;
    chaos.soon_nothing_works(&people[0]).await?;
    insist(|| chaos.shop.world.okta.deactivate(&people[1])).await?;
    chaos.nothing_works(&people[1]).await?;
    chaos.shop.ended(&kept).await?;
    invariants::hold(&chaos.shop.world).await
}
