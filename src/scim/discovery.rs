//! What this server can do (RFC 7643 §5–§7, RFC 7644 §4).
//!
//! `ServiceProviderConfig` is open, so that a client can learn how to authenticate (RFC 7643 §5 asks for that); but a token
//! that is sent must be good, since an IdP tests a connection by it. The other two are for whoever may provision.

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{
    Limits, ScimState,
    answer::{self, List},
    auth::{Caller, caller},
    error::Failure,
    params::Params,
};
use crate::identity::schema::{self, LIMITS_URN, Schema, USER_URN, resource_type_json, schema_json, with_password};

const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

pub(super) async fn service_provider_config(
    State(state): State<ScimState>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let settings = if headers.contains_key(header::AUTHORIZATION) {
        state.settings.of(&caller(&headers, &state).await?.idp)
    } else {
        &state.settings.default
    };
    let description = match &settings.jwt {
        None => "A token of this server's own, by `scim-tekton idp token create`, in the header Authorization",
        Some(_) => {
            "A token of this server's own, or a JWT of the identity provider's issuer, in the header Authorization"
        }
    };
    let page = state.settings.limits.page;
    let mut config = json!({
        "schemas": [CONFIG_URN],
        "patch": {"supported": true},
        "bulk": {
            "supported": true,
            "maxOperations": state.settings.bulk.max_operations,
            "maxPayloadSize": state.settings.bulk.max_payload_size,
        },
        "filter": {"supported": true, "maxResults": page.max_size},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": page.default_size,
            "maxPageSize": page.max_size,
            "cursorTimeout": state.settings.cursor_timeout.num_seconds(),
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": description,
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", state.base),
        },
    });
    omit(&mut config, &settings.omit);
    if settings.advertise_limits {
        advertise(&mut config, &state.settings.limits, settings.requests_per_second);
    }
    Ok(answer::json(StatusCode::OK, &config))
}

/// Only where it is asked for: scim2-models, of which many clients are made, refuses a whole configuration for an extension.
fn advertise(config: &mut Value, limits: &Limits, requests_per_second: u32) {
    let Value::Object(config) = config else { return };
    let Limits { max_body, text, .. } = limits;
    let mut extension = json!({
        "maxBodySize": max_body,
        "maxResourceSize": text.resource_size,
        "maxMembers": text.members,
        "patch": {"maxOperations": text.patch_operations},
        "filter": {"maxLength": text.filter_length, "maxDepth": text.filter_depth},
    });
    if let (Value::Object(extension), 1..) = (&mut extension, requests_per_second) {
        extension.insert("requestsPerSecond".into(), requests_per_second.into());
    }
    config.insert("schemas".into(), json!([CONFIG_URN, LIMITS_URN]));
    config.insert(LIMITS_URN.into(), extension);
}

/// There are clients that refuse a configuration for a member that they don't know: what came after RFC 7643 can be left out.
fn omit(config: &mut Value, members: &[&str]) {
    if let Value::Object(config) = config {
        config.retain(|member, _| !members.contains(&member.as_str()));
    }
}

pub(super) async fn schemas(
    State(state): State<ScimState>,
    caller: Caller,
    params: Params,
) -> Result<Response, Failure> {
    let schemas = served(&state, &caller).map(|schema| shown(schema, &state, &caller)).collect();
    all(&params, schemas)
}

fn served(state: &ScimState, caller: &Caller) -> impl Iterator<Item = &'static Schema> {
    let limits = state.settings.of(&caller.idp).advertise_limits.then_some(&schema::LIMITS);
    schema::schemas(state.settings.agents).chain(limits)
}

pub(super) async fn schema(
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = served(&state, &caller).find(|schema| schema.id.eq_ignore_ascii_case(&id));
    let schema = found.ok_or_else(|| Failure::not_found("Schema"))?;
    Ok(answer::json(StatusCode::OK, &shown(schema, &state, &caller)))
}

fn shown(schema: &Schema, state: &ScimState, caller: &Caller) -> Value {
    let json = schema_json(schema, &state.base);
    let password = schema.id == USER_URN && state.settings.of(&caller.idp).advertise_password;
    if password { with_password(json) } else { json }
}

pub(super) async fn resource_types(
    State(state): State<ScimState>,
    _: Caller,
    params: Params,
) -> Result<Response, Failure> {
    let types: Vec<_> = state.settings.kinds().iter().map(|kind| resource_type_json(*kind, &state.base)).collect();
    all(&params, types)
}

pub(super) async fn resource_type(
    State(state): State<ScimState>,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let found = state.settings.kinds().iter().find(|kind| kind.as_str().eq_ignore_ascii_case(&id));
    let kind = found.ok_or_else(|| Failure::not_found("ResourceType"))?;
    Ok(answer::json(StatusCode::OK, &resource_type_json(*kind, &state.base)))
}

/// RFC 7644 §4: all at once, and a filter is forbidden, since a client that sends one would take the answer for filtered.
fn all(params: &Params, resources: Vec<Value>) -> Result<Response, Failure> {
    if params.filter.is_some() {
        return Err(Failure::status(StatusCode::FORBIDDEN, "this endpoint takes no filter"));
    }
    let (total, start_index) = (Some(resources.len()), Some(1));
    Ok(answer::list(&List { total, start_index, next_cursor: None, resources }))
}
