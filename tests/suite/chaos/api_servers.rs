//! API servers that stand still (SIGSTOP): they keep their connections, answer nothing, and wake with an old cache.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use scim_tekton::api::GrantPhase;

use super::{Chaos, flow};
use crate::{
    ensure,
    world::{OUR_TIME, Outcome, World, eventually},
};

/// `scim.revocationWait`, and what a busy machine adds.
const BOUNDED_WAIT: Duration = Duration::from_secs(5 + 3);
/// An answer that waits for nobody.
const AT_ONCE: Duration = Duration::from_secs(2);

/// API servers that stand still until this is dropped.
struct Paused(Vec<String>);

impl Paused {
    fn new(numbers: &[u8]) -> Outcome<Self> {
        let folder = std::env::var("CLUSTER_DIR").unwrap_or_else(|_| "target/cluster".into());
        let mut paused = Self(Vec::new());
        for number in numbers {
            let pid = std::fs::read_to_string(format!("{folder}/run/kube-apiserver-{number}.pid"))?.trim().to_owned();
            ensure!(Command::new("kill").args(["-STOP", &pid]).status()?.success(), "API server {number} goes on");
            paused.0.push(pid);
        }
        Ok(paused)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = Command::new("kill").args(["-CONT", pid]).status();
        }
    }
}

pub async fn one_api_server_behind_the_other_is_named_unproven_and_proven_when_it_resumes(
    world: Arc<World>,
) -> Outcome {
    Chaos::with(&world, "paused", |chaos| async move {
        let person = chaos.shop.deployer("paused").await?;
        let run = flow::kept(&chaos, &person).await?;
        let paused = Paused::new(&[2])?;
        let asked = Instant::now();
        chaos.shop.world.okta.deactivate(&person).await?;
        let took = asked.elapsed();
        ensure!(took < BOUNDED_WAIT, "the answer took {took:?}");
        let [first, second] = chaos.shop.world.api_servers().map(|url| url.trim_start_matches("https://").to_owned());
        let receipt = eventually("the Receipt names what is unproven", OUR_TIME, || async {
            let grant = chaos.grants_of(&person).await?.into_iter().next().ok_or("no Grant")?;
            Ok(grant.receipt.filter(|receipt| receipt.unproven.contains_key(&second)))
        })
        .await?;
        ensure!(receipt.refused.contains_key(&first), "not proven at {first}: {receipt:?}");
        ensure!(!receipt.refused.contains_key(&second), "proven at {second}, which stands still: {receipt:?}");
        drop(paused);
        eventually("it is proven at both", OUR_TIME, || async {
            let grant = chaos.grants_of(&person).await?.into_iter().next().ok_or("no Grant")?;
            let receipt = grant.receipt.unwrap_or_default();
            let proven = grant.phase == GrantPhase::Revoked && receipt.unproven.is_empty();
            Ok((proven && receipt.refused.contains_key(&second)).then_some(()))
        })
        .await?;
        println!(
            "one API server paused: answered after {} ms, unproven at {second} until it resumed",
            took.as_millis()
        );
        chaos.nothing_works(&person).await?;
        chaos.shop.ended(&run).await.map(drop)
    })
    .await
}

pub async fn api_server_outage_holds_up_no_answer_and_loses_no_revocation(world: Arc<World>) -> Outcome {
    Chaos::with(&world, "outage", |chaos| async move {
        let people = [chaos.shop.deployer("first").await?, chaos.shop.deployer("second").await?];
        let runs = [flow::kept(&chaos, &people[0]).await?, flow::kept(&chaos, &people[1]).await?];
        let paused = Paused::new(&[1, 2])?;
        let asked = Instant::now();
        chaos.shop.world.okta.deactivate(&people[0]).await?;
        let first = asked.elapsed();
        ensure!(first < BOUNDED_WAIT, "the first answer took {first:?}");
        // By now it is known that there is nobody to wait for.
        let asked = Instant::now();
        chaos.shop.world.okta.deactivate(&people[1]).await?;
        let second = asked.elapsed();
        ensure!(second < AT_ONCE, "the second answer took {second:?}");
        ensure!(
            chaos.shop.world.instance.metric("scim_tekton_revocations_pending", &[]).await? >= 1.0,
            "no revocation is counted as pending"
        );
        // Nothing that was acknowledged is lost when we die now.
        let process = chaos.process()?;
        process.kill()?;
        drop(paused);
        process.start().await?;
        for (person, run) in people.iter().zip(runs) {
            eventually("the revocation is done", OUR_TIME, || async {
                let grants = chaos.grants_of(person).await?;
                Ok(grants.iter().all(|grant| grant.phase == GrantPhase::Revoked).then_some(()))
            })
            .await?;
            chaos.nothing_works(person).await?;
            chaos.shop.ended(&run).await?;
        }
        println!("both API servers paused: answered after {} ms and {} ms", first.as_millis(), second.as_millis());
        Ok(())
    })
    .await
}
