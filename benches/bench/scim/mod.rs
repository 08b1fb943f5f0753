//! Provisioning, as an identity provider does it: users created, looked up by `userName`, added to groups. Ours is durable
//! on disk when it answers, beside peers that keep all in memory and answer from there.

mod load;
mod people;
mod server;
mod wire;

use std::{fs::File, io::Write as _, path::Path, time::Instant};

use load::{Request, send};
use serde_json::Value;
use server::{Ours, Server};

use crate::{
    interrupted,
    progress::Progress,
    results::{Better, Row},
    sample::{Rounds, Sample, median},
    world::Outcome,
};

const BENCH: &str = "scim";
/// As an IdP that provisions as fast as it can.
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
/// Users that a peer is given: its cost grows with their number.
const PEER_USERS: usize = 1_000;
/// Of a round.
const READS: usize = 20_000;
const PEER_READS: usize = 300;
/// Members added in a round, one after the other.
const ADDED: usize = 200;
const PEER_ADDED: usize = 20;
/// Members of a group whose cost is compared with that of one of ten.
const LARGE: usize = 100_000;
/// Where a PostgreSQL is.
const POSTGRES: &str = "POSTGRES_FOR_TESTS";

/// A directory that was filled.
struct Filled {
    /// `id`s of the users, by number.
    users: Vec<String>,
    creates: f64,
}

/// What was measured of a server.
struct Measured {
    name: &'static str,
    creates: f64,
    reads: f64,
    /// By the size of the group.
    adds: Vec<(usize, Rounds)>,
}

pub async fn run(progress: &Progress) -> Outcome<Vec<Row>> {
    tokio::select! {
        rows = measure(progress) => rows,
        outcome = interrupted() => outcome.map(|()| Vec::new()),
    }
}

async fn measure(progress: &Progress) -> Outcome<Vec<Row>> {
    let sizes: &[usize] = if std::env::var("FULL").is_ok_and(|full| full == "1") {
        &[1_000, 100_000, 1_000_000]
    } else {
        progress.say("scim: with 1,000 and with 100,000 users; FULL=1 adds a million");
        &[1_000, 100_000]
    };
    let peers = [peer(server::scimmy().await?, progress).await?, peer(server::scim2_server().await?, progress).await?];
    let mut rows = Vec::new();
    for &size in sizes {
        rows.extend(ours(size, None, &peers, progress).await?);
    }
    let postgres = std::env::var(POSTGRES).map_err(|_| format!("{POSTGRES} is not set: `make bench` starts one"))?;
    rows.extend(ours(PEER_USERS, Some(&postgres), &peers, progress).await?);
    Ok(rows)
}

async fn peer(server: Server, progress: &Progress) -> Outcome<Measured> {
    let filled = fill(&server, PEER_USERS, progress).await?;
    let reads = reads(&server, PEER_USERS, PEER_READS).await?;
    let adds = vec![
        (10, adds(&server, &filled, 10, PEER_ADDED).await?),
        (PEER_USERS / 2, adds(&server, &filled, PEER_USERS / 2, PEER_ADDED).await?),
    ];
    let measured = Measured { name: server.name, creates: filled.creates, reads, adds };
    say(&measured, PEER_USERS, progress);
    Ok(measured)
}

