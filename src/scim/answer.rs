//! Answers.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{ScimState, error::Failure};
use crate::identity::{Location, Projection, Resource, ResourceKind, Shown};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A body of `application/scim+json` (RFC 7644 §8.1).
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(2048);
    if let Err(error) = serde_json::to_writer(&mut body, value) {
        tracing::error!(%error, "an answer could not be written");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

/// What a `ListResponse` tells (RFC 7644 §3.4.2, RFC 9865 §2). Members that are `None` are left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    #[serde(rename = "totalResults", skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
    #[serde(rename = "Resources")]
    pub(super) resources: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse<'a, T> {
    schemas: [&'static str; 1],
    items_per_page: usize,
    #[serde(flatten)]
    list: &'a List<T>,
}

/// A `ListResponse`.
pub(super) fn list<T: Serialize>(list: &List<T>) -> Response {
    json(StatusCode::OK, &ListResponse { schemas: [LIST], items_per_page: list.resources.len(), list })
}

/// A resource, with its version as `ETag` and its address.
pub(super) async fn resource(
    state: &ScimState,
    status: StatusCode,
    resource: Resource,
    projection: &Projection,
) -> Result<Response, Failure> {
    let (kind, id, etag) = (resource.kind, resource.id, resource.etag());
    let relations = match kind {
        _ if !shows_relations(kind, projection) => Vec::new(),
        ResourceKind::Group => state.store.members(id).await?,
        ResourceKind::User | ResourceKind::Agent => state.store.groups_of(id).await?,
    };
    let base = &*state.base;
    let mut response = json(status, &Shown { resource, relations, base, projection });
    set(&mut response, header::ETAG, &etag);
    set(&mut response, header::LOCATION, &Location { kind, id, base }.to_string());
    Ok(response)
}

/// 204, with the new version.
pub(super) fn no_content(resource: &Resource) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(&mut response, header::ETAG, &resource.etag());
    response
}

/// Whether members of a group, or groups of a user, are shown: else they need not be read.
pub(super) fn shows_relations(kind: ResourceKind, projection: &Projection) -> bool {
    projection.wants(match kind {
        ResourceKind::Group => "members",
        ResourceKind::User | ResourceKind::Agent => "groups",
    })
}

/// Sets a header, if the value can be one.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
