//! Errors in OAuth's form (RFC 6749 §5.2).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum OAuthError {
    /// The request is none.
    InvalidRequest(String),
    /// No such client, or not its secret: one sentence for both.
    InvalidClient,
    /// We can't know; saying "active" or "inactive" would both be wrong.
    Unavailable,
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, "invalid_request", why),
            Self::InvalidClient => (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "expected HTTP Basic with the id and secret of a client of the configuration's issuer.clients".into(),
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the state of the token is not known at the moment: ask again".into(),
            ),
        };
        let body = Json(json!({"error": error, "error_description": description}));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static(r#"Basic realm="scim-tekton", charset="UTF-8""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}
