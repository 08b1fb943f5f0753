//! Pages of the audit log.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};

use super::{
    ControlState, Refusal,
    wire::{AuditPage, AuditQuery},
};
use crate::{
    identity::ResourceId,
    store::{Store, StoreError},
};

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
    let mut people = BTreeMap::new();
    for id in rows.iter().filter_map(|row| row.entry.user).collect::<BTreeSet<_>>() {
        if let Some(name) = name(&control, id).await? {
            people.insert(id, name);
        }
    }
    Ok(Json(AuditPage { rows, people }))
}

/// What a person is called, or was: unless that was erased.
pub(super) async fn name(control: &ControlState, id: ResourceId) -> Result<Option<String>, StoreError> {
    let known = control.directory.load().user(id).map(|user| user.user_name.to_string());
    match known {
        Some(name) => Ok(Some(name)),
        None => control.store.audit_name(id).await,
    }
}

/// Number of the newest row. The store answers "is there a row after N"; rows are numbered without gaps, so doubling
/// and halving finds the last one in some forty short reads.
pub(super) async fn newest(store: &dyn Store) -> Result<i64, StoreError> {
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
