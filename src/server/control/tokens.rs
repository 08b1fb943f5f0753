//! SCIM bearer tokens: made here, shown once, kept as a hash.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};
use chrono::Duration;
use secrecy::ExposeSecret as _;

use super::{
    ControlState, Refusal,
    wire::{NewToken, TokenMade},
};
use crate::{scim::TOKEN_PREFIX, store::TokenRecord, ticket};

pub(super) async fn create(
    State(control): State<ControlState>,
    request: Result<Json<NewToken>, JsonRejection>,
) -> Result<Json<TokenMade>, Refusal> {
    let Json(request) = request?;
    let life = Duration::try_seconds(request.expires_in).filter(|life| *life > Duration::zero());
    let expires_at = life
        .and_then(|life| (control.clock)().checked_add_signed(life))
        .ok_or_else(|| Refusal::bad("a token's life must be more than 0s and end within the calendar"))?;
    let token = ticket::mint(TOKEN_PREFIX)?;
    let idp = request.idp.as_str().into();
    let record = control.store.create_token(&idp, ticket::hash_of(&token), Some(expires_at)).await?;
    control.effects.tokens_changed().await;
    Ok(Json(TokenMade { token: token.expose_secret().to_owned(), record }))
}

pub(super) async fn list(State(control): State<ControlState>) -> Result<Json<Vec<TokenRecord>>, Refusal> {
    Ok(Json(control.store.tokens().await?))
}

pub(super) async fn revoke(
    State(control): State<ControlState>,
    Path(id): Path<String>,
) -> Result<Json<TokenRecord>, Refusal> {
    let record = control.store.revoke_token(&id).await?;
    control.effects.tokens_changed().await;
    Ok(Json(record))
}
