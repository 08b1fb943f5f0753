//! From a SCIM request to a dead credential: the time until its answer, and until both API servers refuse, seen from
//! outside; with one live Grant in the cluster and with many.

mod live;
mod peers;
mod probe;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use live::{Holder, Team};
use probe::Probes;

use crate::{
    interrupted,
    progress::Progress,
    results::{Better, Row},
    sample::{Rounds, Sample, median},
    world::{Outcome, Shop, World},
};

const BENCH: &str = "deprovision";
const ROUNDS: usize = 3;
/// People who leave in a round of the case with one live Grant.
const ALONE: usize = 20;
/// People who leave under probing in the other cases; who is left then goes unmeasured.
const MEASURED: usize = 100;
/// RoleBindings that the bare client deletes in a round.
const BARE: usize = 50;
/// Tokens whose Secret the bare client deletes, at once.
const BOUND: usize = 3;
/// ConfigMaps that the bare client deletes in a round.
const SMALL: usize = 200;
/// Between two requests of a prober, ours and the peer's: what a time may be too long by, beside the request itself.
const PAUSE: Duration = Duration::from_millis(1);

const ROLE_BINDING: &str = "RoleBinding deleted by a bare client";
const SECRET: &str = "Secret of a bound token deleted";
const DELETES: &str = "bare deletes of ConfigMaps, one by one";

/// One person's leaving.
struct Left {
    answered: Duration,
    refused: Duration,
    /// A request sent after the answer was let through.
    late: bool,
}

/// What a case came to.
struct Case {
    name: String,
    answered: Rounds,
    refused: Rounds,
    late: usize,
    bare: Rounds,
}

/// What is the same for all cases.
struct Once {
    bound: Sample,
    deletes: f64,
}

pub async fn run(world: &Arc<World>, progress: &Progress) -> Outcome<Vec<Row>> {
    let sizes: &[usize] = if std::env::var("FULL").is_ok_and(|full| full == "1") {
        &[1, 100, 1_000, 10_000]
    } else {
        progress.say("deprovision: with 1 and with 100 live Grants; FULL=1 adds 1,000 and 10,000, which takes hours");
        &[1, 100]
    };
    let shop = Arc::new(Shop::open(world, "bench").await?);
    let outcome = tokio::select! {
        outcome = measure(&shop, sizes, progress) => outcome,
        outcome = interrupted() => outcome.map(|()| Vec::new()),
    };
    shop.close().await;
    outcome
}

async fn measure(shop: &Arc<Shop>, sizes: &[usize], progress: &Progress) -> Outcome<Vec<Row>> {
    let team = Team::set_up(Arc::clone(shop)).await?;
    let once = once(shop, progress).await?;
    let mut rows = Vec::new();
    for &size in sizes {
        let case = if size == 1 { alone(&team, progress).await? } else { among(&team, size, progress).await? };
        progress.say(format!("{}: answered after {}", case.name, case.answered.words()));
        progress.say(format!("{}: refused after  {}", case.name, case.refused.words()));
        progress.say(format!("{}: bare client    {}", case.name, case.bare.words()));
        rows.extend(rows_of(&case, &once));
    }
    Ok(rows)
}

async fn once(shop: &Shop, progress: &Progress) -> Outcome<Once> {
    progress.say(format!("the bare client deletes {ROUNDS} times {SMALL} ConfigMaps"));
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(peers::deletes_per_second(shop, SMALL).await?);
    }
    progress.say(format!("the bare client deletes the Secrets of {BOUND} bound tokens"));
    Ok(Once { bound: Sample::of(peers::bound_secret(shop, BOUND).await?), deletes: median(rates) })
}

/// One live Grant at a time.
async fn alone(team: &Team, progress: &Progress) -> Outcome<Case> {
    let (mut rounds, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        bare.push(bare_round(team, round, progress).await?);
        progress.say(format!("round {round} of {ROUNDS}: {ALONE} people with the only live Grant leave"));
        let mut left = Vec::new();
        for _ in 0..ALONE {
            for holder in team.hold(1, progress).await? {
                left.push(leave(team, &holder).await?);
            }
            progress.at(format!("round {round} of {ROUNDS}: {} of {ALONE} people have left", left.len()));
        }
        rounds.push(left);
    }
    Ok(case_of("1 live Grant".into(), &rounds, bare))
}

