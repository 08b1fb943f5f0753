//! Which store this is, and how far it has come: so that a server can tell the store that it ran on from an older copy.

use uuid::Uuid;

use super::{
    conn::{Conn, OptionalExtension as _, params},
    rows::Id,
};
use crate::{
    audit,
    store::{AuditHead, Standing, StoreError},
};

/// The last row of the audit log.
pub fn head(conn: &Conn) -> Result<AuditHead, StoreError> {
    let mut select = conn.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let last = select.query_row(params![], |row| Ok(AuditHead { seq: row.get(0)?, hash: row.get(1)? })).optional()?;
    Ok(last.unwrap_or_else(|| AuditHead { seq: 0, hash: audit::GENESIS.to_owned() }))
}

/// As a reader sees it: what it sees is durable.
pub fn of(conn: &Conn) -> Result<Standing, StoreError> {
    let (store, restored) = conn
        .prepare_cached("SELECT id, restored FROM identity")?
        .query_row(params![], |row| Ok((row.get::<Id>(0)?.0, row.get(1)?)))?;
    let epoch = conn
        .prepare_cached("SELECT value FROM meta WHERE key = 'entitlement_epoch'")?
        .query_row(params![], |row| row.get(0))?;
    Ok(Standing { store, head: head(conn)?, epoch, restored })
}

/// A server runs on it from now on: a copy made from here on is an older copy.
pub fn take(conn: &Conn) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE identity SET restored = 0")?.execute(params![])?;
    Ok(())
}

/// Another one from here on.
pub fn become_restored(conn: &Conn, id: Uuid) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE identity SET id = ?1, restored = 1")?.execute([Id(id)])?;
    Ok(())
}
