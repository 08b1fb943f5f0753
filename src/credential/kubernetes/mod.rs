//! Provider `kubernetes`: for each Grant a ServiceAccount and a bound Secret of its own in the grants namespace, where
//! no tenant has rights, and RoleBindings in the run's namespace that name it as a foreign subject.
//!
//! Revocation takes the RoleBindings first (refused within milliseconds), then the Secret and the ServiceAccount
//! (unauthenticated within the API servers' 10 s token cache).

mod issue;
mod known;
mod objects;
mod plan;
mod revoke;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use objects::{Kind, Labelled, Object};
pub use plan::actions;

use crate::{
    api::RoleRef,
    clock::Clock,
    cluster::{Action, Cluster},
    store::{GrantId, GrantRecord},
};

/// The provider.
pub struct KubernetesProvider {
    cluster: Cluster,
    clock: Clock,
    grants_namespace: String,
    instance: String,
    /// The live tokens, to prove with that they are refused. After a restart a review of the account stands in.
    tokens: Mutex<HashMap<GrantId, SecretString>>,
    /// Which API servers, by address, were seen to know of a Grant's bindings.
    known: Mutex<HashSet<(GrantId, Arc<str>)>>,
}

/// What must be known to take a Grant back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// The roles that it was bound to.
    pub roles: Vec<BoundRole>,
    /// What can't be taken back.
    pub residue: Vec<String>,
}

/// A role of a Grant, and how to see whether it still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundRole {
    /// Which.
    pub role: RoleRef,
    /// An action of its first rule; none if it has no rule, or if every authenticated account may do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Action>,
    /// A read-only request that it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Read>,
}

/// A read-only request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// Its path and query.
    pub path: String,
    /// What it does, in the authorizer's terms.
    pub action: Action,
}

impl Facts {
    /// From a Grant's row.
    pub fn of(grant: &GrantRecord) -> Result<Self, serde_json::Error> {
        serde_json::from_value(grant.facts.clone())
    }

    /// For a Grant's row.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl KubernetesProvider {
    /// A provider for this instance.
    pub fn new(cluster: Cluster, clock: Clock, grants_namespace: &str, instance: &str) -> Self {
        Self {
            cluster,
            clock,
            grants_namespace: grants_namespace.to_owned(),
            instance: instance.to_owned(),
            tokens: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Name of a Grant's ServiceAccount and bound Secret: never used twice.
    fn account_name(grant: GrantId) -> String {
        format!("grant-{grant}")
    }

    /// Name of a Grant's RoleBinding for its role number `index`.
    fn binding_name(grant: GrantId, index: usize) -> String {
        format!("grant-{grant}-{index}")
    }

    /// The groups of every Grant's account.
    fn groups(&self) -> Vec<String> {
        vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.grants_namespace),
            "system:authenticated".to_owned(),
        ]
    }

    fn token(&self, grant: GrantId) -> Option<SecretString> {
        self.tokens.lock().ok()?.get(&grant).cloned()
    }

    fn remember(&self, grant: GrantId, token: SecretString) {
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.insert(grant, token);
        }
    }

    fn forget(&self, grant: GrantId) {
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.remove(&grant);
        }
        if let Ok(mut known) = self.known.lock() {
            known.retain(|(known, _)| *known != grant);
        }
    }
}
