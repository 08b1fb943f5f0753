//! What would be decided of a recorded event now. Nothing is recorded and no ticket is made.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};

use super::{ControlState, Refusal, wire::DecisionView};
use crate::interceptor;

pub(super) async fn recorded(
    State(control): State<ControlState>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<DecisionView>, Refusal> {
    let (directory, catalog) = (control.directory.load_full(), control.catalog.load_full());
    let judgement = interceptor::explain(&directory, &catalog, &control.settings, &body?, (control.clock)())
        .map_err(|error| Refusal::bad(format!("expected an InterceptorRequest of Tekton Triggers as JSON: {error}")))?;
    Ok(Json(DecisionView::from(&judgement)))
}
