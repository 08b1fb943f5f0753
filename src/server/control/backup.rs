//! A copy of the store, while it is written to.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};

use super::{ControlState, Refusal, wire::BackupRequest};
use crate::store::AuditHead;

pub(super) async fn backup(
    State(control): State<ControlState>,
    request: Result<Json<BackupRequest>, JsonRejection>,
) -> Result<Json<AuditHead>, Refusal> {
    let Json(BackupRequest { file }) = request?;
    if !file.is_absolute() {
        return Err(Refusal::bad(format!("{}: expected an absolute path", file.display())));
    }
    Ok(Json(control.store.backup(&file).await?))
}
