//! What must hold at every moment: G1, G2, G4 and G6, each said in the terms of the world outside of our process.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use super::{
    etcd::{Change, Key, text},
    world::{GRANTS, NAMESPACES, State},
};
use crate::api::{GRANT_LABEL, PENDING, TICKET_ANNOTATION};

/// What a ticket stands for, as the one who got it knows.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub event: String,
    pub namespace: &'static str,
}

/// What is known apart from our process, and what it did wrong.
#[derive(Default)]
pub struct Rules {
    pub tickets: HashMap<String, Ticket>,
    /// Runs that the store has redeemed, by uid.
    pub redeemed: BTreeSet<String>,
    /// Runs that were let start, by event.
    started: BTreeMap<String, String>,
    /// By Grant: the ends of the credentials that the store has let out, each with its audit row.
    pub let_out: BTreeMap<String, BTreeSet<String>>,
    /// Grants whose credential is said to be dead, and who says so.
    pub dead: BTreeMap<String, &'static str>,
    pub broken: Option<String>,
}

impl Rules {
    /// The first thing that went wrong is what counts.
    pub fn violation(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }
}

impl State {
    pub fn violation(&mut self, what: String) {
        self.tell(|| format!("VIOLATION: {what}"));
        self.rules.violation(what);
    }

    /// Looks at all that is said to be dead.
    pub fn look(&mut self) {
        let now = Instant::now();
        let Self { servers, tokens, etcd, rules, .. } = self;
        let live = |key: &Key, uid: &str| etcd.get(key).is_some_and(|object| text(object, "/metadata/uid") == uid);
        let mut found = None;
        for (number, server) in servers.iter_mut().enumerate() {
            server.note_gone(tokens, now, live);
            for token in tokens.iter() {
                let Some(why) = rules.dead.get(&token.grant) else { continue };
                let bound = NAMESPACES.iter().any(|namespace| server.bound(&token.account, namespace));
                if bound && server.authenticates(token, now) {
                    found = Some(format!("G2: {why}, but API server {number} honours a token of grant {}", token.grant));
                }
            }
        }
        if let Some(found) = found {
            self.violation(found);
        }
    }

    /// Looks at what was changed in the cluster.
    pub fn rules_hold_of(&mut self, change: &Change) {
        match change.key.resource.as_str() {
            "pipelineruns" => self.a_start_is_redeemed(change),
            "secrets" if change.key.namespace != GRANTS => self.what_is_handed_out_is_active(change),
            "customruns" => self.a_result_is_of_an_active_grant(change),
            _ => {}
        }
    }

    fn a_start_is_redeemed(&mut self, change: &Change) {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
        if text(before, "/spec/status") != PENDING || !text(after, "/spec/status").is_empty() {
            return;
        }
        self.count("runs started");
        let (run, uid) = (&change.key, text(after, "/metadata/uid").to_owned());
        if !self.rules.redeemed.contains(&uid) {
            self.violation(format!("G4: run {} was let start, but nothing was redeemed for it", run.name));
        }
        let annotation = after["metadata"]["annotations"][TICKET_ANNOTATION].as_str().unwrap_or_default();
        let Some(ticket) = self.rules.tickets.get(annotation).cloned() else {
            return self.violation(format!("G4: run {} was let start without a ticket", run.name));
        };
        if ticket.namespace != run.namespace {
            self.violation(format!("G4: run {} was let start in {}, its ticket is for {}", run.name, run.namespace, ticket.namespace));
        }
        let first = self.rules.started.entry(ticket.event.clone()).or_insert_with(|| uid.clone()).clone();
        if first != uid {
            self.violation(format!("G4: event {} started two runs, {first} and {uid} ({})", ticket.event, run.name));
        }
    }

    fn what_is_handed_out_is_active(&mut self, change: &Change) {
        let Some(after) = &change.after else { return };
        let Some(grant) = after["metadata"]["labels"][GRANT_LABEL].as_str() else { return };
        self.count("credentials handed out");
        let grant = grant.to_owned();
        let token = text(after, "/data/token").to_owned();
        let told = self.tokens.iter().find(|known| super::api::base64(&known.text) == token).map(|known| known.told.clone());
        let let_out = self.rules.let_out.get(&grant);
        match told {
            None => self.violation(format!("the Secret of grant {grant} holds no token that was ever made")),
            Some(told) if let_out.is_none_or(|ends| !ends.contains(&told)) => {
                self.violation(format!("G6: a credential of grant {grant} was handed out that the store knows nothing of"));
            }
            Some(_) => {}
        }
    }

    fn a_result_is_of_an_active_grant(&mut self, change: &Change) {
        let Some(after) = &change.after else { return };
        let results = after["status"]["results"].as_array().cloned().unwrap_or_default();
        let Some(grant) = results.iter().find(|r| text(r, "/name") == "grant").map(|r| text(r, "/value").to_owned()) else {
            return;
        };
        if !self.rules.let_out.contains_key(&grant) {
            self.violation(format!("G6: a CustomRun names grant {grant}, which was never Active"));
        }
    }
}
