//! Who calls: a bearer token (RFC 6750 §2.1) names an IdP, or one of its people. Tokens in a URL or a body are not
//! looked for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};

use super::{
    IdpSettings, ScimState,
    error::Failure,
    jwt::{Denied, Refusal, Role},
    rate::{Allowance, Turn},
    tokens::Known,
};
use crate::identity::{IdpName, Mode};

/// The IdP that calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) idp: IdpName,
    pub(super) mode: Mode,
}

impl FromRequestParts<ScimState> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &ScimState) -> Result<Self, Failure> {
        caller(&parts.headers, state).await
    }
}

/// The IdP that calls, and its right to run a Bulk: 429 while another one of it runs.
pub(super) async fn bulk_caller(headers: &HeaderMap, state: &ScimState) -> Result<(Caller, Turn), Failure> {
    let (caller, allowance) = admitted(headers, state).await?;
    let turn = allowance.bulk().ok_or_else(|| Failure::one_bulk(&caller.idp))?;
    Ok((caller, turn))
}

/// Who calls; 401 if nobody whom we know, 403 if a person, 429 if they call too often.
pub(super) async fn caller(headers: &HeaderMap, state: &ScimState) -> Result<Caller, Failure> {
    admitted(headers, state).await.map(|(caller, _)| caller)
}

async fn admitted(headers: &HeaderMap, state: &ScimState) -> Result<(Caller, Arc<Allowance>), Failure> {
    match bearer(headers, state).await? {
        (caller, allowance, Role::Provisions) => Ok((caller, allowance)),
        (_, _, Role::Person { .. }) => Err(Failure::only_me()),
    }
}

/// Whose token it is, and whom of theirs it stands for.
pub(super) async fn bearer(headers: &HeaderMap, state: &ScimState) -> Result<(Caller, Arc<Allowance>, Role), Failure> {
    let Some(header) = headers.get(header::AUTHORIZATION) else { return Err(Failure::unauthenticated(false)) };
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' ')))
        .ok_or_else(|| Failure::unauthenticated(true))?;
    let now = (state.clock)();
    let (Known { idp, allowance }, role) = match state.tokens.check(token, now) {
        Some(known) => (known, Role::Provisions),
        // In a box of its own, so that who has a token of ours doesn't carry its room along.
        None => Box::pin(state.trusts.check(token, now)).await.map_err(denied)?,
    };
    tracing::Span::current().record("idp", idp.as_str());
    let &IdpSettings { mode, requests_per_second, .. } = state.settings.of(&idp);
    allowance.rate.take(requests_per_second).map_err(|wait| Failure::too_many(&idp, requests_per_second, wait))?;
    Ok((Caller { idp, mode }, allowance, role))
}

/// The log tells what the answer doesn't: who guesses learns nothing, who sets up does. The token is in neither.
fn denied(denied: Denied) -> Failure {
    match denied {
        Denied::Refused(Refusal::Malformed) => Failure::unauthenticated(true),
        Denied::Refused(why) => {
            tracing::info!(%why, "a JWT is refused");
            Failure::unauthenticated(true)
        }
        Denied::NoKeys(idp, wait) => Failure::no_keys(&idp, wait),
    }
}
