//! One builder for all tests of routes.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    clock,
    revocation::Enforce,
    scim::{ScimState, Settings, TOKEN_PREFIX, TokenTable, router},
    store::{Provisioned, SqlStore, Store, testing},
    ticket,
};

/// Remembers what it was asked to enforce; holds it up where a test wants that.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) seen: Mutex<Vec<Provisioned>>,
    pub(super) gate: Option<tokio::sync::Semaphore>,
}

#[async_trait]
impl Enforce for Recorder {
    async fn enforce(&self, provisioned: &Provisioned) {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.seen.lock().unwrap().push(provisioned.clone());
    }
}

pub(super) struct App {
    pub(super) router: Router,
    pub(super) state: ScimState,
    pub(super) enforced: Arc<Recorder>,
    pub(super) store: Arc<SqlStore>,
    pub(super) tokens: Arc<TokenTable>,
    token: String,
    other: String,
    _dir: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl App {
    pub(super) async fn new() -> Self {
        Self::with(Recorder::default(), Settings::default()).await
    }

    pub(super) async fn with(enforced: Recorder, settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store =
            SqlStore::open(&testing::url(&dir.path().join("store")), clock::system(), Box::new(|_, _| {})).unwrap();
        let okta = token(&store, "okta").await;
        let entra = token(&store, "entra").await;
        let tokens = Arc::new(TokenTable::load(&*store).await.unwrap());
        let enforced = Arc::new(enforced);
        let base = "https://scim.example.com/";
        let state = ScimState::new(store.clone(), clock::system(), enforced.clone(), tokens.clone(), base, settings);
        Self { router: router(state.clone()), state, enforced, store, tokens, token: okta, other: entra, _dir: dir }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.call("PATCH", path, Some(json!({"Operations": operations}))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None).await
    }

    /// As the IdP `okta`.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(self.request(method, path, body, &[])).await
    }

    /// As another IdP.
    pub(super) async fn call_as_other(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.other);
        self.send(self.request(method, path, body, &[("authorization", &bearer)])).await
    }

    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Request<Body> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = Request::builder().method(method).uri(format!("/scim/v2{path}")).body(body).unwrap();
        let bearer = format!("Bearer {}", self.token);
        let defaults = [("authorization", bearer.as_str()), ("content-type", "application/scim+json")];
        for (name, value) in defaults.iter().chain(headers) {
            request.headers_mut().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        request
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A new user.
    pub(super) async fn user(&self, name: &str) -> String {
        self.post("/Users", json!({"userName": name, "externalId": format!("ext-{name}")})).await.id()
    }

    /// A new group.
    pub(super) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
        self.post("/Groups", json!({"displayName": name, "members": members})).await.id()
    }
}

async fn token(store: &SqlStore, idp: &str) -> String {
    let token = ticket::mint(TOKEN_PREFIX).unwrap();
    store.create_token(&idp.into(), ticket::hash_of(&token), None).await.unwrap();
    token.expose_secret().to_owned()
}
