//! What stands in a token of our issuer.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::OidcError;
use crate::{
    audit::hex,
    identity::ResourceId,
    store::{GrantRecord, RunRecord},
};

/// The header's `typ`: a plain JWT, since these are for others to verify; tokens for our own endpoints would be
/// `at+jwt` (RFC 9068), and neither passes for the other (RFC 8725 §3.11).
pub const TYP: &str = "JWT";

/// Google's limit on a subject, the strictest.
pub const LONGEST_SUBJECT: usize = 127;

/// The claims. Numbers of source hosts are strings: they stand in trust policies, which compare strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Our issuer's URL.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Stable: neither run nor person stand in it, so that a trust policy can name it.
    #[serde(rename = "sub")]
    pub subject: String,
    /// Exactly one.
    #[serde(rename = "aud")]
    pub audience: String,
    /// Seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at: i64,
    /// Seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// Seconds since 1970.
    #[serde(rename = "nbf")]
    pub not_before: i64,
    /// This token's own id.
    #[serde(rename = "jti")]
    pub token_id: String,
    /// The run's namespace.
    pub namespace: String,
    /// The run's name.
    pub pipelinerun: String,
    /// The run's uid.
    pub pipelinerun_uid: String,
    /// The EventListener's event id.
    pub event_id: String,
    /// As `push`.
    pub event_name: String,
    /// `member`, ….
    pub trust: String,
    /// As `acme/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its id at the host: names are sold and reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// As `refs/heads/main`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// Who acted, by their id at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// SCIM `id` of the person.
    pub scim_id: ResourceId,
    /// What groups the person was in: see [`groups_digest`].
    pub groups_digest: String,
    /// When the person's entitlement was judged last; seconds since 1970.
    pub identity_checked_at: i64,
    /// The Decision that let the run start.
    pub decision_id: String,
    /// The Grant that this token belongs to: introspection asks for it.
    pub grant_id: String,
}

impl Claims {
    /// What follows from Grant and run; issuer, subject, audience and groups are the caller's.
    pub(super) fn of(grant: &GrantRecord, run: &RunRecord, now: DateTime<Utc>, expires_at: DateTime<Utc>) -> Self {
        let event = run.event.clone();
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        Self {
            issuer: String::new(),
            subject: String::new(),
            audience: String::new(),
            expires_at: expires_at.timestamp(),
            issued_at: now.timestamp(),
            not_before: now.timestamp(),
            token_id: Uuid::new_v4().to_string(),
            namespace: grant.namespace.clone(),
            pipelinerun: grant.run_name.clone(),
            pipelinerun_uid: grant.run_uid.clone(),
            event_id: event.event_id,
            event_name: event.event,
            trust: event.trust,
            repository: event.repository,
            repository_id: number(event.repository_id),
            git_ref: event.git_ref,
            sha: event.sha,
            actor_id: number(event.actor_id),
            scim_id: grant.user,
            groups_digest: String::new(),
            identity_checked_at: now.timestamp(),
            decision_id: grant.decision_id.clone(),
            grant_id: grant.id.to_string(),
        }
    }
}

/// `tekton:cluster@ID/ns@NAMESPACE:pipeline:NAME`; a colon within a value is written `%3A`, so that no value can pass
/// for more than one.
pub fn subject(cluster_id: &str, namespace: &str, pipeline: &str) -> Result<String, OidcError> {
    let one = |value: &str| value.replace('%', "%25").replace(':', "%3A");
    let subject = format!("tekton:cluster@{}/ns@{}:pipeline:{}", one(cluster_id), one(namespace), one(pipeline));
    match subject.len() {
        length if length > LONGEST_SUBJECT => Err(OidcError::Subject { subject, length }),
        _ => Ok(subject),
    }
}

/// SHA-256, hex, over the groups' SCIM ids, sorted, each once, a line feed after each: two tokens with the same digest
/// were issued to someone in the same groups, and nobody learns which.
pub fn groups_digest(groups: impl IntoIterator<Item = ResourceId>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for group in groups.into_iter().collect::<BTreeSet<_>>() {
        context.update(format!("{group}\n").as_bytes());
    }
    hex(context.finish().as_ref())
}
