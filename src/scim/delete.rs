//! DELETE (RFC 7644 §3.6).

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};

use super::{ScimState, auth::Caller, error::Failure, precondition::Precondition, read::parse, write::settle};
use crate::identity::{Resource, ResourceKind};

pub(super) async fn delete(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = parse(kind, &id)?;
    let condition = Precondition::read(&headers);
    let check = Box::new(move |current: &Resource| condition.check(current));
    let idp = caller.idp;
    settle(&state, |store| async move { store.delete_if(&idp, kind, id, check).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