async fn ours(size: usize, postgres: Option<&str>, peers: &[Measured], progress: &Progress) -> Outcome<Vec<Row>> {
    let (ours, server) = Ours::new(postgres).await?;
    let fsync = fsync(ours.folder())?;
    let filled = fill(&server, size, progress).await?;
    groups(&server, &filled).await?;
    let reads = reads(&server, size, READS).await?;
    let mut added = vec![(10, adds(&server, &filled, 10, ADDED).await?)];
    // As large as the peers' largest, and half of all.
    let mut large = vec![PEER_USERS / 2, size / 2];
    large.dedup();
    if size > LARGE {
        large.insert(1, LARGE);
    }
    for members in large {
        added.push((members, adds(&server, &filled, members, ADDED).await?));
    }
    let measured = Measured { name: server.name, creates: filled.creates, reads, adds: added };
    say(&measured, size, progress);
    drop(server);
    // Again, with what is there: what a restart costs.
    let server = ours.serve().await?;
    let case = format!("{size} users{}", if postgres.is_some() { ", on PostgreSQL" } else { "" });
    let row = |metric, value, unit| Row::alone(BENCH, &case, metric, value, unit);
    let mut rows = vec![
        row("fsync p50", fsync.quantile(0.5), "ms"),
        row("fsync p99", fsync.quantile(0.99), "ms"),
        row("ready after a start", server.ready_after.as_secs_f64() * 1e3, "ms"),
        row("memory after a start", server.memory()?, "MiB"),
    ];
    for peer in peers {
        rows.push(row("durable creates", measured.creates, "/s").beside(peer.name, peer.creates, Better::More));
        rows.push(row("userName eq", measured.reads, "/s").beside(peer.name, peer.reads, Better::More));
    }
    for (members, rounds) in &measured.adds {
        let case = format!("{case}, a group of {members}");
        for (metric, share) in [("member added p50", 0.5), ("member added p99", 0.99)] {
            let value = rounds.median(|sample| sample.quantile(share));
            let mut row = Row::alone(BENCH, &case, metric, value, "ms");
            let theirs = peers.iter().filter_map(|peer| {
                let same = peer.adds.iter().find(|(theirs, _)| theirs == members);
                same.map(|(_, rounds)| (peer.name, rounds.median(|sample| sample.quantile(share))))
            });
            // The better of them.
            if let Some((name, theirs)) = theirs.min_by(|left, right| left.1.total_cmp(&right.1)) {
                row = row.beside(name, theirs, Better::Less);
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn say(measured: &Measured, size: usize, progress: &Progress) {
    let Measured { name, creates, reads, adds } = measured;
    progress.say(format!("{name}, {size} users: {creates:.0} creates/s, {reads:.0} userName eq/s"));
    for (members, rounds) in adds {
        progress.say(format!("{name}, {size} users: a member added to a group of {members}: {}", rounds.words()));
    }
}

/// Creates users, in rounds that each last long enough to be measured; the median of their rates.
async fn fill(server: &Server, size: usize, progress: &Progress) -> Outcome<Filled> {
    let (mut users, mut rates) = (Vec::with_capacity(size), Vec::new());
    let round = (size / ROUNDS).clamp(1, 20_000);
    while users.len() < size {
        let numbers = users.len()..(users.len() + round).min(size);
        let whole = numbers.len() == round;
        let load = send(server, CONNECTIONS, numbers.map(|n| ("POST", "/Users".into(), people::user(n)))).await?;
        for body in &load.bodies {
            users.push(id(body)?);
        }
        if whole {
            rates.push(load.per_second);
        }
        progress.at(format!("{}: {} of {size} users are there", server.name, users.len()));
    }
    Ok(Filled { users, creates: median(rates) })
}

fn id(body: &[u8]) -> Outcome<String> {
    let body: Value = serde_json::from_slice(body)?;
    Ok(body["id"].as_str().ok_or("an answer without an id")?.to_owned())
}

/// Each user in five of a thousand groups.
async fn groups(server: &Server, filled: &Filled) -> Outcome {
    let count = filled.users.len();
    let groups = (0..people::GROUPS).map(|group| {
        let members: Vec<_> = (0..count * people::MEMBERSHIPS / people::GROUPS)
            .map(|at| filled.users[(at * people::GROUPS / people::MEMBERSHIPS + group) % count].clone())
            .collect();
        ("POST", "/Groups".into(), people::group(&format!("group-{group}"), &members))
    });
    send(server, CONNECTIONS, groups).await.map(drop)
}

async fn reads(server: &Server, size: usize, count: usize) -> Outcome<f64> {
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        // Each time another order, and no order at all.
        let numbers = (0..count).map(|at| (at * 7_919 + round * 104_729) % size);
        let requests: Vec<Request> = numbers
            .map(|number| {
                let filter = format!("userName%20eq%20%22{}%22", people::name(number));
                ("GET", format!("/Users?filter={filter}"), String::new())
            })
            .collect();
        let load = send(server, CONNECTIONS, requests).await?;
        let found = |body: &Vec<u8>| serde_json::from_slice::<Value>(body).is_ok_and(|body| body["totalResults"] == 1);
        if !load.bodies.iter().all(found) {
            return Err(format!("{}: a user was not found by their userName", server.name).into());
        }
        rates.push(load.per_second);
    }
    Ok(median(rates))
}

/// Adds members to a group that has so many already, one after the other.
async fn adds(server: &Server, filled: &Filled, members: usize, count: usize) -> Outcome<Rounds> {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let path = group_of(server, &format!("of-{members}-{round}"), &filled.users[..members]).await?;
        let rest = filled.users[members..].iter().take(count);
        let operations = rest.map(|user| ("PATCH", path.clone(), people::add(std::slice::from_ref(user))));
        rounds.push(Sample::of(send(server, 1, operations).await?.took));
    }
    Ok(Rounds(rounds))
}

/// A group of these, and its path; made in parts, as an IdP does it: no body is larger than a megabyte.
async fn group_of(server: &Server, name: &str, members: &[String]) -> Outcome<String> {
    let mut parts = members.chunks(10_000);
    let group = people::group(name, parts.next().unwrap_or_default());
    let made = send(server, 1, [("POST", "/Groups".into(), group)]).await?;
    let path = format!("/Groups/{}", id(&made.bodies[0])?);
    for part in parts {
        send(server, 1, [("PATCH", path.clone(), people::add(part))]).await?;
    }
    Ok(path)
}

/// What the disk takes for a small write that lasts.
fn fsync(folder: &Path) -> Outcome<Sample> {
    let mut file = File::create(folder.join("fsync"))?;
    let mut took = Vec::new();
    for _ in 0..500 {
        file.write_all(&[0; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    Ok(Sample::of(took))
}
