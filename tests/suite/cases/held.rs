//! 100 people with live credentials are deactivated while probers use the credentials without pause.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use scim_tekton::api::GrantPhase;

use super::deprovision::{probers_of, receipts_precede};
use crate::{
    ensure,
    world::{BATCH_TIME, Outcome, Person, Prober, Shop, World, eventually, failpoints_binary, kubectl},
};

/// People at a time; the rest of DESIGN's hundred comes in batches.
const BATCH: usize = 10;

struct Held {
    person: Person,
    run: String,
    probers: Vec<Prober>,
}

/// What a hundred deactivations came to.
struct Tally {
    late: usize,
    before: usize,
    milliseconds: Vec<f64>,
}

async fn hold(shop: &Arc<Shop>, number: usize) -> Outcome<(Person, String)> {
    let person = shop.deployer(&format!("held{number}")).await?;
    let run = shop.start(&person, "held").await?;
    Ok((person, run))
}

/// Eight probers at a time: four people, each at both API servers.
async fn deactivate_all(shop: &Arc<Shop>, people: usize) -> Outcome<Tally> {
    let mut tally = Tally { late: 0, before: 0, milliseconds: Vec::new() };
    for batch in 0..people.div_ceil(BATCH) {
        let held = try_join_all((0..BATCH).map(|n| hold(shop, batch * BATCH + n))).await?;
        for four in held.chunks(4) {
            let mut probed = Vec::new();
            for (person, run) in four {
                let grants = shop.grants(run, GrantPhase::Active, 2).await?;
                probed.push(Held {
                    person: person.clone(),
                    run: run.clone(),
                    probers: probers_of(shop, &grants).await?,
                });
            }
            for one in probed {
                deactivate_one(shop, one, &mut tally).await?;
            }
        }
    }
    Ok(tally)
}

async fn deactivate_one(shop: &Arc<Shop>, held: Held, tally: &mut Tally) -> Outcome {
    let Held { person, run, probers } = held;
    let begun = Instant::now();
    eventually("each prober has had a success a moment ago", BATCH_TIME, || async {
        Ok(probers.iter().all(|p| p.shots().iter().any(|s| s.sent > begun && s.status == 200)).then_some(()))
    })
    .await?;
    let asked = Instant::now();
    shop.world.okta.deactivate(&person).await?;
    let answer = Instant::now();
    let answered = chrono::Utc::now();
    tally.milliseconds.push((answer - asked).as_secs_f64() * 1e3);
    // Until each has tried at least twenty times after the answer.
    eventually("each prober has tried again", BATCH_TIME, || async {
        Ok(probers
            .iter()
            .all(|p| p.shots().iter().filter(|s| s.sent > answer && s.status != 0).count() >= 20)
            .then_some(()))
    })
    .await?;
    for prober in probers {
        for shot in prober.finish().await.into_iter().filter(|shot| shot.status == 200) {
            if shot.sent > answer { tally.late += 1 } else { tally.before += 1 }
        }
    }
    if tally.late == 0 {
        let grants = shop.grants(&run, GrantPhase::Revoked, 2).await?;
        receipts_precede(&grants, answered)?;
    }
    Ok(())
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

pub async fn g2_no_request_sent_after_the_answer_succeeds_in_100_of_100(world: Arc<World>) -> Outcome {
    Shop::with(&world, "held", |shop| async move {
        shop.trigger("held").await?;
        let mut tally = deactivate_all(&shop, 100).await?;
        tally.milliseconds.sort_by(f64::total_cmp);
        println!(
            "100 deactivations under probing: {} successes before, {} sent after the answer; answered after p50 {:.1} ms, p99 {:.1} ms",
            tally.before,
            tally.late,
            percentile(&tally.milliseconds, 0.5),
            percentile(&tally.milliseconds, 0.99),
        );
        ensure!(tally.late == 0, "{} requests sent after the answer succeeded", tally.late);
        Ok(())
    })
    .await
}

/// The proof that the test can fail: an image with failpoints takes the place of the installed one.
pub async fn with_revocation_switched_off_the_same_test_fails(world: Arc<World>) -> Outcome {
    let binary = failpoints_binary()?;
    let image = "localhost/scim-tekton:failpoints";
    let deployment = "deployment/scim-tekton";
    super::restart::load_image(&binary, image).await?;
    let install = ["-n", "scim-tekton"];
    let with = |args: &[&'static str]| -> Vec<String> { install.iter().chain(args).map(|s| (*s).to_owned()).collect() };
    let call = |args: Vec<String>| async move {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        kubectl(&args).await
    };
    call(with(&["set", "env", deployment, "FAILPOINTS=revocation::off=return"])).await?;
    call(with(&["set", "image", deployment, "scim-tekton=localhost/scim-tekton:failpoints"])).await?;
    call(with(&["rollout", "status", deployment, "--timeout=120s"])).await?;
    let outcome = Shop::with(&world, "unrevoked", |shop| async move {
        shop.trigger("held").await?;
        let (person, run) = hold(&shop, 0).await?;
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let probers = probers_of(&shop, &grants).await?;
        let mut tally = Tally { late: 0, before: 0, milliseconds: Vec::new() };
        deactivate_one(&shop, Held { person, run, probers }, &mut tally).await?;
        ensure!(tally.late > 0, "with revocation switched off, nothing was late: the test can't fail");
        println!("with revocation switched off: {} requests sent after the answer succeeded", tally.late);
        Ok(())
    })
    .await;
    call(with(&["set", "env", deployment, "FAILPOINTS-"])).await?;
    call(with(&["set", "image", deployment, "scim-tekton=localhost/scim-tekton:dev"])).await?;
    call(with(&["rollout", "status", deployment, "--timeout=120s"])).await?;
    // What was left undone is found in the store and done now.
    eventually("no revocation is left", Duration::from_mins(1), || async {
        Ok((world.instance.metric("scim_tekton_revocations_pending", &[]).await? == 0.0).then_some(()))
    })
    .await?;
    outcome
}
