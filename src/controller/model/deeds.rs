//! What people do: at their identity provider, with git, and in the cluster.

use std::sync::{Arc, Mutex};

use chrono::Duration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    etcd::{Key, merge},
    history::{Act, GROUPS, PEOPLE},
    play::Stage,
    process::Parts,
    rules::Ticket,
    watched_store::Kept,
    world::NAMESPACES,
};
use crate::{
    api::{GrantPhase, PENDING, RevocationReason, TICKET_ANNOTATION},
    identity::{Edit, IdpName, MemberOp, Resource, ResourceId, ResourceKind},
    policy::{matching, policy_facts, policy_ref},
    store::{DecisionOutcome, EventFacts, GrantRecord, NewDecision, NewTicket, Provisioned, Store as _},
    ticket::{self, SecretHash},
};

fn okta() -> IdpName {
    "okta".into()
}

/// What was done so far.
#[derive(Default)]
pub struct Deeds {
    events: Mutex<usize>,
    runs: Mutex<Vec<Key>>,
    /// The newest ticket, and who pushed.
    newest: Mutex<Option<(String, Ticket, usize)>>,
}

fn user(name: &str) -> Edit {
    let attributes = json!({"userName": name, "active": true});
    Edit { attributes: attributes.as_object().cloned().unwrap(), ..Edit::default() }
}

fn group(name: &str, members: Vec<ResourceId>) -> Edit {
    let attributes = json!({"displayName": name});
    Edit {
        attributes: attributes.as_object().cloned().unwrap(),
        members: vec![MemberOp::Add(members)],
        ..Edit::default()
    }
}

impl Deeds {
    pub async fn first_people(&self, kept: &Kept) {
        let mut ids = Vec::new();
        for name in PEOPLE {
            ids.push(kept.store.create(&okta(), ResourceKind::User, user(name)).await.unwrap().resource.id);
        }
        let leads = kept.store.create(&okta(), ResourceKind::Group, group(GROUPS[1], vec![ids[2]])).await.unwrap();
        let members = vec![ids[0], leads.resource.id];
        kept.store.create(&okta(), ResourceKind::Group, group(GROUPS[0], members)).await.unwrap();
    }
}

impl Stage {
    /// Does it, to its end.
    pub async fn act(&self, act: Act) {
        match act {
            Act::Push { who, namespace } => {
                let event = {
                    let mut events = self.deeds.events.lock().unwrap();
                    *events += 1;
                    format!("event-{events}")
                };
                self.push(who, NAMESPACES[namespace], event).await;
            }
            Act::Redeliver => {
                let newest = self.deeds.newest.lock().unwrap().clone();
                if let Some((_, ticket, who)) = newest {
                    self.push(who, ticket.namespace, ticket.event).await;
                }
            }
            Act::CopyTicket { elsewhere, child } => {
                let newest = self.deeds.newest.lock().unwrap().clone();
                if let Some((ticket, known, _)) = newest {
                    let other = NAMESPACES.into_iter().find(|namespace| *namespace != known.namespace);
                    let namespace = if elsewhere { other.unwrap() } else { known.namespace };
                    self.run(namespace, Some(&ticket), child);
                }
            }
            Act::NoTicket { forged } => {
                let ticket = ticket::mint_ticket().unwrap();
                self.run(NAMESPACES[0], forged.then(|| ticket.expose_secret()), false);
            }
            Act::CancelRun { back } => {
                let Some(key) = self.back(back) else { return };
                let Some(run) = self.world.get(&key) else { return };
                let mut run = Value::clone(&run);
                merge(&mut run, &json!({"spec": {"status": "Cancelled"}}));
                self.world.put(&key, run);
            }
            Act::DeleteRun { back } => {
                if let Some(key) = self.back(back) {
                    self.world.delete(&key);
                }
            }
            Act::DeleteGrant { back } | Act::DeleteCopy { back } | Act::RevokeGrant { back } => {
                let Some(grant) = self.grant(back) else { return };
                match act {
                    Act::RevokeGrant { .. } => self.revoke(&grant).await,
                    Act::DeleteGrant { .. } => {
                        self.world.delete(&Key::new("grants", &grant.namespace, &format!("grant-{}", grant.id)));
                    }
                    _ => {
                        self.world.delete(&Key::new("secrets", &grant.namespace, &format!("grant-{}", grant.id)));
                    }
                }
            }
            Act::ChangePolicy { subjects } => {
                let key = Key::new("accesspolicies", NAMESPACES[0], "deploy");
                if self.world.get(&key).is_some() {
                    self.put_policy(NAMESPACES[0], subjects);
                }
            }
            Act::DeletePolicy { millis } => {
                if self.world.delete(&Key::new("accesspolicies", NAMESPACES[0], "deploy")) {
                    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
                    self.put_policy(NAMESPACES[0], 0);
                }
            }
            Act::DeleteTemplate { millis } => {
                if self.world.delete(&Key::new("credentialtemplates", NAMESPACES[0], super::tekton::TEMPLATE)) {
                    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
                    self.put_template(NAMESPACES[0]);
                }
            }
            act => self.until_done(|parts| scim(parts, act)).await,
        }
    }

