//! PUT (RFC 7644 §3.5.1): how Okta changes people. Never creates.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};

use super::{
    ScimState, answer, auth::Caller, body::Json, error::Failure, params::Params, precondition::Precondition,
    read::parse, write::settle,
};
use crate::identity::{Edit, Resource, ResourceKind, Whole};

pub(super) async fn replace(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Failure> {
    let id = parse(kind, &id)?;
    let whole = Whole::read(state.settings.limits.text, body, kind, caller.mode)?;
    let condition = Precondition::read(&headers);
    let idp = caller.idp;
    let skip_unknown_members = state.settings.of(&idp).skip_unknown_members;
    let edit = Box::new(move |current: &Resource| {
        condition.check(current)?;
        let edit = whole.replace(current)?;
        Ok(Edit { skip_unknown_members, ..edit })
    });
    let replaced = settle(&state, |store| async move { store.edit(&idp, kind, id, edit).await }).await?;
    answer::resource(&state, StatusCode::OK, replaced.resource, &params.projection(kind)).await
}
