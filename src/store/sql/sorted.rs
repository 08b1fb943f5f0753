//! Lists in another order than that of creation. By the name, the index has it; else all that match are looked at one
//! after the other, and what is kept of them is where they stand, up to the end of the page.

use std::collections::BTreeSet;

use super::{
    conn::{Conn, params},
    query::{Found, matching, select, total, whole},
    rows::Kind,
};
use crate::{
    identity::Sort,
    store::{ListQuery, StoreError},
};

/// Last match with which a page may begin in an order that no index has: as many places are kept meanwhile.
const MAX_INDEX: usize = 10_000;

/// What stands on a page from the n-th match on.
pub fn list(conn: &Conn, idp: i64, query: &ListQuery, sort: &Sort, index: usize) -> Result<Found, StoreError> {
    let skip = index.saturating_sub(1);
    if query.filter.is_none() && sort.is_by_name(query.kind) {
        let stored = select(
            conn,
            &by_name(sort.is_descending()),
            params![idp, Kind(query.kind), whole(query.count), whole(skip)],
        )?;
        let total = total(conn, idp, query.kind)?;
        return Ok(Found { total: Some(total), stored, next: None });
    }
    if index > MAX_INDEX {
        let detail = format!(
            "expected a startIndex of at most {MAX_INDEX} in an order that no index has: filter, or list without sortBy"
        );
        return Err(StoreError::Limit(detail));
    }
    let (end, mut seen, mut best) = (skip.saturating_add(query.count), 0, BTreeSet::new());
    matching(conn, idp, query, 0, |stored| {
        seen += 1;
        best.insert((sort.place(&stored.resource), stored.ordinal));
        if best.len() > end {
            best.pop_last();
        }
        Ok(true)
    })?;
    let mut stored = Vec::new();
    for (_, ordinal) in best.into_iter().skip(skip) {
        stored.extend(select(conn, "p.ordinal = ?1", [ordinal])?);
    }
    Ok(Found { total: Some(seen), stored, next: None })
}

/// A page in the order of names.
pub fn by_name(descending: bool) -> String {
    let order = if descending { "DESC" } else { "ASC" };
    format!("p.idp = ?1 AND p.kind = ?2 ORDER BY p.name_key {order} LIMIT ?3 OFFSET ?4")
}
