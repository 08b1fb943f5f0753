//! Credentials: what is issued for a run, delivered to its steps, renewed and taken back. One file a provider.
//!
//! Uses `keys`, `store`, `cluster`, `api`.

pub mod delivery;
pub mod kubernetes;
pub mod oidc;
pub mod projection;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;

/// What a provider made: the keys of the Secret that steps mount.
pub struct Material {
    /// File name → content.
    pub files: BTreeMap<&'static str, SecretString>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// What the provider must know to take it back; no secret.
    pub facts: Value,
}

/// Why a credential could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Trying again can't help: a sentence for the person whose build it is.
    #[error("{0}")]
    Refused(String),
    /// Trying again helps once somebody has mended it: a sentence for them.
    #[error("{0}")]
    Failed(String),
    /// Trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// Something that is on its way has not arrived: to be looked at again in a moment, and no failure.
    #[error("{0}")]
    NotYet(&'static str),
}

impl IssueError {
    /// What an API server's answer means for the issuing of a credential.
    pub fn from_kubernetes(error: &kube::Error, doing: &str) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 404 | 422) => {
                Self::Failed(format!("{doing}: {}", status.message))
            }
            error => Self::Unavailable(format!("{doing}: {error}")),
        }
    }
}
