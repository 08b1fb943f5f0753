//! The OIDC provider: a JWT of our issuer for one target of the admin's configuration (a cloud, a registry).
//!
//! Such a token can't be recalled where it is verified offline; whoever asks our issuer's introspection learns of the
//! revocation at once. Issuing is signing: there is nothing to undo and nothing to keep but the Grant's row.

mod claims;

pub use claims::{Claims, LONGEST_SUBJECT, TYP, groups_digest, subject};

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    api::OidcCredential,
    config::Target,
    identity::ResourceId,
    keys::{KeyCell, KeyError},
    store::{GrantRecord, RunRecord},
};

/// Clouds refuse longer ones, and keys are kept for as long.
const LONGEST_LIFE: Duration = Duration::days(1);

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The target is not one, or not for this namespace: a sentence for the template's author.
    #[error("{0}")]
    Target(String),
    /// The subject is too long for clouds to take.
    #[error(
        "the token's subject {subject:?} has {length} bytes, expected at most {LONGEST_SUBJECT}: \
         shorten the pipeline's or the namespace's name, or the configuration's issuer.clusterId"
    )]
    Subject {
        /// What it would be.
        subject: String,
        /// Its length.
        length: usize,
    },
    /// The Grant's time is over.
    #[error("the Grant's time is over: it ended at {0}")]
    Over(DateTime<Utc>),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Issues JWTs.
#[derive(Clone, Debug)]
pub struct OidcProvider {
    /// The keys that sign.
    pub keys: KeyCell,
    /// `iss`: the configuration's `externalUrl`, exactly.
    pub issuer_url: String,
    /// Names this cluster in `sub`.
    pub cluster_id: String,
    /// What tokens may be made for, by name.
    pub targets: BTreeMap<String, Target>,
}

impl OidcProvider {
    /// The target of a template, if there is one and this namespace may use it; else a sentence for its author.
    pub fn check(&self, template: &OidcCredential, namespace: &str) -> Result<&Target, String> {
        self.target(&template.target, namespace)
    }

    /// What a Grant must keep so that its token can be issued again: no secret.
    pub fn facts(template: &OidcCredential, target: &Target) -> Value {
        json!({"target": template.target, "audience": target.audience})
    }

    /// A token for a Grant: alive for `ttl`, never beyond the Grant's `notAfter`. `groups` are the person's, as the
    /// Directory has them now, nested ones too.
    pub fn issue(
        &self,
        grant: &GrantRecord,
        run: &RunRecord,
        pipeline: &str,
        groups: impl IntoIterator<Item = ResourceId>,
        ttl: Duration,
        now: DateTime<Utc>,
    ) -> Result<(SecretString, DateTime<Utc>), OidcError> {
        let name = grant.facts.get("target").and_then(Value::as_str).unwrap_or_default();
        // Again, though the template was checked: the admin may have taken the target away since.
        let target = self.target(name, &grant.namespace).map_err(OidcError::Target)?;
        let subject = subject(&self.cluster_id, &grant.namespace, pipeline)?;
        let expires_at = now + ttl.min(LONGEST_LIFE);
        let expires_at = expires_at.min(grant.not_after);
        if expires_at.timestamp() <= now.timestamp() {
            return Err(OidcError::Over(grant.not_after));
        }
        let claims = Claims {
            issuer: self.issuer_url.clone(),
            subject,
            audience: target.audience.clone(),
            groups_digest: groups_digest(groups),
            ..Claims::of(grant, run, now, expires_at)
        };
        let token = self.keys.load().sign(TYP, &claims, now)?;
        // `exp` is whole seconds: what is told of the token must not be later than what stands in it.
        let told = DateTime::from_timestamp(claims.expires_at, 0).unwrap_or(expires_at);
        Ok((token.into(), told))
    }

