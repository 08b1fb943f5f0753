//! Answers.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{ScimState, error::Failure};
use crate::{
    identity::{Projection, Relation, Resource, ResourceKind, location, render},
    store::MemberRecord,
};

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A body of `application/scim+json` (RFC 7644 §8.1).
pub(super) fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = (status, Body::from(value.to_string())).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
    response
}

/// What a `ListResponse` tells. Members that are `None` are left out.
pub(super) struct List {
    pub(super) total: Option<usize>,
    pub(super) start_index: Option<usize>,
    pub(super) next_cursor: Option<String>,
    pub(super) resources: Vec<Value>,
}

/// A `ListResponse` (RFC 7644 §3.4.2, RFC 9865 §2).
pub(super) fn list(list: &List) -> Response {
    let mut json = json!({
        "schemas": [LIST],
        "itemsPerPage": list.resources.len(),
        "Resources": list.resources,
    });
    let optional = [
        ("totalResults", list.total.map(Value::from)),
        ("startIndex", list.start_index.map(Value::from)),
        ("nextCursor", list.next_cursor.as_deref().map(Value::from)),
    ];
    if let Some(json) = json.as_object_mut() {
        json.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    self::json(StatusCode::OK, &json)
}

/// A resource, with its version as `ETag` and its address.
pub(super) async fn resource(
    state: &ScimState,
    status: StatusCode,
    resource: &Resource,
    projection: &Projection,
) -> Result<Response, Failure> {
    let relations = match resource.kind {
        _ if !shows_relations(resource.kind, projection) => Vec::new(),
        ResourceKind::Group => state.store.members(resource.id).await?,
        ResourceKind::User | ResourceKind::Agent => state.store.groups_of(resource.id).await?,
    };
    let mut response = json(status, &value(state, resource, &relations, projection));
    set(&mut response, header::ETAG, &resource.etag());
    set(&mut response, header::LOCATION, &location(resource.kind, resource.id, &state.base));
    Ok(response)
}

/// 204, with the new version.
pub(super) fn no_content(resource: &Resource) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set(&mut response, header::ETAG, &resource.etag());
    response
}

/// A resource as JSON, with the members of a group or the groups of a user.
pub(super) fn value(
    state: &ScimState,
    resource: &Resource,
    relations: &[MemberRecord],
    projection: &Projection,
) -> Value {
    let relations = relations.iter().map(|one| Relation { id: one.id, kind: one.kind, name: &one.name });
    render(resource, relations, &state.base, projection)
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
