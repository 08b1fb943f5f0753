//! The OIDC issuer over HTTP: discovery, the public keys, introspection. It lets a cloud or a registry verify a run's
//! token from our URL alone, and lets whoever asks learn of a revocation at once.
//!
//! Uses `credential::oidc` (the claims), `keys`, `store`, `config`.

mod basic;
mod clients;
mod discovery;
mod error;
mod introspect;

pub use clients::Clients;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{clock::Clock, config::ConfigError, keys::KeyCell, store::Store};

/// What the issuer answers from.
#[derive(Clone)]
pub struct IssuerState {
    keys: KeyCell,
    store: Arc<dyn Store>,
    clock: Clock,
    clients: Arc<Clients>,
    url: Arc<str>,
    discovery: Arc<str>,
}

impl IssuerState {
    /// For the issuer at `url` (the configuration's `externalUrl`, exactly).
    pub fn new(
        url: &str,
        keys: KeyCell,
        store: Arc<dyn Store>,
        clients: Clients,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let discovery = discovery::document(url)?.into();
        Ok(Self { keys, store, clock, clients: Arc::new(clients), url: url.into(), discovery })
    }
}

/// A token has some two kilobytes.
const LONGEST_BODY: usize = 32 * 1024;

/// All routes, at the root and, if the external URL has a path, below that path as well: an ingress may or may not
/// take it away.
pub fn router(state: IssuerState) -> Router {
    let path = path_of(&state.url).to_owned();
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(discover))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/jwks", get(jwks))
        .route("/introspect", post(introspect::introspect))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(state);
    if path.is_empty() { routes } else { routes.clone().nest(&path, routes) }
}

/// `/base` of `https://host/base`; empty if there is none.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or_default()
}

async fn discover(State(issuer): State<IssuerState>) -> Response {
    public(&issuer.discovery)
}

async fn jwks(State(issuer): State<IssuerState>) -> Response {
    public(&issuer.keys.load().jwks_json())
}

/// Anyone may keep it for an hour: a key is published a day before it signs.
fn public(json: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, json.to_owned()).into_response()
}

#[cfg(test)]
mod tests;
