//! Bulk (RFC 7644 §3.7): many requests in one. Each operation is what its single request is: it goes through the same
//! handler, with the same checks, in a transaction of its own. One that fails takes no other with it, and what was done
//! before it stays.

mod gather;
mod plan;
mod reference;
mod request;
mod run;

pub(super) use gather::Gather;

use axum::{
    extract::{FromRequest, Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::{Value, json};
use tracing::Instrument;

use super::{
    ScimState, answer,
    auth::{self, Caller},
    body,
    error::Failure,
    rate::Turn,
};

const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// A Bulk request of a caller who may send one now. Its body, which has a limit of its own, is read after that is known.
pub(super) struct Admitted {
    caller: Caller,
    turn: Turn,
    body: Value,
}

impl FromRequest<ScimState> for Admitted {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &ScimState) -> Result<Self, Failure> {
        let (caller, turn) = auth::bulk_caller(request.headers(), state).await?;
        let body = body::read(request, state.settings.bulk.max_payload_size).await?;
        Ok(Self { caller, turn, body })
    }
}

/// Runs in a task of its own, as a single write does: a caller that goes away must not leave the second half of its
/// leavers where they are. The turn is that task's, and not the connection's.
pub(super) async fn bulk(
    State(state): State<ScimState>,
    Admitted { caller, turn, body }: Admitted,
) -> Result<Response, Failure> {
    let request = request::read(body, state.settings.bulk.max_operations, state.settings.kinds(), caller.mode)?;
    let run = run::run(state.clone(), caller, request);
    let work = async move {
        let operations = run.await;
        drop(turn);
        operations
    };
    let lost = |error: tokio::task::JoinError| {
        tracing::error!(%error, "a Bulk request ended early");
        Failure::status(StatusCode::INTERNAL_SERVER_ERROR, "the request ended early; what was done of it stays")
    };
    let operations = state.writes.spawn(work.instrument(tracing::Span::current())).await.map_err(lost)?;
    Ok(answer::json(StatusCode::OK, &json!({"schemas": [RESPONSE], "Operations": operations})))
}
