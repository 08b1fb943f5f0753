//! Errors as RFC 7644 §3.12 wants them, for everything below `/scim/v2`.

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use super::answer;
use crate::{
    identity::{IdpName, ScimError, ScimType},
    store::StoreError,
};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Failure {
    error: ScimError,
    header: Option<(HeaderName, HeaderValue)>,
}

/// The sentence of an error, for the log: left in the response's extensions.
#[derive(Clone, Debug)]
pub(super) struct Refusal(pub(super) Cow<'static, str>);

impl Failure {
    /// Of any status.
    pub(super) fn status(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        ScimError { status: status.as_u16(), scim_type: None, detail: detail.into() }.into()
    }

    /// 401. One sentence for missing, unknown, expired and revoked: the difference would help only someone who guesses.
    pub(super) fn unauthenticated(presented: bool) -> Self {
        let challenge = if presented {
            "Bearer realm=\"scim-tekton\", error=\"invalid_token\""
        } else {
            "Bearer realm=\"scim-tekton\""
        };
        let detail = "expected the header Authorization: Bearer with a live token of this server".into();
        let header = Some((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        Self { error: ScimError { status: 401, scim_type: None, detail }, header }
    }

    /// 429 (RFC 6585 §4): Entra and others wait as long as `Retry-After` says.
    pub(super) fn too_many(idp: &IdpName, per_second: u32, wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("expected at most {per_second} requests a second from {idp}; try again after {seconds} s");
        Self::wait(seconds, detail)
    }

    /// 429 for a Bulk while another one runs.
    pub(super) fn one_bulk(idp: &IdpName) -> Self {
        Self::wait(1, format!("expected one Bulk request at a time from {idp}; try again after 1 s"))
    }

    fn wait(seconds: u64, detail: String) -> Self {
        Self::status(StatusCode::TOO_MANY_REQUESTS, detail).after(seconds)
    }

    fn after(self, seconds: u64) -> Self {
        Self { header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))), ..self }
    }

    /// 503: a token that may be good, by a key that can't be had now. A 401 would make an IdP give its token up.
    pub(super) fn no_keys(idp: &IdpName, wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail =
            format!("the key that signed this token is not to be had from {idp}'s issuer; try again after {seconds} s");
        Self::status(StatusCode::SERVICE_UNAVAILABLE, detail).after(seconds)
    }

    /// 403 (RFC 6750 §3.1): a person is no identity provider.
    pub(super) fn only_me() -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"scim-tekton\", error=\"insufficient_scope\"");
        let detail = "expected a token of an identity provider: a person's token may GET /Me, and nothing else";
        Self { header: Some((header::WWW_AUTHENTICATE, challenge)), ..Self::status(StatusCode::FORBIDDEN, detail) }
    }

    /// 404 for an id that is unknown, another IdP's, or none: all the same to a caller.
    pub(super) fn not_found(kind: &str) -> Self {
        Self::status(StatusCode::NOT_FOUND, format!("no such {kind}"))
    }

    /// Its HTTP status.
    pub(super) fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Its sentence.
    pub(super) fn detail(&self) -> &str {
        &self.error.detail
    }

    /// As the protocol writes it.
    pub(super) fn json(&self) -> Value {
        let mut json = Map::new();
        json.insert("schemas".into(), [ERROR].as_slice().into());
        json.insert("status".into(), self.code().as_u16().to_string().into());
        if let Some(scim_type) = self.error.scim_type {
            json.insert("scimType".into(), scim_type.as_str().into());
        }
        json.insert("detail".into(), self.detail().into());
        Value::Object(json)
    }
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self { error, header: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Edit(error) => error.into(),
            StoreError::Uniqueness { .. } => {
                ScimError { status: 409, scim_type: Some(ScimType::Uniqueness), detail: error.to_string().into() }
                    .into()
            }
            StoreError::NotFound(_) => Self::status(StatusCode::NOT_FOUND, "no such resource"),
            StoreError::UnknownMember(_) | StoreError::UnknownOwner(_) => {
                ScimError::bad(ScimType::InvalidValue, error.to_string()).into()
            }
            StoreError::Limit(detail) => ScimError::bad(ScimType::TooMany, detail).into(),
            StoreError::Failed(cause) => {
                tracing::error!(cause, "the store failed under a SCIM request");
                Self::status(StatusCode::INTERNAL_SERVER_ERROR, "the store failed; try again")
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = answer::json(self.code(), &self.json());
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Refusal(self.error.detail));
        response
    }
}

/// Any path below `/scim/v2` that is no endpoint.
pub(super) async fn no_endpoint() -> Failure {
    Failure::status(StatusCode::NOT_FOUND, "no such endpoint: expected Users, Groups or a discovery endpoint")
}

/// A method that an endpoint doesn't have.
pub(super) async fn method_not_allowed() -> Failure {
    Failure::status(StatusCode::METHOD_NOT_ALLOWED, "this endpoint does not have this method; see the header Allow")
}

/// `/Me` for who is nobody: an identity provider (RFC 7644 §3.11 has 501 for that).
pub(super) fn no_me() -> Failure {
    Failure::status(
        StatusCode::NOT_IMPLEMENTED,
        "expected a person's own token: an identity provider is none of its Users",
    )
}

/// What RFC 7644 has and we don't.
pub(super) fn not_implemented() -> Failure {
    Failure::status(StatusCode::NOT_IMPLEMENTED, "this server does not have this endpoint; see ServiceProviderConfig")
}
