//! Recorded decisions, for `explain`.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{ControlState, Refusal, audit, wire::DecisionView};

pub(super) async fn show(
    State(control): State<ControlState>,
    Path(id): Path<String>,
) -> Result<Json<DecisionView>, Refusal> {
    let record = control
        .store
        .decision(&id)
        .await?
        .ok_or_else(|| Refusal::not_found(format!("there is no decision {id:?}: see `scim-tekton audit tail`")))?;
    let user_name = match record.user {
        Some(id) => audit::name(&control, id).await?,
        None => None,
    };
    Ok(Json(DecisionView { record, user_name }))
}
