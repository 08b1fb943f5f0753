//! What must hold at every moment: G1, G2, G4 and G6, each said in the terms of the world outside of our process.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    api::Call,
    etcd::{Change, Key, Object, text},
    world::{GRANTS, NAMESPACES, State},
};
use crate::api::{GRANT_LABEL, PENDING, TICKET_ANNOTATION};

/// How soon the end of a run, or of its time, ends its credentials while all is well.
const SOON: Duration = Duration::from_secs(3);

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
    /// By Grant: its run's uid, and its `notAfter`.
    pub begun: BTreeMap<String, (String, Instant)>,
    /// When runs ended, by uid.
    ended: BTreeMap<String, Instant>,
    /// Grants whose end was asked for.
    pub asked: BTreeSet<String>,
    /// Grants whose credential is said to be dead, and who says so.
    pub dead: BTreeMap<String, &'static str>,
    pub broken: Option<String>,
}

impl Rules {
    /// The first thing that went wrong is what counts.
    pub fn violation(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn why_dead(&self, grant: &str, now: Instant, well: bool) -> Option<&'static str> {
        let (run, not_after) = self.begun.get(grant)?;
        if let Some(why) = self.dead.get(grant) {
            return Some(why);
        }
        if well && now >= *not_after + SOON {
            return Some("G1: its time is over");
        }
        (well && self.ended.get(run).is_some_and(|ended| now >= *ended + SOON)).then_some("G1: its run has ended")
    }
}

impl State {
    pub fn violation(&mut self, what: String) {
        if self.rules.broken.is_none() {
            self.tell(|| format!("VIOLATION: {what}"));
        }
        self.rules.violation(what);
    }

    /// Looks at all that is said to be dead.
    pub fn look(&mut self) {
        let now = Instant::now();
        let Self { servers, tokens, etcd, rules, troubled, .. } = self;
        let live = |key: &Key, uid: &str| etcd.get(key).is_some_and(|object| text(object, "/metadata/uid") == uid);
        let mut found = None;
        for (number, server) in servers.iter_mut().enumerate() {
            server.note_gone(tokens, now, live);
            for token in tokens.iter() {
                let Some(why) = rules.why_dead(&token.grant, now, !*troubled) else { continue };
                let bound = NAMESPACES.iter().any(|namespace| server.bound(&token.account, namespace));
                if bound && server.authenticates(token, now) {
                    found = Some(format!("{why}, but API server {number} honours a token of grant {}", token.grant));
                }
            }
        }
        if let Some(found) = found {
            self.violation(found);
        }
    }

    /// Looks at what our process has just made.
    pub fn nothing_is_made_of_the_dead(&mut self, call: &Call) {
        let Some(grant) = call.body["metadata"]["labels"][GRANT_LABEL].as_str() else { return };
        if call.key.resource != "grants" && self.rules.dead.contains_key(grant) {
            self.violation(format!(
                "G1: {} of grant {grant} were made after its revocation was done",
                call.key.resource
            ));
        }
    }

    /// Looks at what was changed in the cluster.
    pub fn rules_hold_of(&mut self, change: &Change) {
        match change.key.resource.as_str() {
            "pipelineruns" => {
                self.note_the_end(change);
                self.a_start_is_redeemed(change);
            }
            "secrets" if change.key.namespace != GRANTS => self.what_is_handed_out_is_active(change),
            "customruns" => self.a_result_is_of_an_active_grant(change),
            _ => {}
        }
    }

    fn note_the_end(&mut self, change: &Change) {
        let uid = change.before.as_ref().map(|before| text(before, "/metadata/uid").to_owned()).unwrap_or_default();
        let done = |object: &Object| ["True", "False"].contains(&text(object, "/status/conditions/0/status"));
        if change.after.as_ref().is_none_or(done) {
            self.rules.ended.entry(uid).or_insert_with(Instant::now);
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
            self.violation(format!(
                "G4: run {} was let start in {}, its ticket is for {}",
                run.name, run.namespace, ticket.namespace
            ));
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
        let told =
            self.tokens.iter().find(|known| super::api::base64(&known.text) == token).map(|known| known.told.clone());
        let let_out = self.rules.let_out.get(&grant);
        match told {
            None => self.violation(format!("the Secret of grant {grant} holds no token that was ever made")),
            Some(told) if let_out.is_none_or(|ends| !ends.contains(&told)) => {
                self.violation(format!(
                    "G6: a credential of grant {grant} was handed out that the store knows nothing of"
                ));
            }
            Some(_) => {}
        }
    }

    fn a_result_is_of_an_active_grant(&mut self, change: &Change) {
        let Some(after) = &change.after else { return };
        let results = after["status"]["results"].as_array().cloned().unwrap_or_default();
        let Some(grant) = results.iter().find(|r| text(r, "/name") == "grant").map(|r| text(r, "/value").to_owned())
        else {
            return;
        };
        if !self.rules.let_out.contains_key(&grant) {
            self.violation(format!("G6: a CustomRun names grant {grant}, which was never Active"));
        }
    }
}
