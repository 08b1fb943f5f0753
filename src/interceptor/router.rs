//! The interceptor over HTTP, and the same decision for a request that was recorded.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    routing::post,
};
use chrono::{DateTime, Utc};

use super::{InterceptorRequest, InterceptorResponse, InterceptorState, Judgement, Settings, decide};
use crate::{directory::Directory, policy::Catalog};

/// A push lists at most 2,048 commits, some 3 MiB, and stands in the request as a JSON string. The EventListener itself
/// has no limit.
pub const LARGEST_REQUEST: usize = 8 * 1024 * 1024;

/// Serves `InterceptorRequest`s: POST, at any path. Every answer is 200, for to Tekton anything else is an outage; whether
/// the event goes on stands in it (G8).
pub fn router(state: InterceptorState) -> Router {
    Router::new()
        .route("/", post(handle))
        .route("/{*path}", post(handle))
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(state)
}

async fn handle(
    State(state): State<InterceptorState>,
    body: Result<Bytes, BytesRejection>,
) -> Json<InterceptorResponse> {
    Json(match body {
        Ok(body) => state.answer(&body).await,
        Err(_) => state.answer_unreadable().await,
    })
}

/// Why a recorded `InterceptorRequest` would be allowed or denied now: the whole trace, also where its signature does not
/// hold. Records nothing.
pub fn explain(
    directory: &Directory,
    catalog: &Catalog,
    settings: &Settings,
    request: &[u8],
    now: DateTime<Utc>,
) -> Result<Judgement, serde_json::Error> {
    let request: InterceptorRequest = serde_json::from_slice(request)?;
    Ok(decide(directory, catalog, settings, &request, now))
}
