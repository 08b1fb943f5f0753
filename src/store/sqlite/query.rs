//! Lists. What an index can answer is looked up; other filters read page by page, so that memory doesn't grow with the
//! directory.

use rusqlite::{Connection, params};

use super::{
    members,
    resources::{self, Stored},
    rows::{Id, Kind},
};
use crate::{
    identity::{Filter, IndexedAttribute, ResourceId, ResourceKind, fold},
    store::{ListQuery, Page, StoreError},
};

/// Resources that are read at a time for a filter that no index answers.
const SCAN: usize = 500;

/// A page of resources in the order of their creation.
pub fn list(conn: &Connection, query: &ListQuery) -> Result<Page, StoreError> {
    let idp = resources::idp(conn, &query.idp)?;
    let skip = query.start_index.saturating_sub(1);
    let Some(filter) = &query.filter else { return unfiltered(conn, idp, query, skip) };
    let mut taken = Taken { filter, skip, count: query.count, page: Page::default() };
    match filter.indexable(query.kind) {
        Some((attribute, value)) => {
            for stored in indexed(conn, idp, query.kind, attribute, value)? {
                taken.look_at(conn, stored)?;
            }
        }
        None => scan(conn, idp, query.kind, |stored| taken.look_at(conn, stored))?,
    }
    Ok(taken.page)
}

struct Taken<'a> {
    filter: &'a Filter,
    skip: usize,
    count: usize,
    page: Page,
}

impl Taken<'_> {
    fn look_at(&mut self, conn: &Connection, stored: Stored) -> Result<(), StoreError> {
        let members = if stored.resource.kind == ResourceKind::Group && self.filter.needs_members() {
            members::ids(conn, stored.ordinal)?
        } else {
            Vec::new()
        };
        if self.filter.matches(&stored.resource, &members) {
            self.page.total += 1;
            if self.page.total > self.skip && self.page.resources.len() < self.count {
                self.page.resources.push(stored.resource);
            }
        }
        Ok(())
    }
}

fn unfiltered(conn: &Connection, idp: i64, query: &ListQuery, skip: usize) -> Result<Page, StoreError> {
    let counts = conn.prepare_cached("SELECT users, groups FROM idps WHERE id = ?1")?.query_row([idp], |row| {
        Ok(match query.kind {
            ResourceKind::User => row.get::<_, i64>(0)?,
            ResourceKind::Group => row.get::<_, i64>(1)?,
        })
    })?;
    let (count, skip) = (i64::try_from(query.count).unwrap_or(i64::MAX), i64::try_from(skip).unwrap_or(i64::MAX));
    let found = select(
        conn,
        "p.idp = ?1 AND p.kind = ?2 ORDER BY p.ordinal LIMIT ?3 OFFSET ?4",
        params![idp, Kind(query.kind), count, skip],
    )?;
    let resources = found.into_iter().map(|stored| stored.resource).collect();
    Ok(Page { total: usize::try_from(counts).unwrap_or(0), resources })
}

fn indexed(
    conn: &Connection,
    idp: i64,
    kind: ResourceKind,
    attribute: IndexedAttribute,
    value: &str,
) -> Result<Vec<Stored>, StoreError> {
    match attribute {
        IndexedAttribute::Id => match value.parse::<ResourceId>() {
            Ok(id) => select(conn, "p.idp = ?1 AND p.kind = ?2 AND p.id = ?3", params![idp, Kind(kind), Id::from(id)]),
            Err(_) => Ok(Vec::new()),
        },
        IndexedAttribute::ExternalId => {
            select(conn, "p.idp = ?1 AND p.kind = ?2 AND p.external_id = ?3", params![idp, Kind(kind), value])
        }
        IndexedAttribute::UserName | IndexedAttribute::DisplayName => {
            select(conn, "p.idp = ?1 AND p.kind = ?2 AND p.name_key = ?3", params![idp, Kind(kind), fold(value)])
        }
    }
}

/// Gives all resources of a kind to `each`, `SCAN` in memory at a time.
pub fn scan(
    conn: &Connection,
    idp: i64,
    kind: ResourceKind,
    mut each: impl FnMut(Stored) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = 0_i64;
    loop {
        let filter = "p.idp = ?1 AND p.kind = ?2 AND p.ordinal > ?3 ORDER BY p.ordinal LIMIT ?4";
        let limit = i64::try_from(SCAN).unwrap_or(i64::MAX);
        let found = select(conn, filter, params![idp, Kind(kind), after, limit])?;
        let Some(last) = found.last() else { return Ok(()) };
        after = last.ordinal;
        for stored in found {
            each(stored)?;
        }
    }
}

fn select(conn: &Connection, filter: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, StoreError> {
    let columns = resources::COLUMNS;
    let sql = format!("SELECT {columns} FROM resources p JOIN idps i ON i.id = p.idp WHERE {filter}");
    let mut select = conn.prepare_cached(&sql)?;
    let found = select.query_map(params, resources::read)?;
    Ok(found.collect::<Result<_, _>>()?)
}
