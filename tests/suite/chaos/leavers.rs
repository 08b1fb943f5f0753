//! A person is deactivated while something is being done for them: whatever it was, after the answer they hold nothing.

use std::{sync::Arc, time::Duration};

use scim_tekton::failpoint::{ALL, Flow};

use super::{Chaos, at_random, flow, times};
use crate::{
    cases::can_i,
    ensure,
    world::{Outcome, World, eventually},
};

/// From a run's creation to its end, roughly.
const LIFE: Duration = Duration::from_millis(1500);

pub async fn g2_deactivated_at_each_failpoint_the_person_holds_nothing_after_the_answer(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "leaver", |chaos| async move {
        let (mut deactivations, mut grants) = (0, 0);
        // Where the deactivation itself is what is held, there is nobody else to deactivate.
        let steps = ALL.iter().filter(|point| !matches!(point.flow, Flow::Provision | Flow::Revoke));
        for point in steps.flat_map(|point| std::iter::repeat_n(point, times(1, 10))) {
            grants += leave_at(&chaos, point).await.map_err(|error| format!("at {}: {error}", point.name))?;
            deactivations += 1;
        }
        let minted = chaos.witness.minted();
        println!("{deactivations} deactivations at failpoints: {grants} Grants refused at once, {minted} tokens tried");
        ensure!(minted > 0, "no token was tried");
        Ok(())
    })
    .await
}

/// Deactivates the person while somebody is held at this failpoint; how many Grants were refused at once.
pub async fn leave_at(chaos: &Arc<Chaos>, point: &scim_tekton::failpoint::Failpoint) -> Outcome<usize> {
    let process = chaos.process()?;
    let held = flow::bring_to(chaos, point).await?;
    let okta = chaos.shop.world.okta.clone();
    let person = held.person.clone();
    let leaving = tokio::spawn(async move { okta.deactivate(&person).await });
    tokio::time::sleep(flow::MEANWHILE).await;
    process.let_go(point.name).await?;
    leaving.await??;
    let grants = chaos.nothing_works(&held.person).await?;
    if point.flow == Flow::Repair {
        for server in chaos.shop.world.api_servers() {
            can_i(&server, &chaos.shop.namespace, &held.person, false).await?;
        }
    }
    if let Some(call) = held.call {
        // Whether it was answered well or not is another matter than what it may leave behind.
        let _ = call.await?;
    }
    process.ahead(0).await?;
    if let Some(run) = held.run {
        chaos.shop.ended(&run).await?;
    }
    // Nor does it come back when all that was held has gone on.
    chaos.nothing_works(&held.person).await?;
    Ok(grants)
}

pub async fn g2_deactivated_at_random_moments_the_person_holds_nothing_after_the_answer(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "moments", |chaos| async move {
        let mut grants = 0;
        for number in 0..times(20, 200) {
            let person = chaos.shop.deployer("moment").await?;
            let run = chaos.shop.start(&person, if number % 2 == 0 { "quick" } else { "kept" }).await?;
            let moment = at_random(LIFE);
            tokio::time::sleep(moment).await;
            chaos.shop.world.okta.deactivate(&person).await?;
            let held = chaos.nothing_works(&person).await;
            grants += held.map_err(|error| format!("deactivated {moment:?} after the run's creation: {error}"))?;
            eventually(&format!("the end of {run}"), crate::world::POD_TIME, || async {
                chaos.shop.ended(&run).await.map(Some)
            })
            .await?;
            chaos.nothing_works(&person).await?;
        }
        println!(
            "{} deactivations at random moments: {grants} Grants refused at once, {} tokens tried",
            times(20, 200),
            chaos.witness.minted()
        );
        ensure!(grants > 0, "no deactivation met a Grant");
        Ok(())
    })
    .await
}
