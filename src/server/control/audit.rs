//! Pages of the audit log.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};

use super::{
    ControlState, Refusal,
    wire::{AuditPage, AuditQuery},
};
use crate::store::{Store, StoreError};

/// Rows of one answer at most.
const PAGE: usize = 1000;

pub(super) async fn page(
    State(control): State<ControlState>,
    asked: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<AuditPage>, Refusal> {
    let Query(query) = asked?;
    let limit = query.limit.unwrap_or(PAGE).min(PAGE);
    let after = match query.last {
        Some(last) => (newest(&*control.store).await? - last.max(0)).max(0),
        None => query.after.unwrap_or(0).max(0),
    };
    let rows = control.store.audit_rows(after, limit).await?;
    let directory = control.directory.load();
    let people = rows
        .iter()
        .filter_map(|row| directory.user(row.entry.user?))
        .map(|user| (user.id, user.user_name.to_string()))
        .collect();
    Ok(Json(AuditPage { rows, people }))
}

/// Number of the newest row. The store answers "is there a row after N"; rows are numbered without gaps, so doubling
/// and halving finds the last one in some forty short reads.
async fn newest(store: &dyn Store) -> Result<i64, StoreError> {
    let (mut low, mut step) = (0_i64, 1_i64);
    while let Some(beyond) = low.checked_add(step) {
        if store.audit_rows(beyond - 1, 1).await?.is_empty() {
            break;
        }
        low = beyond;
        step = step.saturating_mul(2);
    }
    // Row `low` exists (or is 0), row `low + step` does not.
    let mut high = low.saturating_add(step);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if store.audit_rows(middle - 1, 1).await?.is_empty() {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(low)
}
