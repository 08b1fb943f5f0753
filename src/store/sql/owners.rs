//! Owners of Agents. The attribute is what an IdP sees; the rows are the same, to be found from either end.

use super::{
    conn::{Conn, OptionalExtension as _, ToColumn, params},
    query::select,
    resources::Stored,
    rows::{Id, Kind},
    tx::Tx,
};
use crate::{
    identity::{Resource, ResourceId, ResourceKind},
    store::StoreError,
};

/// Makes the rows of an Agent what its attribute says. An owner is a User of the same IdP, active or not.
pub fn set(tx: &Tx<'_>, idp: i64, ordinal: i64, agent: &Resource) -> Result<(), StoreError> {
    forget(tx, ordinal)?;
    let mut find = tx.prepare_cached("SELECT ordinal FROM resources WHERE id = ?1 AND idp = ?2 AND kind = ?3")?;
    let mut insert = tx.prepare_cached("INSERT INTO owners (agent_id, owner_id) VALUES (?1, ?2)")?;
    for owner in agent.owners() {
        let found = find.query_row(params![Id::from(owner), idp, Kind(ResourceKind::User)], |row| row.get(0));
        let found: i64 = found.optional()?.ok_or_else(|| StoreError::UnknownOwner(owner.to_string()))?;
        insert.execute([ordinal, found])?;
    }
    Ok(())
}

/// An Agent has no owners any more, and a User owns nothing.
pub fn forget(tx: &Tx<'_>, ordinal: i64) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM owners WHERE agent_id = ?1")?.execute([ordinal])?;
    tx.prepare_cached("DELETE FROM owners WHERE owner_id = ?1")?.execute([ordinal])?;
    Ok(())
}

/// The Agents that a User owns.
pub fn owned(conn: &Conn, owner: i64) -> Result<Vec<Stored>, StoreError> {
    select(conn, "p.ordinal IN (SELECT agent_id FROM owners WHERE owner_id = ?1) ORDER BY p.ordinal", [owner])
}

/// Ids of the Agents that a User owns.
pub fn agents_of(conn: &Conn, owner: ResourceId) -> Result<Vec<ResourceId>, StoreError> {
    ids(
        conn,
        "SELECT a.id FROM resources u JOIN owners o ON o.owner_id = u.ordinal JOIN resources a ON a.ordinal = o.agent_id
         WHERE u.id = ?1 ORDER BY a.ordinal",
        Id::from(owner),
    )
}

/// Ids of an Agent's owners that are active.
pub fn active(conn: &Conn, agent: i64) -> Result<Vec<ResourceId>, StoreError> {
    ids(
        conn,
        "SELECT u.id FROM owners o JOIN resources u ON u.ordinal = o.owner_id WHERE o.agent_id = ?1 AND u.active = 1
         ORDER BY u.ordinal",
        agent,
    )
}

fn ids(conn: &Conn, sql: &str, of: impl ToColumn) -> Result<Vec<ResourceId>, StoreError> {
    let mut select = conn.prepare_cached(sql)?;
    Ok(select.query_map([of], |row| Ok(ResourceId(row.get::<Id>(0)?.0)))?)
}
