//! The keys of IdPs' own issuers, fetched: by discovery (OpenID Connect Discovery 1.0 §4), or from where the
//! configuration says. By TLS, within seconds, a few kilobytes, and from where we asked: redirects are not followed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, redirect};
use serde::Deserialize;

use super::verifier::innermost;
use crate::{
    config::{IdpJwt, MeAttribute, SecureUrl},
    keys::WebKeys,
    scim::{JwtSettings, KeySource, MeBy, NoKeys, ScimState},
};

/// For each of two requests.
const PATIENCE: Duration = Duration::from_secs(4);
/// Entra's keys with their certificates are about 20 KiB.
const LARGEST: usize = 256 * 1024;

/// As the SCIM endpoints take it.
pub fn settings(jwt: &IdpJwt) -> JwtSettings {
    let me = |me: &crate::config::IdpMe| MeBy {
        claim: me.claim.clone(),
        attribute: match me.attribute {
            MeAttribute::ExternalId => "externalId",
            MeAttribute::UserName => "userName",
        },
    };
    JwtSettings {
        issuer: jwt.issuer.as_str().to_owned(),
        audiences: jwt.audiences.clone(),
        clients: jwt.clients.clone(),
        subjects: jwt.subjects.clone(),
        jwks_uri: jwt.jwks_uri.as_ref().map(|url| url.as_str().to_owned()),
        me: jwt.me.as_ref().map(me),
    }
}

/// Fetches each issuer's keys, at once and then again and again.
pub fn tend(scim: &ScimState) {
    for (idp, settings, ring) in scim.key_rings() {
        tokio::spawn(async move {
            let source = Issuer::new(&settings);
            ring.tend(idp.as_str(), &source).await;
        });
    }
}

/// Where one issuer's keys are asked for.
struct Issuer {
    issuer: Arc<str>,
    jwks_uri: Option<String>,
}

/// What of a discovery document is read.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    fn new(settings: &JwtSettings) -> Self {
        Self { issuer: settings.issuer.as_str().into(), jwks_uri: settings.jwks_uri.clone() }
    }

    /// OpenID Connect Discovery 1.0 §4.3: whoever answers must be whom we asked.
    async fn discover(&self, client: &Client) -> Result<String, NoKeys> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = get(client, &url).await?;
        let wrong = |why: String| NoKeys(format!("{url}: {why}"));
        let expected = "expected a discovery document with issuer and jwks_uri";
        let found: Discovery = serde_json::from_slice(&document).map_err(|_| wrong(expected.into()))?;
        if *found.issuer != *self.issuer {
            return Err(wrong(format!("expected the issuer {:?}, found {:?}", self.issuer, found.issuer)));
        }
        let jwks_uri = SecureUrl::try_from(found.jwks_uri).map_err(|error| wrong(format!("jwks_uri: {error}")))?;
        // This machine's own services are nothing that somebody else may point us to.
        if self.issuer.starts_with("https:") && !jwks_uri.as_str().starts_with("https:") {
            return Err(wrong(format!(
                "expected jwks_uri to be https, as the issuer is; found {:?}",
                jwks_uri.as_str()
            )));
        }
        Ok(jwks_uri.into())
    }
}

#[async_trait]
impl KeySource for Issuer {
    /// With a client of its own each time: that reads this machine's trusted CAs anew, and keeps no connection open.
    async fn keys(&self) -> Result<WebKeys, NoKeys> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .user_agent("scim-tekton")
            .build()
            .map_err(|error| NoKeys(innermost(&error)))?;
        let url = match &self.jwks_uri {
            Some(url) => url.clone(),
            None => self.discover(&client).await?,
        };
        let set = get(&client, &url).await?;
        WebKeys::read(&set).map_err(|error| NoKeys(format!("{url}: {error}")))
    }
}

