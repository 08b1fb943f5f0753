//! Identity providers: which there are, and that what they say is right again after a restore.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{ControlState, Refusal, wire::Confirmed};
use crate::{identity::IdpName, store::IdpRecord};

pub(super) async fn list(State(control): State<ControlState>) -> Result<Json<Vec<IdpRecord>>, Refusal> {
    Ok(Json(control.store.idps().await?))
}

pub(super) async fn confirm(
    State(control): State<ControlState>,
    Path(name): Path<String>,
) -> Result<Json<Confirmed>, Refusal> {
    let lifted = control.store.confirm_idp(&IdpName::from(name.as_str())).await?;
    Ok(Json(Confirmed { lifted }))
}
