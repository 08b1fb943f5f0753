//! Bodies: JSON of bounded size that arrives in bounded time.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, error::Category};

use super::{ScimState, error::Failure, tree::Tree};
use crate::identity::{ScimError, ScimType};

/// How long a body may take to arrive: a caller that sends a byte a second holds no memory of ours.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body. Handlers take it last, so that only who is authenticated is read.
#[derive(Debug)]
pub(super) struct Json(pub(super) Value);

impl FromRequest<ScimState> for Json {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &ScimState) -> Result<Self, Failure> {
        read(request, state.settings.limits.max_body).await.map(Self)
    }
}

/// Reads a request's body of at most so many bytes.
pub(super) async fn read(request: Request, most: usize) -> Result<Value, Failure> {
    check_type(request.headers())?;
    let bytes = tokio::time::timeout(READ_TIMEOUT, collect(request.into_body(), most)).await.map_err(|_| {
        let detail = format!("expected the body within {} seconds", READ_TIMEOUT.as_secs());
        Failure::status(StatusCode::REQUEST_TIMEOUT, detail)
    })??;
    let Tree(body) = serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = match error.classify() {
            Category::Data => format!("expected each name of an object once; {error}"),
            _ => format!("expected a body of JSON; it is none at line {line}, column {column}"),
        };
        ScimError::bad(ScimType::InvalidSyntax, detail)
    })?;
    Ok(body)
}

/// RFC 7644 §3.1, §8.1; Okta, Google and others send `application/json`, some nothing.
fn check_type(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(sent) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = sent.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if ["application/scim+json", "application/json"].iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let detail = "expected Content-Type application/scim+json or application/json";
    Err(Failure::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

async fn collect(body: Body, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Failure::status(StatusCode::BAD_REQUEST, "the body ended before its end"))?;
        if bytes.len() + chunk.len() > most {
            let detail = format!("expected a body of at most {most} bytes");
            return Err(Failure::status(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
