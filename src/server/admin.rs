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

/// What readiness is: every part of it, by name.
pub type Checks = Arc<dyn Fn() -> Vec<(&'static str, bool)> + Send + Sync>;

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
    checks.push(("store", state.store.ping().await.is_ok()));
    let ready = checks.iter().all(|(_, holds)| *holds);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if ready && query.verbose.is_none() {
        return (status, "ok\n".to_owned());
    }
    let lines = checks.iter().map(|(name, holds)| format!("[{}] {name}\n", if *holds { '+' } else { '-' }));
    (status, lines.collect())
}

async fn metrics(State(state): State<AdminState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (state.metrics)())
}
