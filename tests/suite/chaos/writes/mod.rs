//! Ended while identity providers write as fast as they can: what was acknowledged is there, and nothing is there by half.

mod load;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::json;

use self::load::Ledger;
use super::{at_random, times};
use crate::{
    ensure,
    report::Report,
    world::{Alone, Luck, Outcome, World},
};

/// Both, by the binary alone.
pub async fn durability() -> Report {
    let report = Report::default();
    report.check("what was acknowledged survives kill -9 under a load of writes", kills().await);
    report.check("what was acknowledged survives a power cut under a load of writes", power_cuts().await);
    report
}

pub async fn g5_what_was_acknowledged_survives_kill_9_under_a_load_of_writes(_: Arc<World>) -> Outcome {
    kills().await
}

pub async fn g5_what_was_acknowledged_survives_a_power_cut_under_a_load_of_writes(_: Arc<World>) -> Outcome {
    power_cuts().await
}

async fn kills() -> Outcome {
    let mut alone = Alone::start(json!({"scim": {"requestsPerSecond": 0}})).await?;
    let okta = alone.idp("okta").await?;
    let ledger = Ledger::default();
    let kills = times(5, 50);
    for round in 0..kills {
        let killed = async {
            tokio::time::sleep(Duration::from_millis(300) + at_random(Duration::from_millis(700))).await;
            alone.kill()
        };
        let name = round.to_string();
        let ((), killed) = tokio::join!(ledger.load(&okta, &name), killed);
        killed?;
        alone.serve().await?;
        ledger.until(SystemTime::now()).is_all_there(&okta).await?;
    }
    alone.cli(&["audit", "verify"]).await?;
    let known = ledger.until(SystemTime::now());
    let (users, groups) = (known.users.len(), known.groups.len());
    println!("{kills} kills under a load of writes: {users} users and {groups} groups acknowledged, none lost");
    ensure!(groups >= kills, "only {groups} groups were made: no load");
    Ok(())
}

async fn power_cuts() -> Outcome {
    let mut alone = Alone::start_on_a_disk(json!({"scim": {"requestsPerSecond": 0}})).await?;
    let okta = alone.idp("okta").await?;
    let (ledger, began) = (Ledger::default(), SystemTime::now());
    let killed = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        alone.kill()
    };
    let ((), killed) = tokio::join!(ledger.load(&okta, "cut"), killed);
    killed?;
    let disk = alone.disk.take().ok_or("no disk")?;
    let (journal, cuts, mut checked) = (disk.journal()?, times(10, 100), 0);
    for cut in 0..cuts {
        // Every other one is even.
        let seed = (uuid::Uuid::new_v4().as_u64_pair().0 & !1) | u64::from(cut % 2 == 1);
        let mut luck = Luck::seeded(seed);
        let moment = journal.moment(began, &mut luck)?;
        disk.cut(&journal, moment, &mut luck)?;
        let known = ledger.until(journal.time(moment));
        let looked_at = async {
            alone.serve().await?;
            known.is_all_there(&okta).await?;
            alone.cli(&["audit", "verify"]).await.map(drop)
        };
        looked_at.await.map_err(|error| format!("cut after {moment} calls, seed {seed}: {error}"))?;
        alone.kill()?;
        checked += known.users.len() + known.groups.len();
    }
    println!("the power cut at {cuts} moments: {checked} acknowledged users and groups looked for, none lost");
    ensure!(checked > cuts, "only {checked} users and groups were acknowledged: no load");
    Ok(())
}
