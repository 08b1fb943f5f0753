//! Bulk (RFC 7644 §3.7): many requests in one. Each operation is what its single request is: it goes through the same
//! handler, with the same checks, in a transaction of its own. One that fails takes no other with it, and what was done
//! before it stays.

mod gather;
mod plan;
mod reference;
mod request;
mod run;

use axum::{
    extract::{FromRequest, Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::{Value, json};
use tracing::Instrument;

use super::{ScimState, answer, auth::Caller, body, error::Failure};

const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// How much one request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkLimits {
    /// Most operations.
    pub max_operations: usize,
    /// Largest body, bytes.
    pub max_payload_size: usize,
}

impl Default for BulkLimits {
    fn default() -> Self {
        Self { max_operations: 1_000, max_payload_size: body::MAX_BODY }
    }
}

/// A body of a Bulk request, which has a limit of its own.
pub(super) struct Payload(Value);

impl FromRequest<ScimState> for Payload {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &ScimState) -> Result<Self, Failure> {
        body::read(request, state.settings.bulk.max_payload_size).await.map(Self)
    }
}

/// Runs in a task of its own, as a single write does: a caller that goes away must not leave the second half of its
/// leavers where they are.
pub(super) async fn bulk(
    State(state): State<ScimState>,
    caller: Caller,
    Payload(body): Payload,
) -> Result<Response, Failure> {
    let request = request::read(body, state.settings.bulk.max_operations, caller.mode)?;
    let work = run::run(state.clone(), caller, request).instrument(tracing::Span::current());
    let lost = |error: tokio::task::JoinError| {
        tracing::error!(%error, "a Bulk request ended early");
        Failure::status(StatusCode::INTERNAL_SERVER_ERROR, "the request ended early; what was done of it stays")
    };
    let operations = state.writes.spawn(work).await.map_err(lost)?;
    Ok(answer::json(StatusCode::OK, &json!({"schemas": [RESPONSE], "Operations": operations})))
}
