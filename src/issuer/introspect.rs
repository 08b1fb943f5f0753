//! Token introspection (RFC 7662): whether a token of ours is good now, told to the one whom it is for.

use axum::{
    Json,
    extract::{Form, State, rejection::FormRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{IssuerState, basic, clients::Client, error::OAuthError};
use crate::{
    api::GrantPhase,
    credential::oidc::{Claims, TYP},
    identity::ResourceId,
    store::GrantRecord,
    telemetry::metric,
};

/// RFC 7662 §2.1; a `token_type_hint` changes nothing: we have one type.
#[derive(Deserialize)]
pub(super) struct Request {
    token: String,
}

/// RFC 7662 §2.2, for a token that is good.
#[derive(Debug, Serialize)]
struct Good {
    active: bool,
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: String,
    username: String,
    scim_id: ResourceId,
}

pub(super) async fn introspect(
    State(issuer): State<IssuerState>,
    headers: HeaderMap,
    form: Result<Form<Request>, FormRejection>,
) -> Result<Response, OAuthError> {
    // The client first: nobody else learns even whether a request is well-formed.
    let client = basic::client(&issuer.clients, &headers).ok_or(OAuthError::InvalidClient)?;
    let Form(request) = form.map_err(|rejection| OAuthError::InvalidRequest(rejection.body_text()))?;
    let now = (issuer.clock)();
    let active = judge(&issuer, client, &request.token, now).await?;
    let result = if active.is_some() { "active" } else { "inactive" };
    metrics::counter!(metric::INTROSPECTIONS, "client" => client.id.clone(), "result" => result).increment(1);
    let body = match active {
        Some(active) => Json(active).into_response(),
        // Exactly this: it tells nothing of a token that is not the asker's (§2.2).
        None => Json(json!({"active": false})).into_response(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}

async fn judge(
    issuer: &IssuerState,
    client: &Client,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<Good>, OAuthError> {
    let claims: Option<Claims> = issuer.keys.load().verify(token, TYP);
    let Some(claims) = claims.filter(|claims| is_for(claims, &issuer.url, client, now)) else { return Ok(None) };
    let Ok(id) = claims.grant_id.parse() else { return Ok(None) };
    let grant = issuer.store.grant(id).await.map_err(|error| {
        tracing::warn!(%error, "introspection could not ask the store");
        OAuthError::Unavailable
    })?;
    Ok(grant.filter(|grant| is_live(grant, &claims, now)).map(|grant| Good {
        active: true,
        iss: claims.issuer,
        sub: claims.subject,
        aud: claims.audience,
        exp: claims.expires_at,
        iat: claims.issued_at,
        jti: claims.token_id,
        client_id: client.id.clone(),
        username: grant.user_name,
        scim_id: claims.scim_id,
    }))
}

fn is_for(claims: &Claims, issuer: &str, client: &Client, now: DateTime<Utc>) -> bool {
    claims.issuer == issuer
        && claims.audience == client.audience
        && claims.not_before <= now.timestamp()
        && now.timestamp() < claims.expires_at
}

fn is_live(grant: &GrantRecord, claims: &Claims, now: DateTime<Utc>) -> bool {
    grant.phase == GrantPhase::Active && grant.user == claims.scim_id && now < grant.not_after
}