    fn back(&self, back: usize) -> Option<Key> {
        self.deeds.runs.lock().unwrap().iter().rev().nth(back).cloned()
    }

    fn grant(&self, back: usize) -> Option<GrantRecord> {
        self.kept.grants(&[GrantPhase::Pending, GrantPhase::Active]).into_iter().rev().nth(back)
    }

    /// As the interceptor decides, and what the EventListener makes of it.
    async fn push(&self, who: usize, namespace: &'static str, event: String) {
        let Some(parts) = self.process() else { return };
        let (user, policy) = {
            let (directory, catalog) = (parts.context.directory.load(), parts.context.catalog.load());
            let Some(policy) = catalog.policy(namespace, "deploy") else { return };
            let Ok(facts) = policy_facts(policy, directory.idps()) else { return };
            let Some(user) = directory.user_by_name(&okta(), PEOPLE[who]).filter(|user| user.active) else { return };
            if matching(&directory, user.id, &facts.subjects).is_empty() {
                return;
            }
            (user.id, policy_ref(policy))
        };
        let ticket = ticket::mint_ticket().unwrap();
        let now = self.world.state().now();
        let decision = NewDecision {
            id: uuid::Uuid::new_v4().to_string(),
            at: now,
            allowed: true,
            code: 0,
            reason: "allowed".into(),
            reason_code: "Allowed".into(),
            trace: Vec::new(),
            user: Some(user),
            namespace: namespace.into(),
            trigger: "push".into(),
            policy: Some(policy),
            event: EventFacts { source: "github".into(), event: "push".into(), ..EventFacts::default() },
            ticket: Some(NewTicket {
                hash: ticket::hash_of(&ticket),
                expires_at: now + Duration::minutes(5),
                spend_key: SecretHash::of(&event),
            }),
        };
        if !matches!(parts.store.record_decision(decision).await, Ok(DecisionOutcome::Recorded)) {
            return;
        }
        let known = Ticket { event, namespace };
        self.world.state().count("events let through");
        self.world.state().rules.tickets.insert(ticket.expose_secret().to_owned(), known.clone());
        *self.deeds.newest.lock().unwrap() = Some((ticket.expose_secret().to_owned(), known, who));
        self.world.pause("event listener", 1, 60).await;
        self.run(namespace, Some(ticket.expose_secret()), false);
    }

    fn run(&self, namespace: &str, ticket: Option<&str>, child: bool) {
        let mut runs = self.deeds.runs.lock().unwrap();
        let key = Key::new("pipelineruns", namespace, &format!("run-{}", runs.len() + 1));
        let mut run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {},
            "spec": {"pipelineRef": {"name": "deploy"}, "taskRunTemplate": {"serviceAccountName": "deployer"}},
        });
        // The API server lets no run with a ticket of ours be made that does not wait for us.
        if let Some(ticket) = ticket {
            run["metadata"]["annotations"] = json!({TICKET_ANNOTATION: ticket});
            run["spec"]["status"] = json!(PENDING);
        }
        if child {
            let parent = runs.last().and_then(|parent| Some(self.world.get(parent)?["metadata"]["uid"].clone()));
            let Some(uid) = parent else { return };
            run["metadata"]["ownerReferences"] = json!([{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "parent", "uid": uid, "controller": true}]);
        }
        self.world.put(&key, run);
        runs.push(key);
    }

    async fn revoke(&self, grant: &GrantRecord) {
        self.until_done(|parts| async move {
            if let Ok(revocations) = parts.store.revoke_grant(grant.id, RevocationReason::Manual).await {
                parts.context.revoker.revoke(revocations).await;
                parts.life.goes_on().await;
            }
        })
        .await;
    }
}