    fn target(&self, name: &str, namespace: &str) -> Result<&Target, String> {
        let target = self.targets.get(name).ok_or_else(|| {
            let known: Vec<_> = self.targets.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("oidc.target: there is no target {name:?}; the admin's configuration has {known}")
        })?;
        if target.namespaces.iter().any(|allowed| allowed == namespace || allowed == "*") {
            return Ok(target);
        }
        Err(format!(
            "oidc.target: the target {name:?} is not for the namespace {namespace:?}: \
             the admin's configuration must list it in targets.{name}.namespaces"
        ))
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::{fake::run_and_grant, keys::SigningKeys};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 500_000_000).unwrap()
    }

    fn person(id: u128) -> ResourceId {
        ResourceId(uuid::Uuid::from_u128(id))
    }

    fn provider() -> OidcProvider {
        let target = |namespaces: &[&str]| Target {
            audience: "registry.example.com".into(),
            namespaces: namespaces.iter().map(|it| (*it).to_owned()).collect(),
        };
        OidcProvider {
            keys: std::sync::Arc::new(ArcSwap::from_pointee(SigningKeys::generate(now()).unwrap())),
            issuer_url: "https://scim.example.com".into(),
            cluster_id: "prod:eu".into(),
            targets: [
                ("registry".into(), target(&["prod"])),
                ("closed".into(), target(&[])),
                ("open".into(), target(&["*"])),
            ]
            .into(),
        }
    }

    fn template(target: &str) -> OidcCredential {
        OidcCredential { target: target.into(), claims: None }
    }

    #[test]
    fn a_target_must_exist_and_be_for_the_namespace() {
        let provider = provider();
        assert!(provider.check(&template("registry"), "prod").is_ok());
        assert!(provider.check(&template("open"), "dev").is_ok());
        assert!(provider.check(&template("registry"), "dev").unwrap_err().contains("targets.registry.namespaces"));
        assert!(provider.check(&template("closed"), "prod").is_err());
        assert!(provider.check(&template("aws"), "prod").unwrap_err().contains("closed, open, registry"));
    }

    #[test]
    fn a_token_says_who_what_and_why() {
        let provider = provider();
        let (mut run, grant) = run_and_grant("run-1", person(7), now());
        run.event.repository = Some("acme/shop".into());
        run.event.repository_id = Some(9);
        let issue = || provider.issue(&grant, &run, "deploy", [person(2), person(1)], Duration::minutes(15), now());
        let (token, expires_at) = issue().unwrap();
        assert_eq!(expires_at.timestamp(), now().timestamp() + 900);
        let claims: Value = provider.keys.load().verify(token.expose_secret(), TYP).unwrap();
        assert_eq!(claims["iss"], "https://scim.example.com");
        assert_eq!(claims["sub"], "tekton:cluster@prod%3Aeu/ns@prod:pipeline:deploy");
        assert_eq!(claims["aud"], "registry.example.com");
        assert_eq!(claims["exp"], 1_800_000_900);
        assert_eq!(claims["iat"], 1_800_000_000);
        assert_eq!(claims["scim_id"], person(7).to_string());
        assert_eq!(claims["grant_id"], grant.id.to_string());
        assert_eq!(claims["pipelinerun_uid"], "run-1-uid");
        assert_eq!(claims["repository_id"], "9");
        assert!(claims.get("ref").is_none());
        assert_eq!(claims["groups_digest"], groups_digest([person(1), person(2), person(1)]));
        let (second, _) = issue().unwrap();
        let second: Value = provider.keys.load().verify(second.expose_secret(), TYP).unwrap();
        assert_ne!(claims["jti"], second["jti"]);
    }

    #[test]
    fn a_token_never_outlives_its_grant() {
        let provider = provider();
        let (run, mut grant) = run_and_grant("run-1", person(7), now());
        grant.not_after = now() + Duration::seconds(60);
        let issue = |grant: &GrantRecord| provider.issue(grant, &run, "deploy", [], Duration::days(9), now());
        assert_eq!(issue(&grant).unwrap().1.timestamp(), now().timestamp() + 60);
        grant.not_after = now() + Duration::days(30);
        assert_eq!(issue(&grant).unwrap().1.timestamp(), now().timestamp() + 86_400);
        grant.not_after = now();
        assert!(matches!(issue(&grant), Err(OidcError::Over(_))));
    }

    #[test]
    fn a_subject_that_clouds_refuse_is_refused_here() {
        let provider = provider();
        let (run, mut grant) = run_and_grant("run-1", person(7), now());
        grant.namespace = "prod".into();
        let error = provider.issue(&grant, &run, &"p".repeat(120), [], Duration::minutes(5), now()).unwrap_err();
        assert!(error.to_string().contains("expected at most 127"), "{error}");
        grant.facts = json!({"target": "aws"});
        let error = provider.issue(&grant, &run, "deploy", [], Duration::minutes(5), now()).unwrap_err();
        assert!(matches!(error, OidcError::Target(_)));
    }
}
