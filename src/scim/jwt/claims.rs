//! What a JWT claims, against what is configured: pure.
//!
//! Who provisions is a client and no person. Issuers mark people's tokens, each in its own way; whichever mark there is,
//! the token is a person's, also by a client that may provision by itself.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Between clocks, in seconds.
const SKEW: f64 = 60.0;

/// Whose JWTs are taken as an IdP's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// `iss`, letter by letter.
    pub issuer: String,
    /// One of these stands in `aud`.
    pub audiences: Vec<String>,
    /// Who may provision: one of these is `azp`, `appid`, `client_id` or `cid`.
    pub clients: Vec<String>,
    /// If there are any, one of these is who provisions, by `sub`.
    pub subjects: Vec<String>,
    /// Where the keys are, if discovery isn't asked.
    pub jwks_uri: Option<String>,
    /// How people are known, if they may use `/Me`.
    pub me: Option<MeBy>,
}

/// How the person of a token is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeBy {
    /// The token's claim.
    pub claim: String,
    /// The User's attribute that is equal to it.
    pub attribute: &'static str,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client that provisions.
    Provisions,
    /// The person whose User has this value.
    Person {
        /// Of which attribute.
        attribute: &'static str,
        /// As the configured claim has it.
        value: String,
    },
}

/// Why a JWT is refused, the later the nearer to being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// It is none.
    #[error("expected three parts in base64url: JSON, JSON and a signature")]
    Malformed,
    /// `none`, a shared secret, or what we don't know.
    #[error("expected alg to be one of RS, PS, ES (256, 384, 512) and EdDSA")]
    Algorithm,
    /// It is a JWT of another kind.
    #[error("expected a kid, no crit, and JWT or at+jwt as typ")]
    Header,
    /// `iss`.
    #[error("expected iss to be the issuer of an identity provider (idps[].jwt.issuer)")]
    Issuer,
    /// `aud`.
    #[error("expected aud to hold one of idps[].jwt.audiences")]
    Audience,
    /// An ID token, a token bound to a key, …
    #[error("expected an access token that its bearer may use: no cnf, and Bearer as the claim typ if there is one")]
    Kind,
    /// `exp`.
    #[error("expected exp to be there and in the future")]
    Expired,
    /// `nbf`.
    #[error("expected nbf to be in the past")]
    NotYet,
    /// Somebody else's.
    #[error("expected a token of idps[].jwt.clients (and subjects), or with idps[].jwt.me a person's")]
    Client,
    /// Two IdPs would take it.
    #[error("expected a token for one identity provider; the configuration takes it for two")]
    Ambiguous,
    /// Forged, or by a key that is no more.
    #[error("expected a signature by one of the issuer's keys")]
    Signature,
}

/// The claims (RFC 7519 §4).
#[derive(Debug)]
pub struct Claims(pub Map<String, Value>);

impl Claims {
    /// A claim that is a text, and not an empty one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whom it was issued to: `azp` (Keycloak, Entra v2), `appid` (Entra v1), `client_id` (RFC 9068), `cid` (Okta).
    /// Several that don't agree are none.
    pub fn client(&self) -> Option<&str> {
        let mut named = ["azp", "appid", "client_id", "cid"].into_iter().filter_map(|name| self.text(name));
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    }

    /// When it ends, and a little later.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and chrono refuses what is out of range")]
        let seconds = (self.0.get("exp")?.as_f64()? + SKEW) as i64;
        // A token without an end in sight is one whose end is out of chrono's range.
        Some(DateTime::from_timestamp(seconds, 0).unwrap_or(if seconds > 0 {
            DateTime::<Utc>::MAX_UTC
        } else {
            DateTime::<Utc>::MIN_UTC
        }))
    }

    fn is_for(&self, audiences: &[String]) -> bool {
        let one = |audience: &Value| audience.as_str().is_some_and(|text| audiences.iter().any(|ours| ours == text));
        match self.0.get("aud") {
            Some(Value::Array(several)) => several.iter().any(one),
            Some(audience) => one(audience),
            None => false,
        }
    }

    /// RFC 7800: bound to a key is of no use to its bearer alone. Keycloak names the kind within: `ID`, `Refresh`, ….
    fn is_bearers(&self) -> bool {
        !self.0.contains_key("cnf") && self.0.get("typ").is_none_or(|typ| typ == "Bearer")
    }

    /// Whether it was issued about a person: with a session, by delegation, or with a name to log in by.
    pub(super) fn is_of_person(&self, client: Option<&str>) -> bool {
        let is_client = client.is_some() && self.text("sub") == client;
        let session =
            ["sid", "session_state", "amr", "upn", "unique_name"].iter().any(|name| self.0.contains_key(*name));
        // Entra's delegated scopes; Okta has them in every token, and its clients are their own subjects.
        let delegated = self.0.contains_key("scp") && !is_client;
        let kind = self.0.get("idtyp").is_some_and(|kind| kind != "app");
        // Keycloak's accounts for clients have a name, too, which nobody else can have.
        let account = client.map(|client| format!("service-account-{}", client.to_lowercase()));
        let named = self.0.get("preferred_username").is_some_and(|name| name.as_str() != account.as_deref());
        session || delegated || kind || named
    }
}

