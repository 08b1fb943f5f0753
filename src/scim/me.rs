//! `/Me` (RFC 7644 §3.11): the User whom a person's own token is about, to be read and no more: the identity provider
//! says who its people are. A person who is inactive has no live token, whatever the token's own end says.

use axum::{
    extract::{FromRequestParts, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, request::Parts};

use super::{
    ScimState,
    auth::{self, Caller},
    error::{self, Failure},
    find::find,
    jwt::Role,
    params::Params,
    read,
};
use crate::identity::{IdpName, ResourceKind};

/// A person who calls in their own name.
pub(super) struct Person {
    idp: IdpName,
    attribute: &'static str,
    value: String,
}

impl FromRequestParts<ScimState> for Person {
    type Rejection = Failure;

    /// An identity provider is nobody: to it, and where nobody's people have tokens, there is no such endpoint.
    async fn from_request_parts(parts: &mut Parts, state: &ScimState) -> Result<Self, Failure> {
        if !state.trusts.know_people() {
            return Err(error::not_implemented());
        }
        let (Caller { idp, .. }, _, role) = auth::bearer(&parts.headers, state).await?;
        match role {
            Role::Person { attribute, value } => Ok(Self { idp, attribute, value }),
            Role::Provisions => Err(error::no_me()),
        }
    }
}

/// As a GET of its permanent address, which `Location` and `meta.location` tell.
pub(super) async fn me(
    State(state): State<ScimState>,
    person: Person,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Person { idp, attribute, value } = person;
    let found = find(&state, &idp, ResourceKind::User, attribute, &value).await?;
    let user = found.ok_or_else(|| Failure::not_found(ResourceKind::User.as_str()))?;
    if !user.active() {
        return Err(Failure::unauthenticated(true));
    }
    read::shown(&state, user, &params, &headers).await
}

/// Anything but reading.
pub(super) async fn refuse(_: Person) -> Failure {
    Failure::status(StatusCode::FORBIDDEN, "expected GET: a person's account is changed at their identity provider")
}
