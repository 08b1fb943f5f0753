//! JWTs of an IdP's own issuer, taken as its tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Idp, SecureUrl};

/// Whose JWTs are taken as an IdP's tokens. Who may provision is always named: an issuer signs for all its clients, and
/// for a whole tenant, so a token for us is in anybody's reach there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdpJwt {
    /// `iss`, letter by letter; below it stands `.well-known/openid-configuration`.
    pub issuer: SecureUrl,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// Who may provision: one of these must be `azp`, `appid`, `client_id` or `cid`.
    pub clients: Vec<String>,
    /// If any are named, one of these must be the `sub` of who provisions.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Where the keys are, if discovery is not to be asked.
    #[serde(default)]
    #[schemars(with = "String")]
    pub jwks_uri: Option<SecureUrl>,
    /// How people are known by their own tokens. Without it those are refused.
    #[serde(default)]
    #[schemars(with = "IdpMe")]
    pub me: Option<IdpMe>,
}

/// How the person of a token is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IdpMe {
    /// The token's claim.
    pub claim: String,
    /// The User's attribute that is equal to it.
    pub attribute: MeAttribute,
}

impl Default for IdpMe {
    fn default() -> Self {
        Self { claim: "sub".into(), attribute: MeAttribute::ExternalId }
    }
}

/// An attribute that one User of an IdP has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MeAttribute {
    ExternalId,
    UserName,
}

pub(super) fn check(idps: &[Idp]) -> Result<(), ConfigError> {
    for (index, idp) in idps.iter().enumerate() {
        let Some(jwt) = &idp.jwt else { continue };
        let wrong = |key: &str, expected: &str| Err(ConfigError::invalid(format!("idps.{index}.jwt.{key}"), expected));
        if jwt.issuer.as_str().contains('?') {
            return wrong("issuer", "expected no query");
        }
        if jwt.audiences.is_empty() || jwt.audiences.iter().any(String::is_empty) {
            return wrong("audiences", "expected at least one: what stands in the token's aud");
        }
        if jwt.clients.is_empty() || jwt.clients.iter().any(String::is_empty) {
            let expected = "expected at least one: what stands in the token's azp, appid, client_id or cid; else every client \
                            of this issuer could provision";
            return wrong("clients", expected);
        }
        if jwt.me.as_ref().is_some_and(|me| me.claim.is_empty()) {
            return wrong("me.claim", "expected a claim, such as sub or oid");
        }
        for (other, before) in idps.iter().take(index).filter_map(|idp| Some((&idp.name, idp.jwt.as_ref()?))) {
            if before.issuer != jwt.issuer || !share(&before.audiences, &jwt.audiences) {
                continue;
            }
            if share(&before.clients, &jwt.clients) {
                let expected = format!("expected other clients than {other}'s, whose issuer and audience are the same");
                return wrong("clients", &expected);
            }
            if before.me.is_some() && jwt.me.is_some() {
                let expected = format!("expected one IdP with me for this issuer and audience; {other} has it");
                return wrong("me", &expected);
            }
        }
    }
    Ok(())
}

fn share(some: &[String], others: &[String]) -> bool {
    some.iter().any(|one| others.contains(one))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, MeAttribute};

    fn load(idps: &[&str]) -> Result<Config, String> {
        let yaml = format!("idps: [{}]", idps.join(", "));
        super::super::load::from_parts("c.yaml", &yaml, &std::collections::BTreeMap::new())
            .map_err(|error| error.to_string())
    }

    fn idp(name: &str, jwt: &str) -> String {
        format!("{{name: {name}, jwt: {{issuer: https://idp.example/t/, {jwt}}}}}")
    }

    #[test]
    fn an_issuer_is_named_with_audience_and_client() {
        let config = load(&[&idp("entra", "audiences: [a], clients: [c], me: {claim: oid}")]).unwrap();
        let jwt = config.idps[0].jwt.clone().unwrap();
        assert_eq!(jwt.issuer.as_str(), "https://idp.example/t/", "letter by letter");
        let me = jwt.me.unwrap();
        assert_eq!((me.claim.as_str(), me.attribute), ("oid", MeAttribute::ExternalId));
        let local = "{name: kc, jwt: {issuer: 'http://127.0.0.1:8080/realms/x', audiences: [a], clients: [c], me: {}}}";
        assert_eq!(load(&[local]).unwrap().idps[0].jwt.clone().unwrap().me.unwrap().claim, "sub");
    }

    #[test]
    fn what_would_let_too_many_in_is_refused_at_the_start() {
        let (a, b) = (idp("a", "audiences: [u, v], clients: [c], me: {}"), "audiences: [v, w], clients: [d]");
        load(&[&a, &idp("b", b)]).unwrap();
        load(&[&a, &idp("b", "audiences: [w], clients: [c], me: {}")]).unwrap();
        for (idps, expected) in [
            (vec![idp("a", "audiences: [u]")], "missing field `clients`"),
            (vec![idp("a", "audiences: [u], clients: []")], "idps.0.jwt.clients` is wrong: expected at least one"),
            (vec![idp("a", "audiences: [], clients: [c]")], "idps.0.jwt.audiences` is wrong: expected at least one"),
            (vec![idp("a", "audiences: [u], clients: [c], me: {claim: ''}")], "expected a claim"),
            (vec![idp("a", "audiences: [u], clients: [c], me: {attribute: title}")], "externalId"),
            (
                vec![idp("a", "audience: u, audiences: [u], clients: [c]")],
                "the nearest known one is `idps[].jwt.audiences`",
            ),
            (vec![a.clone(), idp("b", "audiences: [v], clients: [d, c]")], "expected other clients than a's"),
            (vec![a.clone(), idp("b", "audiences: [v], clients: [d], me: {}")], "expected one IdP with me"),
        ] {
            let idps: Vec<_> = idps.iter().map(String::as_str).collect();
            let error = load(&idps).unwrap_err();
            assert!(error.contains(expected), "{idps:?}: {error}");
        }
        for issuer in [
            "http://idp.example/",
            "https://u:p@idp.example/",
            "https://idp.example/?a",
            "https://idp.example/#a",
            "idp",
        ] {
            let error = load(&[&format!("{{name: a, jwt: {{issuer: '{issuer}', audiences: [u], clients: [c]}}}}")]);
            assert!(error.unwrap_err().contains("expected"), "{issuer}");
        }
    }
}