/// One SCIM request, to its answer.
async fn scim(parts: Parts, act: Act) {
    let directory = parts.context.directory.load_full();
    let person = |who: usize| directory.user_by_name(&okta(), PEOPLE[who]).map(|user| user.id);
    let group_id = |group: usize| directory.group_by_name(&okta(), GROUPS[group]).map(|group| group.id);
    let store = &parts.store;
    let done = match act {
        Act::Activate { who } => match person(who) {
            Some(id) => {
                edit(store, ResourceKind::User, id, |edit| drop(edit.attributes.insert("active".into(), json!(true))))
                    .await
            }
            None => store.create(&okta(), ResourceKind::User, user(PEOPLE[who])).await.ok(),
        },
        Act::Deactivate { who } => match person(who) {
            Some(id) => {
                edit(store, ResourceKind::User, id, |edit| drop(edit.attributes.insert("active".into(), json!(false))))
                    .await
            }
            None => None,
        },
        Act::DeleteUser { who } => match person(who) {
            Some(id) => store.delete(&okta(), ResourceKind::User, id).await.ok(),
            None => None,
        },
        Act::Join { who, group: place } => match (person(who), group_id(place)) {
            (Some(id), Some(to)) => members(store, to, MemberOp::Add(vec![id])).await,
            (Some(id), None) => store.create(&okta(), ResourceKind::Group, group(GROUPS[place], vec![id])).await.ok(),
            (None, _) => None,
        },
        Act::Leave { who, group } => match (person(who), group_id(group)) {
            (Some(id), Some(from)) => members(store, from, MemberOp::Remove(vec![id])).await,
            _ => None,
        },
        Act::Nest { nested } => match (group_id(1), group_id(0)) {
            (Some(leads), Some(deployers)) => {
                let op = if nested { MemberOp::Add(vec![leads]) } else { MemberOp::Remove(vec![leads]) };
                members(store, deployers, op).await
            }
            _ => None,
        },
        Act::RenameGroup => {
            let found = directory.group_by_name(&okta(), "ex-deployers").map(|group| (group.id, GROUPS[0]));
            match found.or_else(|| group_id(0).map(|id| (id, "ex-deployers"))) {
                Some((id, name)) => {
                    edit(store, ResourceKind::Group, id, move |edit| {
                        drop(edit.attributes.insert("displayName".into(), json!(name)));
                    })
                    .await
                }
                None => None,
            }
        }
        Act::DeleteGroup => match group_id(0) {
            Some(id) => store.delete(&okta(), ResourceKind::Group, id).await.ok(),
            None => None,
        },
        other => unreachable!("{other:?} is no SCIM request"),
    };
    parts.life.goes_on().await;
    if let Some(done) = done {
        parts.enforce(&done).await;
    }
}

type Store = Arc<super::watched_store::WatchedStore>;

async fn members(store: &Store, group: ResourceId, op: MemberOp) -> Option<Provisioned> {
    edit(store, ResourceKind::Group, group, |edit| edit.members.push(op)).await
}

async fn edit(
    store: &Store,
    kind: ResourceKind,
    id: ResourceId,
    change: impl FnOnce(&mut Edit) + Send + 'static,
) -> Option<Provisioned> {
    let edit = Box::new(move |stored: &Resource| {
        let (external_id, attributes) = (stored.external_id.clone(), stored.attributes.clone());
        let mut edit = Edit { external_id, attributes, ..Edit::default() };
        change(&mut edit);
        Ok(edit)
    });
    store.edit(&okta(), kind, id, edit).await.ok()
}