async fn get(client: &Client, url: &str) -> Result<Vec<u8>, NoKeys> {
    let lost = |error: reqwest::Error| {
        let why =
            if error.is_timeout() { format!("nothing within {} s", PATIENCE.as_secs()) } else { innermost(&error) };
        NoKeys(format!("{url}: {why}"))
    };
    let mut answer = client.get(url).header("accept", "application/json").send().await.map_err(lost)?;
    let status = answer.status();
    if status != http::StatusCode::OK {
        return Err(NoKeys(format!("{url}: expected HTTP 200, without a redirect; found {status}")));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(NoKeys(format!("{url}: expected at most {LARGEST} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        response::{IntoResponse as _, Redirect, Response},
        routing::get,
    };
    use serde_json::json;

    use super::*;

    const JWKS: &str = r#"{"keys": [{"kty": "OKP", "kid": "1", "crv": "Ed25519", "x": "AA", "use": "sig"}]}"#;

    /// An issuer on this machine: `document` makes its discovery document of its URL, `/keys` serves keys.
    async fn issuer(document: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/realms/acme", listener.local_addr().unwrap().port());
        let ours = url.clone();
        let realm = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { document(&ours) }))
            .route("/keys", get(|| async { JWKS }))
            .route("/moved", get(|| async { Redirect::temporary("/realms/acme/keys") }))
            .route("/large", get(|| async { "x".repeat(LARGEST + 1) }))
            .route("/slow", get(|| async { std::future::pending::<()>().await }))
            .route("/broken", get(|| async { (http::StatusCode::BAD_GATEWAY, JWKS) }));
        tokio::spawn(async move { axum::serve(listener, Router::new().nest("/realms/acme", realm)).await });
        url
    }

    async fn asked(issuer: &str, jwks_uri: Option<String>) -> Result<WebKeys, String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issuer = Issuer { issuer: issuer.into(), jwks_uri };
        issuer.keys().await.map_err(|error| error.to_string())
    }

    fn document(issuer: &str, jwks_uri: &str) -> Response {
        json!({"issuer": issuer, "jwks_uri": jwks_uri, "token_endpoint": "x"}).to_string().into_response()
    }

    #[tokio::test]
    async fn keys_come_by_discovery_or_from_where_the_configuration_says() {
        let keys = WebKeys::read(JWKS.as_bytes()).unwrap();
        let url = issuer(|url| document(url, &format!("{url}/keys"))).await;
        assert_eq!(asked(&url, None).await, Ok(keys.clone()));
        assert_eq!(asked("https://elsewhere.example", Some(format!("{url}/keys"))).await, Ok(keys.clone()));
        // Entra's issuers end in a slash.
        let slash = issuer(|url| document(&format!("{url}/"), &format!("{url}/keys"))).await;
        assert_eq!(asked(&format!("{slash}/"), None).await, Ok(keys));
    }

    #[tokio::test]
    async fn who_answers_for_another_issuer_or_points_elsewhere_is_not_believed() {
        let template = issuer(|url| document("https://login.example/{tenantid}/v2.0", &format!("{url}/keys"))).await;
        let error = asked(&template, None).await.unwrap_err();
        assert!(error.contains("expected the issuer") && error.contains("{tenantid}"), "{error}");
        let plain = issuer(|url| document(url, "http://keys.example/keys")).await;
        assert!(asked(&plain, None).await.unwrap_err().contains("jwks_uri: expected an https URL"));
        let moved = issuer(|_| Redirect::temporary("/realms/acme/keys").into_response()).await;
        assert!(asked(&moved, None).await.unwrap_err().contains("without a redirect; found 307"));
        let empty = issuer(|_| "{}".into_response()).await;
        assert!(asked(&empty, None).await.unwrap_err().contains("expected a discovery document"));
    }

    #[tokio::test]
    async fn what_is_no_key_set_too_large_too_slow_or_elsewhere_is_none() {
        let url = issuer(|_| "x".into_response()).await;
        for (path, expected) in [
            ("moved", "found 307"),
            ("large", "expected at most 262144 bytes"),
            ("slow", "nothing within 4 s"),
            ("broken", "found 502"),
            (".well-known/openid-configuration", "expected a JWK Set"),
        ] {
            let error = asked(&url, Some(format!("{url}/{path}"))).await.unwrap_err();
            assert!(error.contains(expected), "{path}: {error}");
        }
        assert!(asked("x", Some("http://127.0.0.1:1/keys".into())).await.is_err());
    }
}
