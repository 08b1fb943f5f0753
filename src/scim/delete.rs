//! DELETE (RFC 7644 §3.6).

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use super::{ScimState, auth::Caller, error::Failure, precondition::IfMatch, read::parse, write::settle};
use crate::identity::ResourceKind;

pub(super) async fn delete(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = parse(kind, &id)?;
    let condition = IfMatch::read(&headers);
    if condition.is_set() {
        // Not in the deletion's transaction, so a change that comes in between is deleted with the rest.
        condition.check(&state.store.get(&caller.idp, kind, id).await?)?;
    }
    let idp = caller.idp;
    settle(&state, |store| async move { store.delete(&idp, kind, id).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
