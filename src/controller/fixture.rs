//! A Context over a fake store and one fake API server: objects in memory, tokens on request.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Duration, Utc};
use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::{Context, Namespaces, RbacSettings, RbacSync, admission::Guard, catalog};
use crate::{
    clock::{Clock, rfc3339},
    cluster::{Cluster, Events},
    credential::{kubernetes::KubernetesProvider, oidc::OidcProvider},
    fake::FakeStore,
    keys::SigningKeys,
    revocation::Revoker,
};

/// The API server's state, and whether it answers.
#[derive(Default)]
pub struct FakeApi {
    /// By path.
    pub objects: BTreeMap<String, Value>,
    /// Specs of the requests for tokens, in order.
    pub tokens: Vec<Value>,
    /// Notes of the Events.
    pub events: Vec<String>,
    /// Requests whose path contains this are answered with this status.
    pub broken: Option<(&'static str, u16)>,
}

/// What a test holds.
pub struct Fixture {
    pub context: Arc<Context>,
    pub api: Arc<Mutex<FakeApi>>,
    pub store: Arc<FakeStore>,
    pub now: Arc<Mutex<DateTime<Utc>>>,
}

impl Fixture {
    /// At this time.
    pub fn at(now: DateTime<Utc>) -> Self {
        let api = Arc::new(Mutex::new(FakeApi::default()));
        let now = Arc::new(Mutex::new(now));
        let time = Arc::clone(&now);
        let clock: Clock = Arc::new(move || *time.lock().unwrap());
        let (state, time) = (Arc::clone(&api), Arc::clone(&clock));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (state, now) = (Arc::clone(&state), time());
            async move {
                let (parts, body) = request.into_parts();
                let body: Value = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
                let path_and_query = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                let (code, answer) = state.lock().unwrap().answer(&parts.method, &path_and_query, body, now);
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, tower::BoxError>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        let client = Client::new(service, "default");
        let store = Arc::new(FakeStore::default());
        let context = context(&client, Arc::clone(&store), clock);
        Self { context: Arc::new(context), api, store, now }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }
}

fn context(client: &Client, store: Arc<FakeStore>, clock: Clock) -> Context {
    let cluster = Cluster::of(client.clone(), Vec::new());
    let kubernetes = Arc::new(KubernetesProvider::new(cluster.clone(), Arc::clone(&clock), "grants", "scim"));
    let (directory, catalog_cell) = (Arc::default(), Arc::default());
    let ready = Arc::new(catalog::Ready::default());
    let namespaces = Namespaces::new(client.clone(), "");
    let settings = RbacSettings::default();
    let cells = (Arc::clone(&catalog_cell), Arc::clone(&ready));
    let rbac = RbacSync::new(cluster.clone(), Arc::clone(&directory), cells, namespaces.clone(), settings);
    Context {
        revoker: Arc::new(Revoker::new(
            Arc::<FakeStore>::clone(&store),
            cluster.clone(),
            Arc::clone(&kubernetes),
            Arc::clone(&clock),
        )),
        store,
        directory,
        catalog: catalog_cell,
        catalog_ready: ready,
        admission: Guard::that_holds(),
        grants_namespace: "grants".into(),
        oidc: Arc::new(OidcProvider {
            keys: Arc::new(ArcSwap::from_pointee(SigningKeys::generate(clock()).unwrap())),
            issuer_url: "https://scim.example.com".into(),
            cluster_id: "test".into(),
            targets: BTreeMap::new(),
        }),
        rbac: Arc::new(rbac),
        events: Events::new(client.clone(), "scim"),
        namespaces,
        kubernetes,
        cluster,
        clock,
        instance: "scim".into(),
        install_namespace: "scim-tekton".into(),
    }
}

impl FakeApi {
    fn answer(
        &mut self,
        method: &Method,
        path_and_query: &str,
        body: Value,
        now: DateTime<Utc>,
    ) -> (StatusCode, Value) {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if let Some((_, code)) = self.broken.filter(|(part, _)| path.contains(part)) {
            return failure(code, "Broken");
        }
        let key = match body["metadata"]["name"].as_str() {
            Some(name) if method == Method::POST => format!("{path}/{name}"),
            _ => path.to_owned(),
        };
        if method == Method::POST && path.ends_with("/token") {
            return (StatusCode::CREATED, self.token(&body, now));
        }
        // One that is told again is patched.
        if path.contains("/events") {
            self.events.push(body["note"].as_str().unwrap_or_default().to_owned());
            return (StatusCode::CREATED, body);
        }
        match (method.as_str(), self.objects.contains_key(&key)) {
            ("POST", true) => failure(409, "AlreadyExists"),
            ("POST", false) => {
                if !query.contains("dryRun=All") {
                    self.objects.insert(key, body.clone());
                }
                (StatusCode::CREATED, body)
            }
            (_, false) => failure(404, "NotFound"),
            ("PUT", true) => {
                self.objects.insert(key, body.clone());
                (StatusCode::OK, body)
            }
            ("DELETE", true) => (StatusCode::OK, self.objects.remove(&key).unwrap_or_default()),
            _ => (StatusCode::OK, self.objects.get(&key).cloned().unwrap_or_default()),
        }
    }

    fn token(&mut self, body: &Value, now: DateTime<Utc>) -> Value {
        let spec = body["spec"].clone();
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or_default();
        self.tokens.push(spec);
        let end = rfc3339(now + Duration::seconds(seconds));
        let token = format!("token-{}", self.tokens.len());
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": body["spec"],
            "status": {"token": token, "expirationTimestamp": end}})
    }
}

fn failure(code: u16, reason: &str) -> (StatusCode, Value) {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
        "message": "the fake says so", "reason": reason, "code": code,
        "details": {"causes": if code == 403 { json!([{"reason": "NamespaceTerminating"}]) } else { json!([]) }}});
    (StatusCode::from_u16(code).unwrap(), status)
}
