//! The index of users' addresses, by which `emails.value eq` is answered.

use std::collections::BTreeSet;

use super::{
    conn::{Conn, params},
    tx::Tx,
};
use crate::{
    identity::{self, Resource, ResourceKind, emails, fold},
    store::StoreError,
};

/// Characters of an address that the index holds. PostgreSQL takes no more than 2,700 bytes; no real address has more.
const KEPT: usize = 254;

/// Users that are read at a time: few in tests, so that they need few to see several such steps.
const CHUNK: i64 = if cfg!(test) { 2 } else { 1000 };

/// Users with an address, by IdP (1) and key (3), after a place (4), so many (5).
pub const HAVING: &str = "p.idp = ?1 AND p.kind = ?2 AND p.ordinal IN (SELECT user_id FROM emails
    WHERE idp = ?1 AND value_key = ?3 AND user_id > ?4 ORDER BY user_id LIMIT ?5) ORDER BY p.ordinal";

/// An address as it stands in the index.
pub fn key(address: &str) -> String {
    fold(address).chars().take(KEPT).collect()
}

/// A user's addresses were these and are those: `None` is nobody.
pub fn changed(
    tx: &Tx<'_>,
    idp: i64,
    user: i64,
    before: Option<&Resource>,
    after: Option<&Resource>,
) -> Result<(), StoreError> {
    let (before, after) = (keys(before), keys(after));
    let sql = "DELETE FROM emails WHERE idp = ?1 AND value_key = ?2 AND user_id = ?3";
    for key in before.difference(&after) {
        tx.prepare_cached(sql)?.execute(params![idp, key, user])?;
    }
    for key in after.difference(&before) {
        note(tx, idp, user, key)?;
    }
    Ok(())
}

/// Notes the addresses of users who were there before this index was.
pub fn prepare(writer: &mut Conn) -> Result<(), StoreError> {
    let noted: i64 = writer
        .prepare_cached("SELECT value FROM meta WHERE key = 'emails_noted'")?
        .query_row(params![], |row| row.get(0))?;
    if noted == 1 {
        return Ok(());
    }
    writer.begin()?;
    let filled = fill(writer).and_then(|()| Ok(writer.control("COMMIT")?));
    if filled.is_err() {
        // What has failed is told; the connection goes away with it.
        let _ = writer.control("ROLLBACK");
    }
    filled
}

fn fill(conn: &Conn) -> Result<(), StoreError> {
    let wanted = ["emails".to_owned()];
    let mut place = 0;
    loop {
        let mut select = conn.prepare_cached(
            "SELECT ordinal, idp, attributes FROM resources WHERE ordinal > ?1 AND kind = 'User' ORDER BY ordinal
             LIMIT ?2",
        )?;
        let users = select.query_map(params![place, CHUNK], |row| {
            Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<String>(2)?))
        })?;
        let Some((last, ..)) = users.last() else { break };
        place = *last;
        for (user, idp, body) in users {
            let body = identity::pick(&body, &wanted).map_err(|error| StoreError::Failed(error.to_string()))?;
            for key in emails(&body).map(key).collect::<BTreeSet<_>>() {
                note(conn, idp, user, &key)?;
            }
        }
    }
    conn.prepare_cached("UPDATE meta SET value = 1 WHERE key = 'emails_noted'")?.execute(params![])?;
    Ok(())
}

fn note(conn: &Conn, idp: i64, user: i64, key: &str) -> Result<(), StoreError> {
    conn.prepare_cached("INSERT INTO emails (idp, value_key, user_id) VALUES (?1, ?2, ?3)")?
        .execute(params![idp, key, user])?;
    Ok(())
}

fn keys(user: Option<&Resource>) -> BTreeSet<String> {
    let user = user.filter(|user| user.kind == ResourceKind::User);
    user.into_iter().flat_map(|user| emails(&user.attributes)).map(key).collect()
}
