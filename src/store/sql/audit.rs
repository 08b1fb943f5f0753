//! The audit log's rows, and apart from them the names of those whom they are about.

use super::{
    conn::{Conn, OptionalExtension as _, params},
    rows::{Id, Json, Time},
};
use crate::{audit, identity::ResourceId, store::StoreError};

/// Rows after `seq`, at most `limit`.
pub fn rows(conn: &Conn, after: i64, limit: usize) -> Result<Vec<audit::Row>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT seq, at, entry, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    Ok(select.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(audit::Row {
            seq: row.get(0)?,
            at: row.get::<Time>(1)?.0,
            entry: row.get::<Json<_>>(2)?.0,
            hash: row.get(3)?,
        })
    })?)
}

/// The `userName` of whom rows are about, as last known, unless it was erased.
pub fn name(conn: &Conn, user: ResourceId) -> Result<Option<String>, StoreError> {
    let mut select = conn.prepare_cached("SELECT name FROM audit_names WHERE user_id = ?1")?;
    Ok(select.query_row([Id::from(user)], |row| row.get(0)).optional()?)
}

/// Erases a name. The chain holds none, so it verifies as before.
pub fn erase_name(conn: &Conn, user: ResourceId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM audit_names WHERE user_id = ?1")?.execute([Id::from(user)])?;
    Ok(())
}
