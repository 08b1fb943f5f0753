//! `/livez`, `/readyz`, `/metrics`: nothing secret, nothing that changes.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Deserialize;

use crate::store::Store;

/// One line of `/readyz?verbose`.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What must hold.
    pub name: &'static str,
    /// Whether it does.
    pub holds: bool,
    /// Whether it is shown only. What it stops must not stop the rest: a pod that is not ready gets no SCIM call, and
    /// who leaves would keep what they have.
    pub detail: bool,
}

impl Check {
    /// A part of readiness.
    pub fn part(name: &'static str, holds: bool) -> Self {
        Self { name, holds, detail: false }
    }

    /// What is shown beside it.
    pub fn detail(name: &'static str, holds: bool) -> Self {
        Self { name, holds, detail: true }
    }
}

/// What is to be shown, asked each time.
pub type Checks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

/// What the admin listener shows.
#[derive(Clone)]
pub struct AdminState {
    /// The store, asked each time.
    pub store: Arc<dyn Store>,
    /// Everything else that must hold.
    pub checks: Checks,
    /// The metrics, in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

#[derive(Deserialize)]
struct Verbose {
    verbose: Option<String>,
}

/// The routes.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// A process whose writer is gone never writes again: it is to be started anew.
async fn livez(State(state): State<AdminState>) -> (StatusCode, &'static str) {
    if state.store.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the store's writer is gone\n")
    }
}

async fn readyz(State(state): State<AdminState>, Query(query): Query<Verbose>) -> impl IntoResponse {
    let mut checks = (state.checks)();
    checks.push(Check::part("store", state.store.ping().await.is_ok()));
    let ready = checks.iter().all(|check| check.holds || check.detail);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if ready && query.verbose.is_none() {
        return (status, "ok\n".to_owned());
    }
    let lines = checks.iter().map(|check| format!("[{}] {}\n", if check.holds { '+' } else { '-' }, check.name));
    (status, lines.collect())
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (state.metrics)())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::fake::FakeStore;

    async fn get(checks: Vec<Check>, path: &str) -> (u16, String) {
        let state = AdminState {
            store: Arc::new(FakeStore::default()),
            checks: Arc::new(move || checks.clone()),
            metrics: Arc::new(String::new),
        };
        let response = router(state).oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_detail_is_shown_and_does_not_turn_readiness() {
        let open = vec![Check::part("catalog", true), Check::detail("admission", false)];
        assert_eq!(get(open.clone(), "/readyz").await, (200, "ok\n".into()));
        let shown = "[+] catalog\n[-] admission\n[+] store\n";
        assert_eq!(get(open, "/readyz?verbose").await, (200, shown.into()));
        let early = vec![Check::part("catalog", false), Check::detail("admission", true)];
        assert_eq!(get(early, "/readyz").await, (503, "[-] catalog\n[+] admission\n[+] store\n".into()));
    }
}
