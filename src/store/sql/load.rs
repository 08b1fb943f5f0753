//! All that the Directory needs. Rows are read in the order of their table, and each resource's memberships in the same
//! step: nothing is looked for.

use std::collections::HashMap;

use serde_json::Map;

use super::{
    conn::{Conn, SqlError, params},
    rows::{Id, Kind, Time},
    tx,
};
use crate::{
    directory::Part,
    identity::{self, IdpName, Resource, ResourceId, ResourceKind},
    store::{StoreError, TakeFn},
};

/// Resources that are read at a time.
const CHUNK: i64 = 1000;

/// What stands after a place, of whomever.
pub const AFTER: &str = "SELECT ordinal, id, kind, idp, external_id, attributes, version, created_at, modified_at
                         FROM resources WHERE ordinal > ?1 ORDER BY ordinal LIMIT ?2";

/// Memberships of those who stand after one place, up to another.
pub const MEMBERSHIPS: &str = "SELECT member_id, group_id FROM members WHERE member_id > ?1 AND member_id <= ?2
                               ORDER BY member_id, group_id";

/// Gives `take` what makes the Directory as this connection sees it, in chunks: a million resources need not stand in
/// memory twice. Of their attributes only those of these names are read.
pub fn feed(conn: &Conn, attributes: &[String], mut take: TakeFn) -> Result<(), StoreError> {
    let seq = tx::feed_seq(conn)?;
    let idps = idps(conn)?;
    take(seq, idps.values().map(|(name, confirmed)| Part::Idp(name.clone(), *confirmed)).collect());
    let names: HashMap<_, _> = idps.into_iter().map(|(idp, (name, _))| (idp, name)).collect();
    let mut groups = HashMap::new();
    for idp in names.keys() {
        add_groups(conn, *idp, &mut groups)?;
    }
    let mut place = 0;
    loop {
        let found = after(conn, place, &names, attributes)?;
        let Some(last) = found.last() else { return Ok(()) };
        let mut memberships = memberships(conn, place, last.0, &groups)?;
        place = last.0;
        let whole =
            |(ordinal, resource)| Part::Resource(Box::new(resource), memberships.remove(&ordinal).unwrap_or_default());
        take(seq, found.into_iter().map(whole).collect());
    }
}

fn idps(conn: &Conn) -> Result<HashMap<i64, (IdpName, bool)>, StoreError> {
    let mut select = conn.prepare_cached("SELECT id, name, unconfirmed_since IS NULL FROM idps")?;
    let idps = select.query_map(params![], |row| {
        let name: String = row.get(1)?;
        Ok((row.get(0)?, (IdpName::from(name.as_str()), row.get(2)?)))
    })?;
    Ok(idps.into_iter().collect())
}

/// Ids of an IdP's groups, by their places.
fn add_groups(conn: &Conn, idp: i64, groups: &mut HashMap<i64, ResourceId>) -> Result<(), StoreError> {
    let mut select = conn.prepare_cached("SELECT ordinal, id FROM resources WHERE idp = ?1 AND kind = ?2")?;
    let found = select
        .query_map(params![idp, Kind(ResourceKind::Group)], |row| Ok((row.get(0)?, ResourceId(row.get::<Id>(1)?.0))))?;
    groups.extend(found);
    Ok(())
}

fn after(
    conn: &Conn,
    place: i64,
    idps: &HashMap<i64, IdpName>,
    attributes: &[String],
) -> Result<Vec<(i64, Resource)>, StoreError> {
    let mut select = conn.prepare_cached(AFTER)?;
    let rows = select.query_map(params![place, CHUNK], |row| {
        let resource = Resource {
            id: ResourceId(row.get::<Id>(1)?.0),
            kind: row.get::<Kind>(2)?.0,
            idp: idps.get(&row.get(3)?).cloned().ok_or(SqlError::NoRow)?,
            external_id: row.get(4)?,
            attributes: Map::new(),
            version: row.get(6)?,
            created: row.get::<Time>(7)?.0,
            last_modified: row.get::<Time>(8)?.0,
        };
        Ok((row.get(0)?, resource, row.get::<String>(5)?))
    })?;
    let picked = rows.into_iter().map(|(place, mut resource, body)| {
        let picked = identity::pick(&body, attributes);
        resource.attributes = picked.map_err(|error| StoreError::Failed(format!("{}: {error}", resource.id)))?;
        Ok((place, resource))
    });
    picked.collect()
}

/// The groups of those who stand after one place, up to another.
fn memberships(
    conn: &Conn,
    after: i64,
    last: i64,
    groups: &HashMap<i64, ResourceId>,
) -> Result<HashMap<i64, Vec<ResourceId>>, StoreError> {
    let mut select = conn.prepare_cached(MEMBERSHIPS)?;
    let rows = select.query_map([after, last], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
    let mut memberships: HashMap<_, Vec<_>> = HashMap::new();
    for (member, group) in rows {
        memberships.entry(member).or_default().extend(groups.get(&group));
    }
    Ok(memberships)
}