/// Many live Grants; people leave one after the other.
async fn among(team: &Team, size: usize, progress: &Progress) -> Outcome<Case> {
    progress.say(format!("{size} people get a live Grant each"));
    let holders = team.hold(size, progress).await?;
    let mut bare = Vec::new();
    for round in 1..=ROUNDS {
        bare.push(bare_round(team, round, progress).await?);
    }
    let measured = size.min(MEASURED);
    progress.say(format!("{measured} of {size} people with live Grants leave, one after the other"));
    let mut left = Vec::new();
    for holder in holders.iter().take(MEASURED) {
        left.push(leave(team, holder).await?);
        progress.at(format!("{} of {measured} people have left", left.len()));
    }
    for (number, holder) in holders.iter().enumerate().skip(MEASURED) {
        progress.at(format!("{number} of {size} people have left"));
        team.shop.world.okta.deactivate(&holder.person).await?;
    }
    Ok(case_of(format!("{size} live Grants"), &[left], bare))
}

async fn bare_round(team: &Team, round: usize, progress: &Progress) -> Outcome<Sample> {
    progress.say(format!("round {round} of {ROUNDS}: the bare client deletes {BARE} RoleBindings"));
    Ok(Sample::of(peers::role_binding(&team.shop, BARE, PAUSE).await?))
}

/// A person leaves while their credential is in use at both API servers.
async fn leave(team: &Team, holder: &Holder) -> Outcome<Left> {
    let mut probes = Probes::start(&team.shop, &holder.token, PAUSE)?;
    probes.in_use().await?;
    let asked = Instant::now();
    team.shop.world.okta.deactivate(&holder.person).await?;
    let answer = Instant::now();
    let death = probes.death().await?;
    Ok(Left { answered: answer - asked, refused: death.seen - asked, late: death.last_use > answer })
}

fn case_of(name: String, rounds: &[Vec<Left>], bare: Vec<Sample>) -> Case {
    let each = |of: fn(&Left) -> Duration| Rounds(rounds.iter().map(|left| Sample::of(left.iter().map(of))).collect());
    Case {
        name,
        answered: each(|left| left.answered),
        refused: each(|left| left.refused),
        late: rounds.iter().flatten().filter(|left| left.late).count(),
        bare: Rounds(bare),
    }
}

fn rows_of(case: &Case, once: &Once) -> Vec<Row> {
    let row = |metric, value, unit| Row::alone(BENCH, &case.name, metric, value, unit);
    let (p50, p99) = (|sample: &Sample| sample.quantile(0.5), |sample: &Sample| sample.quantile(0.99));
    let figures = [
        ("refused p50", case.refused.median(p50), case.bare.median(p50)),
        ("refused p99", case.refused.median(p99), case.bare.median(p99)),
        ("refused max", case.refused.max(), case.bare.max()),
        ("answered p50", case.answered.median(p50), case.bare.median(p50)),
        ("answered p99", case.answered.median(p99), case.bare.median(p99)),
        ("answered max", case.answered.max(), case.bare.max()),
    ];
    let mut rows: Vec<_> = figures
        .into_iter()
        .map(|(metric, value, peer)| row(metric, value, "ms").beside(ROLE_BINDING, peer, Better::Less))
        .collect();
    let refused = case.refused.median(p50);
    rows.push(row("refused p50", refused, "ms").beside(SECRET, p50(&once.bound), Better::Less));
    let rate = 1e3 / case.answered.median(Sample::mean);
    rows.push(row("deactivations, one by one", rate, "/s").beside(DELETES, once.deletes, Better::More));
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let late = case.late as f64;
    rows.push(row("let through after the answer", late, "people"));
    rows
}
