//! What only the suite asks for, in a build of its own: to be held at a failpoint, and to have the clock put ahead.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    routing::{get, put},
};

use super::{ControlState, Refusal};
use crate::{clock, failpoint::hold};

pub(super) fn router() -> Router<ControlState> {
    Router::new()
        .route("/v1/failpoints", get(reached))
        .route("/v1/failpoints/{name}", put(arm).delete(let_go))
        .route("/v1/failpoints/{name}/{actions}", put(configure))
        .route("/v1/clock/{ahead}", put(ahead))
}

async fn reached() -> Json<BTreeMap<String, u64>> {
    Json(hold::reached())
}

async fn arm(Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    hold::arm(&name).map(|()| StatusCode::NO_CONTENT).map_err(Refusal::bad)
}

/// Actions in the words of the library `fail`, as `return`.
async fn configure(Path((name, actions)): Path<(String, String)>) -> Result<StatusCode, Refusal> {
    fail::cfg(name, &actions).map(|()| StatusCode::NO_CONTENT).map_err(Refusal::bad)
}

async fn let_go(Path(name): Path<String>) -> StatusCode {
    hold::let_go(&name);
    StatusCode::NO_CONTENT
}

async fn ahead(Path(seconds): Path<i64>) -> StatusCode {
    clock::ahead::set(seconds);
    StatusCode::NO_CONTENT
}
