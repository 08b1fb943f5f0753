//! Who calls: a bearer token (RFC 6750 §2.1) names an IdP. Tokens in a URL or a body are not looked for.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};

use super::{
    IdpSettings, ScimState,
    error::Failure,
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
        caller(&parts.headers, state)
    }
}

/// The IdP that calls, and its right to run a Bulk: 429 while another one of it runs.
pub(super) fn bulk_caller(headers: &HeaderMap, state: &ScimState) -> Result<(Caller, Turn), Failure> {
    let (caller, allowance) = admitted(headers, state)?;
    let turn = allowance.bulk().ok_or_else(|| Failure::one_bulk(&caller.idp))?;
    Ok((caller, turn))
}

/// Who calls; 401 if nobody whom we know, 429 if they call too often.
pub(super) fn caller(headers: &HeaderMap, state: &ScimState) -> Result<Caller, Failure> {
    admitted(headers, state).map(|(caller, _)| caller)
}

fn admitted(headers: &HeaderMap, state: &ScimState) -> Result<(Caller, Arc<Allowance>), Failure> {
    let Some(header) = headers.get(header::AUTHORIZATION) else { return Err(Failure::unauthenticated(false)) };
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' ')));
    let Known { idp, allowance } = token
        .and_then(|token| state.tokens.check(token, (state.clock)()))
        .ok_or_else(|| Failure::unauthenticated(true))?;
    tracing::Span::current().record("idp", idp.as_str());
    let &IdpSettings { mode, requests_per_second, .. } = state.settings.of(&idp);
    allowance.rate.take(requests_per_second).map_err(|wait| Failure::too_many(&idp, requests_per_second, wait))?;
    Ok((Caller { idp, mode }, allowance))
}
