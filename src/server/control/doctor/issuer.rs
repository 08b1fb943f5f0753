//! Our issuer, asked as a verifier would ask it: by its public name, knowing nothing but that.

use async_trait::async_trait;
use serde_json::Value;

use super::super::wire::Finding;

/// Asks the issuer.
#[async_trait]
pub trait AskIssuer: Send + Sync {
    /// What it answers now.
    async fn ask(&self) -> IssuerFacts;
}

/// What was seen of the issuer.
#[derive(Clone, Debug)]
pub struct IssuerFacts {
    /// Its name, the configuration's `externalUrl`.
    pub url: String,
    /// The discovery document.
    pub discovery: Result<Value, NoAnswer>,
    /// What stands at its `jwks_uri`.
    pub keys: Result<Value, NoAnswer>,
    /// The key that signs now.
    pub kid: String,
}

/// Why there is no document.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody answers at all.
    #[error("does not answer: {0}")]
    Unreachable(String),
    /// Somebody whom we don't trust.
    #[error("TLS: {0}")]
    Tls(String),
    /// Somebody else, or a proxy that does not find us.
    #[error("{0}")]
    Wrong(String),
}

pub(super) fn check(facts: &IssuerFacts) -> Finding {
    const CHECK: &str = "issuer";
    let IssuerFacts { url, discovery, keys, kid } = facts;
    let discovery = match discovery {
        Ok(document) => document,
        Err(why) => return no_answer(&format!("{url}/.well-known/openid-configuration"), why),
    };
    let said = text(discovery, "issuer");
    if said != url {
        let found = format!("{url} says that the issuer is {said}: no verifier takes our tokens");
        return Finding::fail(CHECK, found, "is externalUrl ours, and does its proxy lead to this instance?");
    }
    let at = text(discovery, "jwks_uri");
    let keys = match keys {
        Ok(keys) => keys.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default(),
        Err(why) => return no_answer(at, why),
    };
    if !keys.iter().any(|key| text(key, "kid") == kid) {
        let found = format!("{at} has {} keys, and not {kid}, which signs: no verifier takes our tokens", keys.len());
        return Finding::fail(
            CHECK,
            found,
            "another instance answers there, or a proxy keeps an old answer: empty its cache",
        );
    }
    Finding::ok(CHECK, format!("{url} answers, with {} keys; the one that signs is among them", keys.len()))
}

fn no_answer(at: &str, why: &NoAnswer) -> Finding {
    let found = format!("{at}: {why}");
    match why {
        // A verifier elsewhere may see more than our pod does.
        NoAnswer::Unreachable(_) => {
            let mend = "verifiers must reach externalUrl; if they do and only this pod does not, this is no harm";
            Finding::warn("issuer", found, mend)
        }
        NoAnswer::Tls(_) => {
            let mend = "verifiers must trust that certificate: give your ingress one of a CA that they know, or give them \
                        ours (Secret scim-tekton-ca); only the former helps a cloud";
            Finding::warn("issuer", found, mend)
        }
        NoAnswer::Wrong(_) => {
            let mend = "let your ingress send /.well-known/ of externalUrl to Service scim-tekton, port https";
            Finding::fail("issuer", found, mend)
        }
    }
}

/// Empty if there is none.
fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server::control::wire::Verdict;

    fn facts() -> IssuerFacts {
        IssuerFacts {
            url: "https://scim.example.com".into(),
            discovery: Ok(json!({"issuer": "https://scim.example.com", "jwks_uri": "https://scim.example.com/jwks"})),
            keys: Ok(json!({"keys": [{"kid": "next"}, {"kid": "now"}]})),
            kid: "now".into(),
        }
    }

    fn verdict(facts: &IssuerFacts) -> Verdict {
        let found = check(facts);
        assert_eq!(found.mend.is_some(), found.verdict != Verdict::Ok, "{found:?}");
        found.verdict
    }

    #[test]
    fn an_issuer_that_answers_as_itself_with_the_key_that_signs_is_ok() {
        assert_eq!(verdict(&facts()), Verdict::Ok);
    }

    #[test]
    fn one_that_is_another_or_lacks_our_key_fails() {
        let slash = Ok(json!({"issuer": "https://scim.example.com/", "jwks_uri": "https://scim.example.com/jwks"}));
        assert_eq!(verdict(&IssuerFacts { discovery: slash, ..facts() }), Verdict::Fail);
        let old = Ok(json!({"keys": [{"kid": "before"}]}));
        assert_eq!(verdict(&IssuerFacts { keys: old, ..facts() }), Verdict::Fail);
        assert_eq!(verdict(&IssuerFacts { keys: Ok(json!({"keys": []})), ..facts() }), Verdict::Fail);
        let page = Err(NoAnswer::Wrong("HTTP 404".into()));
        assert_eq!(verdict(&IssuerFacts { discovery: page.clone(), ..facts() }), Verdict::Fail);
        assert_eq!(verdict(&IssuerFacts { keys: page, ..facts() }), Verdict::Fail);
    }

    #[test]
    fn one_that_only_we_may_not_see_is_a_warning_in_words() {
        let tls = Err(NoAnswer::Tls("its certificate has expired".into()));
        let found = check(&IssuerFacts { discovery: tls, ..facts() });
        assert_eq!(found.verdict, Verdict::Warn);
        let at = "https://scim.example.com/.well-known/openid-configuration";
        assert_eq!(found.found, format!("{at}: TLS: its certificate has expired"));
        let silent = Err(NoAnswer::Unreachable("timed out".into()));
        assert_eq!(verdict(&IssuerFacts { discovery: silent, ..facts() }), Verdict::Warn);
    }
}
