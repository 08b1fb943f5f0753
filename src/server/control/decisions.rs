//! Recorded decisions, for `explain`.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{ControlState, Refusal, wire::DecisionView};

pub(super) async fn show(
    State(control): State<ControlState>,
    Path(id): Path<String>,
) -> Result<Json<DecisionView>, Refusal> {
    let record = control
        .store
        .decision(&id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("there is no decision {id:?}: see `scim-tekton audit tail`")))?;
    let directory = control.directory.load();
    let user_name = record.user.and_then(|id| directory.user(id)).map(|user| user.user_name.to_string());
    Ok(Json(DecisionView { record, user_name }))
}
