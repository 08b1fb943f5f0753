//! What one API server knows: it follows the changes at its own pace, and answers about tokens and roles from that.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::etcd::{Change, Key, Object, text};

/// How long a server remembers that a token was good (FACTS 16).
const TOKEN_CACHE: Duration = Duration::from_secs(10);

/// How a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Up,
    /// Stopped: requests wait, and are done when it goes on. Its cache stands still.
    Paused,
    /// Refuses connections.
    Down,
}

/// One API server.
#[derive(Default)]
pub struct ApiServer {
    pub health: Health,
    /// How much it lags at most, more than the usual.
    pub lag: Duration,
    /// How many changes it has seen.
    pub seen: usize,
    /// When it sees the ones after that.
    pub due: VecDeque<Instant>,
    /// Accounts, Secrets and RoleBindings as it knows them.
    view: BTreeMap<Key, Object>,
    /// Since when it has known that a token's Secret or account is gone, by the token.
    gone: BTreeMap<String, Instant>,
}

/// A token that was made.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub grant: String,
    pub account: Key,
    pub account_uid: String,
    pub secret_uid: String,
    pub ends: Instant,
    /// As the API server told it.
    pub told: String,
}

impl ApiServer {
    pub fn see(&mut self, change: &Change) {
        self.seen += 1;
        if !matches!(change.key.resource.as_str(), "serviceaccounts" | "secrets" | "rolebindings") {
            return;
        }
        match &change.after {
            Some(object) => drop(self.view.insert(change.key.clone(), object.clone())),
            None => drop(self.view.remove(&change.key)),
        }
    }

    /// Notes which tokens this server can't find behind any more.
    pub fn note_gone(&mut self, tokens: &[Token], now: Instant, live: impl Fn(&Key, &str) -> bool) {
        for token in tokens {
            let secret = Key { resource: "secrets".into(), ..token.account.clone() };
            // What it does not know it looks up.
            let has = |key: &Key, uid: &str| {
                self.view.get(key).is_some_and(|o| text(o, "/metadata/uid") == uid) || live(key, uid)
            };
            if !(has(&token.account, &token.account_uid) && has(&secret, &token.secret_uid)) {
                self.gone.entry(token.text.clone()).or_insert(now);
            }
        }
    }

    /// Whether it takes a token, should somebody have used it all the time.
    pub fn authenticates(&self, token: &Token, now: Instant) -> bool {
        let until = self.gone.get(&token.text).map_or(token.ends, |gone| token.ends.min(*gone));
        now < until + TOKEN_CACHE
    }

    /// Whether an account of the grants' namespace is bound to a role in a namespace.
    pub fn bound(&self, account: &Key, namespace: &str) -> bool {
        self.view.iter().any(|(key, binding)| {
            key.resource == "rolebindings"
                && key.namespace == namespace
                && binding["subjects"].as_array().is_some_and(|subjects| {
                    subjects.iter().any(|subject| {
                        text(subject, "/name") == account.name && text(subject, "/namespace") == account.namespace
                    })
                })
        })
    }
}