/// What a token is, by its claims alone; its signature is another matter.
pub fn check(claims: &Claims, settings: &JwtSettings, now: DateTime<Utc>) -> Result<Role, Refusal> {
    if claims.text("iss") != Some(&settings.issuer) {
        return Err(Refusal::Issuer);
    }
    if !claims.is_for(&settings.audiences) {
        return Err(Refusal::Audience);
    }
    if !claims.is_bearers() {
        return Err(Refusal::Kind);
    }
    if claims.end().is_none_or(|end| now >= end) {
        return Err(Refusal::Expired);
    }
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
    let soon = now.timestamp() as f64 + SKEW;
    if claims.0.get("nbf").is_some_and(|from| from.as_f64().is_none_or(|from| from > soon)) {
        return Err(Refusal::NotYet);
    }
    let client = claims.client();
    if claims.is_of_person(client) {
        // An ID token has no client, or else is told by its kind.
        let me = settings.me.as_ref().filter(|_| client.is_some()).ok_or(Refusal::Client)?;
        let value = claims.text(&me.claim).ok_or(Refusal::Client)?.to_owned();
        return Ok(Role::Person { attribute: me.attribute, value });
    }
    let listed = |list: &[String], name: Option<&str>| name.is_some_and(|name| list.iter().any(|one| one == name));
    let pinned = settings.subjects.is_empty() || listed(&settings.subjects, claims.text("sub"));
    if listed(&settings.clients, client) && pinned { Ok(Role::Provisions) } else { Err(Refusal::Client) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn settings() -> JwtSettings {
        JwtSettings {
            issuer: "https://idp.example/realms/acme".into(),
            audiences: vec!["https://scim.example.com/scim/v2".into(), "api://scim".into()],
            clients: vec!["Provisioner".into()],
            subjects: vec![],
            jwks_uri: None,
            me: Some(MeBy { claim: "sub".into(), attribute: "externalId" }),
        }
    }

    /// As Keycloak 26 issues it to a service account.
    fn token() -> Value {
        json!({
            "exp": NOW + 300, "iat": NOW, "jti": "trrtcc:1", "iss": "https://idp.example/realms/acme",
            "aud": ["account", "https://scim.example.com/scim/v2"], "sub": "8d3f", "typ": "Bearer", "azp": "Provisioner",
            "acr": "1", "scope": "email profile", "email_verified": false, "clientHost": "10.0.0.1",
            "preferred_username": "service-account-provisioner", "clientAddress": "10.0.0.1", "client_id": "Provisioner",
        })
    }

    fn judged(token: Value, settings: &JwtSettings) -> Result<Role, Refusal> {
        let Value::Object(claims) = token else { panic!("an object") };
        check(&Claims(claims), settings, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    fn with(changes: &Value) -> Result<Role, Refusal> {
        let mut token = token();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(token.as_object_mut().unwrap().remove(name)),
                value => token[name] = value.clone(),
            }
        }
        judged(token, &settings())
    }

    #[test]
    fn the_client_that_is_named_provisions() {
        for token in [
            json!({}),
            json!({"aud": "api://scim"}),
            // Entra v1 and v2, and Okta.
            json!({"azp": null, "client_id": null, "appid": "Provisioner", "preferred_username": null, "idtyp": "app", "oid": "8d3f", "tid": "t", "roles": ["x"]}),
            json!({"client_id": null, "preferred_username": null, "typ": null}),
            json!({"azp": null, "client_id": null, "cid": "Provisioner", "sub": "Provisioner", "scp": ["scim"], "preferred_username": null}),
            // Clocks differ.
            json!({"exp": NOW - 59, "nbf": NOW + 59}),
            json!({"exp": 1e300}),
            json!({"nbf": NOW - 1}),
        ] {
            assert_eq!(with(&token), Ok(Role::Provisions), "{token}");
        }
    }

    #[test]
    fn each_claim_that_does_not_fit_refuses() {
        for (token, refusal) in [
            (json!({"iss": "https://idp.example/realms/acme/"}), Refusal::Issuer),
            (json!({"iss": "https://idp.example/realms/other"}), Refusal::Issuer),
            (json!({"iss": "HTTPS://idp.example/realms/acme"}), Refusal::Issuer),
            (json!({"iss": null}), Refusal::Issuer),
            (json!({"iss": ["https://idp.example/realms/acme"]}), Refusal::Issuer),
            (json!({"aud": "account"}), Refusal::Audience),
            (json!({"aud": "https://scim.example.com/scim/v2/"}), Refusal::Audience),
            (json!({"aud": []}), Refusal::Audience),
            (json!({"aud": null}), Refusal::Audience),
            (json!({"aud": {"api://scim": true}}), Refusal::Audience),
            (json!({"exp": NOW - 60}), Refusal::Expired),
            (json!({"exp": null}), Refusal::Expired),
            (json!({"exp": format!("{}", NOW + 300)}), Refusal::Expired),
            (json!({"exp": -1e300}), Refusal::Expired),
            (json!({"nbf": NOW + 61}), Refusal::NotYet),
            (json!({"nbf": "soon"}), Refusal::NotYet),
            (json!({"typ": "ID"}), Refusal::Kind),
            (json!({"typ": "Refresh"}), Refusal::Kind),
            (json!({"cnf": {"jkt": "x"}}), Refusal::Kind),
            (
                json!({"azp": "other", "client_id": "other", "preferred_username": "service-account-other"}),
                Refusal::Client,
            ),
            (json!({"azp": "provisioner", "client_id": null}), Refusal::Client),
            (json!({"azp": null, "client_id": null, "preferred_username": null}), Refusal::Client),
            // Which is it?
            (json!({"appid": "other"}), Refusal::Client),
        ] {
            assert_eq!(with(&token), Err(refusal), "{token}");
        }
        let pinned = JwtSettings { subjects: vec!["8d3f".into()], ..settings() };
        assert_eq!(judged(token(), &pinned), Ok(Role::Provisions));
        let other = JwtSettings { subjects: vec!["other".into()], ..settings() };
        assert_eq!(judged(token(), &other), Err(Refusal::Client));
    }

    #[test]
    fn a_person_never_provisions_whichever_client_was_used() {
        let nobody = JwtSettings { me: None, ..settings() };
        for mark in [
            json!({"preferred_username": "alice"}),
            json!({"preferred_username": "service-account-other"}),
            json!({"preferred_username": "Service-Account-Provisioner"}),
            json!({"sid": "gvzW"}),
            json!({"session_state": "gvzW"}),
            json!({"scp": "user_impersonation"}),
            json!({"idtyp": "user"}),
            json!({"upn": "alice@example.com"}),
            json!({"unique_name": "alice@example.com"}),
            json!({"amr": ["pwd"]}),
        ] {
            assert_eq!(with(&mark), Ok(Role::Person { attribute: "externalId", value: "8d3f".into() }), "{mark}");
            let mut token = token();
            token.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
            assert_eq!(judged(token, &nobody), Err(Refusal::Client), "{mark}");
        }
        // Whom it is about must be said.
        assert_eq!(with(&json!({"sid": "x", "sub": null})), Err(Refusal::Client));
        assert_eq!(with(&json!({"sid": "x", "sub": ""})), Err(Refusal::Client));
        assert_eq!(with(&json!({"sid": "x", "sub": ["8d3f"]})), Err(Refusal::Client));
        // Entra's ID tokens.
        assert_eq!(with(&json!({"sid": "x", "azp": null, "client_id": null})), Err(Refusal::Client));
    }
}
