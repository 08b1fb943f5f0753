//! GET of one resource (RFC 7644 §3.4.1).

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::{ScimState, answer, auth::Caller, error::Failure, params::Params, precondition};
use crate::identity::{Resource, ResourceId, ResourceKind};

pub(super) async fn read(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let resource = state.store.get(&caller.idp, kind, parse(kind, &id)?).await?;
    shown(&state, resource, &params, &headers).await
}

/// A resource as it is asked for; 304 if the caller has it, 412 if it is not the one that they want (RFC 7644 §3.14).
pub(super) async fn shown(
    state: &ScimState,
    resource: Resource,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    precondition::only_if_match(headers, &resource)?;
    if precondition::none_match(headers, &resource) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        answer::set(&mut response, header::ETAG, &resource.etag());
        return Ok(response);
    }
    let projection = params.projection(resource.kind);
    answer::resource(state, StatusCode::OK, resource, &projection).await
}

/// What is no id of ours is no resource of ours.
pub(super) fn parse(kind: ResourceKind, id: &str) -> Result<ResourceId, Failure> {
    id.parse().map_err(|_| Failure::not_found(kind.as_str()))
}
