//! Killed while identity providers write as fast as they can: what was acknowledged is there, and nothing is there by half.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{at_random, times};
use crate::{
    ensure,
    world::{Alone, Idp, Outcome, World},
};

/// Connections that write at the same time.
const WRITERS: usize = 8;
/// Members that a group is made with, in one request.
const TEAM: usize = 5;

/// What was acknowledged: users by id, with whether they are active; and groups by id.
#[derive(Clone, Default)]
struct Acknowledged {
    users: BTreeMap<String, bool>,
    groups: Vec<String>,
}

pub async fn g5_what_was_acknowledged_survives_kill_9_under_a_load_of_writes(_: Arc<World>) -> Outcome {
    let mut alone = Alone::start(json!({"scim": {"requestsPerSecond": 0}})).await?;
    let okta = alone.idp("okta").await?;
    let acknowledged = Mutex::new(Acknowledged::default());
    let kills = times(5, 50);
    for round in 0..kills {
        let writers = join_all((0..WRITERS).map(|writer| write(&okta, format!("{round}-{writer}"), &acknowledged)));
        let killed = async {
            tokio::time::sleep(Duration::from_millis(300) + at_random(Duration::from_millis(700))).await;
            alone.kill()
        };
        // Each writes until nobody answers.
        let (_, killed) = tokio::join!(writers, killed);
        killed?;
        alone.serve().await?;
        let so_far = note(&acknowledged).clone();
        all_is_there(&okta, &so_far).await?;
    }
    alone.cli(&["audit", "verify"]).await?;
    let acknowledged = acknowledged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (users, groups) = (acknowledged.users.len(), acknowledged.groups.len());
    println!("{kills} kills under a load of writes: {users} users and {groups} groups acknowledged, none lost");
    ensure!(groups >= kills, "only {groups} groups were made: no load");
    Ok(())
}

/// Makes teams, until the server is gone: users, their group, and one of them leaves.
async fn write(okta: &Idp, name: String, acknowledged: &Mutex<Acknowledged>) -> Outcome {
    for team in 0.. {
        let mut members = Vec::new();
        for member in 0..TEAM {
            let user = json!({"userName": format!("user-{name}-{team}-{member}@example.com"), "active": true});
            members.push(id(&okta.must(Method::POST, "/Users", Some(user)).await?)?);
            note(acknowledged).users.insert(members[member].clone(), true);
        }
        let values: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
        let group = json!({"displayName": format!("team-{name}-{team}"), "members": values});
        let group = id(&okta.must(Method::POST, "/Groups", Some(group)).await?)?;
        note(acknowledged).groups.push(group);
        let leaves = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
        // Asked for and not answered may be either.
        note(acknowledged).users.remove(&members[0]);
        okta.must(Method::PATCH, &format!("/Users/{}", members[0]), Some(leaves)).await?;
        note(acknowledged).users.insert(members[0].clone(), false);
    }
    Ok(())
}

fn note(acknowledged: &Mutex<Acknowledged>) -> std::sync::MutexGuard<'_, Acknowledged> {
    acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
}

fn id(resource: &Value) -> Outcome<String> {
    Ok(resource["id"].as_str().ok_or_else(|| format!("no id in {resource}"))?.to_owned())
}

async fn all_is_there(okta: &Idp, acknowledged: &Acknowledged) -> Outcome {
    let users = all(okta, "/Users?attributes=active").await?;
    for (id, active) in &acknowledged.users {
        let found = users.get(id).ok_or_else(|| format!("user {id} was acknowledged and is lost"))?;
        ensure!(found["active"] == *active, "user {id} was acknowledged as active={active}: {found}");
    }
    let groups = all(okta, "/Groups").await?;
    for id in &acknowledged.groups {
        ensure!(groups.contains_key(id), "group {id} was acknowledged and is lost");
    }
    for (id, group) in groups {
        let members = group["members"].as_array().map_or(0, Vec::len);
        ensure!(members == TEAM, "group {id} is there by half, with {members} members");
    }
    Ok(())
}

/// Everybody, by id: a walk by cursor.
async fn all(okta: &Idp, path: &str) -> Outcome<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    let and = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = okta.must(Method::GET, &format!("{path}{and}count=1000&cursor={cursor}"), None).await?;
        for resource in page["Resources"].as_array().into_iter().flatten() {
            found.insert(id(resource)?, resource.clone());
        }
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(found),
        }
    }
}
