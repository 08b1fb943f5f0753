//! Identity providers that write as fast as they can, and what they were told.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    ensure,
    world::{Idp, Outcome},
};

/// Connections that write at the same time.
const WRITERS: usize = 8;
/// Members that a group is made with, in one request.
const TEAM: usize = 5;

/// What became of a write.
#[derive(Clone)]
enum Told {
    UserMade(String),
    /// Not answered yet: the user may be either.
    LeaveAsked(String),
    Left(String),
    GroupMade(String),
}

/// What was told, and when.
#[derive(Default)]
pub struct Ledger(Mutex<Vec<(SystemTime, Told)>>);

/// What was acknowledged by a moment: users by id, with whether they are active; and groups by id.
#[derive(Default)]
pub struct Acknowledged {
    pub users: BTreeMap<String, bool>,
    pub groups: Vec<String>,
}

impl Ledger {
    /// Makes teams over several connections, until the server is gone.
    pub async fn load(&self, idp: &Idp, name: &str) {
        // Each ends with the error that nobody answers.
        join_all((0..WRITERS).map(|writer| self.write(idp, format!("{name}-{writer}")))).await;
    }

    /// What was acknowledged by then.
    pub fn until(&self, then: SystemTime) -> Acknowledged {
        let mut known = Acknowledged::default();
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, told) in told.iter().filter(|(at, _)| *at <= then) {
            match told.clone() {
                Told::UserMade(id) => drop(known.users.insert(id, true)),
                Told::LeaveAsked(id) => drop(known.users.remove(&id)),
                Told::Left(id) => drop(known.users.insert(id, false)),
                Told::GroupMade(id) => known.groups.push(id),
            }
        }
        known
    }

    /// Makes users, then their group, then one of them leaves; and again.
    async fn write(&self, idp: &Idp, name: String) -> Outcome {
        for team in 0.. {
            let mut members = Vec::new();
            for member in 0..TEAM {
                let user = json!({"userName": format!("user-{name}-{team}-{member}@example.com"), "active": true});
                members.push(id(&idp.must(Method::POST, "/Users", Some(user)).await?)?);
                self.note(Told::UserMade(members[member].clone()));
            }
            let values: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
            let group = json!({"displayName": format!("team-{name}-{team}"), "members": values});
            self.note(Told::GroupMade(id(&idp.must(Method::POST, "/Groups", Some(group)).await?)?));
            let leaves = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
            self.note(Told::LeaveAsked(members[0].clone()));
            idp.must(Method::PATCH, &format!("/Users/{}", members[0]), Some(leaves)).await?;
            self.note(Told::Left(members[0].clone()));
        }
        Ok(())
    }

    fn note(&self, told: Told) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((SystemTime::now(), told));
    }
}

impl Acknowledged {
    /// Fails if any of it is lost, or if anything is there by half.
    pub async fn is_all_there(&self, idp: &Idp) -> Outcome {
        let users = all(idp, "/Users?attributes=active").await?;
        for (id, active) in &self.users {
            let found = users.get(id).ok_or_else(|| format!("user {id} was acknowledged and is lost"))?;
            ensure!(found["active"] == *active, "user {id} was acknowledged as active={active}: {found}");
        }
        let groups = all(idp, "/Groups").await?;
        for id in &self.groups {
            ensure!(groups.contains_key(id), "group {id} was acknowledged and is lost");
        }
        for (id, group) in groups {
            let members = group["members"].as_array().map_or(0, Vec::len);
            ensure!(members == TEAM, "group {id} is there by half, with {members} members");
        }
        Ok(())
    }
}

fn id(resource: &Value) -> Outcome<String> {
    Ok(resource["id"].as_str().ok_or_else(|| format!("no id in {resource}"))?.to_owned())
}

/// Everybody, by id: a walk by cursor.
async fn all(idp: &Idp, path: &str) -> Outcome<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    let and = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = idp.must(Method::GET, &format!("{path}{and}count=1000&cursor={cursor}"), None).await?;
        for resource in page["Resources"].as_array().into_iter().flatten() {
            found.insert(id(resource)?, resource.clone());
        }
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(found),
        }
    }
}
