//! All that the Directory needs, in the order in which it can be applied.

use super::{
    conn::{Conn, params},
    members, query, tx,
};
use crate::{
    directory::Change,
    identity::{IdpName, ResourceKind},
    store::{StoreError, TakeFn},
};

/// Changes that are handed over at a time.
const CHUNK: usize = 1000;

/// Gives `take` the changes that build the Directory as this connection sees it, in chunks: a million resources need
/// not stand in memory twice.
pub fn feed(conn: &Conn, mut take: TakeFn) -> Result<(), StoreError> {
    let seq = tx::feed_seq(conn)?;
    let mut select = conn.prepare_cached("SELECT id, name, unconfirmed_since IS NULL FROM idps ORDER BY id")?;
    let idps: Vec<(i64, String, bool)> =
        select.query_map(params![], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut chunk = Vec::new();
    for (_, name, confirmed) in &idps {
        let idp = IdpName::from(name.as_str());
        chunk.push(Change::Idp(idp.clone()));
        if !confirmed {
            chunk.push(Change::Confirmed(idp, false));
        }
    }
    let mut push = |change, chunk: &mut Vec<Change>| {
        chunk.push(change);
        if chunk.len() >= CHUNK {
            take(seq, std::mem::take(chunk));
        }
    };
    for (idp, ..) in &idps {
        for kind in [ResourceKind::User, ResourceKind::Agent] {
            query::scan(conn, *idp, kind, 0, |stored| {
                push(Change::Put(Box::new(stored.resource)), &mut chunk);
                Ok(true)
            })?;
        }
        query::scan(conn, *idp, ResourceKind::Group, 0, |stored| {
            let (group, added) = (stored.resource.id, members::ids(conn, stored.ordinal)?);
            push(Change::Put(Box::new(stored.resource)), &mut chunk);
            if !added.is_empty() {
                push(Change::Members { group, added, removed: Vec::new() }, &mut chunk);
            }
            Ok(true)
        })?;
    }
    take(seq, chunk);
    Ok(())
}
