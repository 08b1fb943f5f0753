//! Our issuer as a verifier sees it: by its public name, over the network. For `doctor`.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use reqwest::{Certificate, Client};
use rustls::CertificateError;
use serde_json::Value;

use super::control::doctor::{AskIssuer, IssuerFacts, NoAnswer};
use crate::{clock::Clock, keys::KeyCell};

/// Somebody waits at a terminal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Knows the issuer's name, trusts our CA and those of this machine.
pub struct Verifier {
    /// The configuration's `externalUrl`.
    pub url: String,
    /// Our CA, PEM.
    pub ca: String,
    /// What signs.
    pub keys: KeyCell,
    /// Time.
    pub clock: Clock,
}

#[async_trait]
impl AskIssuer for Verifier {
    async fn ask(&self) -> IssuerFacts {
        let kid = self.keys.load().active((self.clock)()).kid().to_owned();
        let facts = |discovery, keys| IssuerFacts { url: self.url.clone(), discovery, keys, kid: kid.clone() };
        let discovery = match self.client() {
            Ok(client) => {
                get(&client, &format!("{}/.well-known/openid-configuration", self.url)).await.map(|it| (client, it))
            }
            Err(error) => Err(NoAnswer::Unreachable(innermost(&error))),
        };
        match discovery {
            Ok((client, document)) => {
                let keys = match document.get("jwks_uri").and_then(Value::as_str) {
                    Some(url) => get(&client, url).await,
                    None => Err(NoAnswer::Wrong("there is no jwks_uri in the discovery document".into())),
                };
                facts(Ok(document), keys)
            }
            Err(why) => facts(Err(why.clone()), Err(why)),
        }
    }
}

impl Verifier {
    fn client(&self) -> Result<Client, reqwest::Error> {
        Client::builder().tls_certs_merge([Certificate::from_pem(self.ca.as_bytes())?]).timeout(PATIENCE).build()
    }
}

async fn get(client: &Client, url: &str) -> Result<Value, NoAnswer> {
    let answer = client.get(url).send().await.map_err(|error| no_answer(&error))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(NoAnswer::Wrong(format!("HTTP {status}")));
    }
    let text = answer.text().await.map_err(|error| no_answer(&error))?;
    serde_json::from_str(&text).map_err(|error| NoAnswer::Wrong(format!("what it answers is no JSON: {error}")))
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        return NoAnswer::Unreachable(format!("nothing within {} s", PATIENCE.as_secs()));
    }
    match tls_error(error) {
        Some(tls) => NoAnswer::Tls(in_words(tls)),
        None => NoAnswer::Unreachable(innermost(error)),
    }
}

/// An I/O error hides what it carries from `source`, and may carry another.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(carried) => tls_error(carried),
        None => error.source().and_then(tls_error),
    }
}

fn in_words(error: &rustls::Error) -> String {
    match error {
        // The latter is that of another CA with our CA's name.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is neither from our CA nor from one that this machine trusts".into()
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired".into()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for other names".into(),
        other => other.to_string(),
    }
}

/// The innermost reason: what stands around it is about URLs that were just named, or about layers of a client.
pub fn innermost(error: &dyn Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use axum::{Router, routing::get};
    use axum_server::tls_rustls::RustlsConfig;
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::*;
    use crate::keys::{CertificateAuthority, LeafCell, SigningKeys, server_config};

    /// An issuer on this machine, by TLS of this CA, for this name; gives its URL.
    fn issuer(ca: &CertificateAuthority, name: &str, now: DateTime<Utc>) -> String {
        let leaf = LeafCell::new(ca.issue(&[name.to_owned()], &[], now).unwrap());
        let tls = RustlsConfig::from_config(Arc::new(server_config(&leaf).unwrap()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { document }))
            .route("/keys", get(|| async { "<html>" }));
        let serving = axum_server::from_tcp_rustls(listener, tls).unwrap().serve(routes.into_make_service());
        tokio::spawn(serving);
        url
    }

    async fn asked(url: String, ca: &CertificateAuthority, now: DateTime<Utc>) -> IssuerFacts {
        let keys = Arc::new(ArcSwap::from_pointee(SigningKeys::generate(now).unwrap()));
        Verifier { url, ca: ca.certificate_pem().into(), keys, clock: Arc::new(move || now) }.ask().await
    }

    fn said(answer: Result<Value, NoAnswer>) -> String {
        answer.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_answers_is_read_and_what_does_not_is_told_in_words() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let now = (crate::clock::system())();
        let (ours, theirs) = (CertificateAuthority::make(now).unwrap(), CertificateAuthority::make(now).unwrap());
        let url = issuer(&ours, "localhost", now);
        let facts = asked(url.clone(), &ours, now).await;
        assert_eq!(facts.discovery.unwrap()["issuer"], url.as_str());
        assert!(said(facts.keys).starts_with("what it answers is no JSON"));
        let facts = asked(format!("{url}/elsewhere"), &ours, now).await;
        assert_eq!(said(facts.discovery), "HTTP 404 Not Found");
        let facts = asked(url, &theirs, now).await;
        let untrusted = "TLS: its certificate is neither from our CA nor from one that this machine trusts";
        assert_eq!(said(facts.discovery), untrusted);
        let facts = asked(issuer(&ours, "example.com", now), &ours, now).await;
        assert_eq!(said(facts.discovery), "TLS: its certificate is for other names");
        let long_ago = now - chrono::Duration::days(5000);
        let facts = asked(issuer(&ours, "localhost", long_ago), &ours, now).await;
        assert_eq!(said(facts.discovery), "TLS: its certificate has expired");
        let facts = asked("http://127.0.0.1:1".into(), &ours, now).await;
        assert!(said(facts.discovery).starts_with("does not answer: "));
    }
}
