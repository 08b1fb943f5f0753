//! Identity providers, and whether their people are believed: not after a restore, until somebody confirms it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    conn::{Conn, params},
    resources,
    rows::Time,
    tx::Tx,
};
use crate::{
    audit::{self, Entry},
    directory::Change,
    identity::IdpName,
    store::{IdpRecord, StoreError},
};

/// All of them, by name.
pub fn all(conn: &Conn) -> Result<Vec<IdpRecord>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT name, created_at, users, groups, unconfirmed_since FROM idps ORDER BY name")?;
    Ok(select.query_map(params![], |row| {
        let name: String = row.get(0)?;
        Ok(IdpRecord {
            name: IdpName::from(name.as_str()),
            created_at: row.get::<Time>(1)?.0,
            users: row.get(2)?,
            groups: row.get(3)?,
            unconfirmed_since: row.get::<Option<Time>>(4)?.map(|time| time.0),
        })
    })?)
}

/// Its number; makes it, if it isn't there.
pub fn make(tx: &mut Tx<'_>, name: &IdpName) -> Result<i64, StoreError> {
    let made = tx
        .prepare_cached("INSERT INTO idps (name, created_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")?
        .execute(params![name.as_str(), Time(tx.now())])?;
    if made == 1 {
        tx.publish(&[Change::Idp(name.clone())])?;
    }
    resources::idp(tx, name)
}

/// Nobody's people are believed any more.
pub fn doubt_all(tx: &mut Tx<'_>, since: DateTime<Utc>) -> Result<Vec<IdpName>, StoreError> {
    tx.prepare_cached("UPDATE idps SET unconfirmed_since = ?1")?.execute([Time(since)])?;
    Ok(all(tx)?.into_iter().map(|idp| idp.name).collect())
}

/// What this one says of its people is right. `true` if that was in doubt.
pub fn confirm(tx: &mut Tx<'_>, name: &IdpName) -> Result<bool, StoreError> {
    let idp = resources::idp(tx, name)?;
    let lifted = tx
        .prepare_cached("UPDATE idps SET unconfirmed_since = NULL WHERE id = ?1 AND unconfirmed_since IS NOT NULL")?
        .execute(params![idp])?;
    if lifted == 0 {
        return Ok(false);
    }
    tx.publish(&[Change::Confirmed(name.clone(), true)])?;
    tx.audit(&Entry { detail: json!({ "idp": name }), ..Entry::new(audit::Kind::IdpConfirmed) })?;
    Ok(true)
}
