//! Lists. What an index can answer is looked up; other filters read page by page, so that memory doesn't grow with the
//! directory.

use super::{
    conn::{Conn, Params, ToColumn, params},
    emails, members,
    resources::{self, Stored},
    rows::{Id, Kind},
    sorted,
};
use crate::{
    identity::{Filter, IndexedAttribute, ResourceId, ResourceKind, fold},
    store::{ListQuery, Page, Start, StoreError},
};

/// Resources that are read at a time for a filter that no index answers.
const SCAN: usize = 500;

/// What stands after a place, in the order of creation.
pub const AFTER: &str = "p.idp = ?1 AND p.kind = ?2 AND p.ordinal > ?3 ORDER BY p.ordinal LIMIT ?4";

/// A page of resources.
pub fn list(conn: &Conn, query: &ListQuery) -> Result<Page, StoreError> {
    let Found { total, stored, next } = find(conn, query)?;
    let related = |one: &Stored| members::related(conn, query.kind, one.ordinal);
    let relations = if query.related { stored.iter().map(related).collect::<Result<_, _>>()? } else { Vec::new() };
    Ok(Page { total, resources: stored.into_iter().map(|one| one.resource).collect(), relations, next })
}

/// What stands on a page.
#[derive(Default)]
pub struct Found {
    pub total: Option<usize>,
    pub stored: Vec<Stored>,
    pub next: Option<i64>,
}

fn find(conn: &Conn, query: &ListQuery) -> Result<Found, StoreError> {
    let idp = resources::idp(conn, &query.idp)?;
    let mut taken = Taken { query, seen: 0, found: Found::default() };
    match (&query.start, &query.filter) {
        (Start::Sorted(sort, index), _) => return sorted::list(conn, idp, query, sort, *index),
        (_, None) => return unfiltered(conn, idp, query),
        // To count the rest would make each page cost the whole directory.
        (Start::After(place), Some(filter)) if filter.indexable(query.kind).is_none() => {
            matching(conn, idp, query, *place, |stored| {
                taken.look_at(stored);
                Ok(taken.found.next.is_none())
            })?;
        }
        (_, Some(_)) => {
            matching(conn, idp, query, 0, |stored| {
                taken.look_at(stored);
                Ok(true)
            })?;
            taken.found.total = Some(taken.seen);
        }
    }
    Ok(taken.found)
}

/// What matches, as it goes by in the order of creation.
struct Taken<'a> {
    query: &'a ListQuery,
    seen: usize,
    found: Found,
}

impl Taken<'_> {
    fn look_at(&mut self, stored: Stored) {
        self.seen += 1;
        let after = match self.query.start {
            Start::Index(index) | Start::Sorted(_, index) if self.seen < index => return,
            Start::After(place) if stored.ordinal <= place => return,
            Start::After(place) => Some(place),
            Start::Index(_) | Start::Sorted(..) => None,
        };
        if self.found.stored.len() < self.query.count {
            self.found.stored.push(stored);
        } else if let Some(place) = after {
            self.found.next = Some(self.found.stored.last().map_or(place, |last| last.ordinal));
        }
    }
}

/// Gives what the query's filter matches to `each` until it has enough, in the order of creation. An index's answer is
/// whole, whatever the place.
pub fn matching(
    conn: &Conn,
    idp: i64,
    query: &ListQuery,
    place: i64,
    mut each: impl FnMut(Stored) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let Some(filter) = &query.filter else { return scan(conn, idp, query.kind, place, each) };
    let Some((attribute, value)) = filter.indexable(query.kind) else {
        return scan(conn, idp, query.kind, place, |stored| {
            if matches(conn, filter, &stored)? { each(stored) } else { Ok(true) }
        });
    };
    let kind = query.kind;
    walk(
        0,
        |place| indexed(conn, idp, kind, attribute, value, place),
        |stored| {
            if matches(conn, filter, &stored)? { each(stored) } else { Ok(true) }
        },
    )
}

/// Whether a resource matches. Members are read only for a filter that looks at them, and only those that it names.
fn matches(conn: &Conn, filter: &Filter, stored: &Stored) -> Result<bool, StoreError> {
    let members = if stored.resource.kind == ResourceKind::Group && filter.needs_members() {
        match filter.named_members() {
            Some(named) => members::among(conn, stored.ordinal, named)?,
            None => members::ids(conn, stored.ordinal)?,
        }
    } else {
        Vec::new()
    };
    Ok(filter.matches(&stored.resource, &members))
}

fn unfiltered(conn: &Conn, idp: i64, query: &ListQuery) -> Result<Found, StoreError> {
    let total = Some(total(conn, idp, query.kind)?);
    let kind = Kind(query.kind);
    match query.start {
        Start::Index(index) | Start::Sorted(_, index) => {
            let filter = "p.idp = ?1 AND p.kind = ?2 ORDER BY p.ordinal LIMIT ?3 OFFSET ?4";
            let skip = whole(index.saturating_sub(1));
            let stored = select(conn, filter, params![idp, kind, whole(query.count), skip])?;
            Ok(Found { total, stored, next: None })
        }
        Start::After(place) => {
            // One more than asked for tells whether there is another page.
            let mut stored = after(conn, idp, query.kind, place, query.count.saturating_add(1))?;
            let more = stored.len() > query.count;
            stored.truncate(query.count);
            let next = more.then(|| stored.last().map_or(place, |last| last.ordinal));
            Ok(Found { total, stored, next })
        }
    }
}

pub fn total(conn: &Conn, idp: i64, kind: ResourceKind) -> Result<usize, StoreError> {
    let sql = match kind {
        ResourceKind::User => "SELECT users FROM idps WHERE id = ?1",
        ResourceKind::Group => "SELECT groups FROM idps WHERE id = ?1",
        ResourceKind::Agent => "SELECT agents FROM idps WHERE id = ?1",
    };
    let total: i64 = conn.prepare_cached(sql)?.query_row([idp], |row| row.get(0))?;
    Ok(usize::try_from(total).unwrap_or(0))
}

/// Resources that have a value: those after a place, `SCAN` at most, or the one, where a value is one's.
fn indexed(
    conn: &Conn,
    idp: i64,
    kind: ResourceKind,
    attribute: IndexedAttribute,
    value: &str,
    place: i64,
) -> Result<Vec<Stored>, StoreError> {
    let one = |filter, value: &dyn ToColumn| select(conn, filter, params![idp, Kind(kind), value]);
    let many = |filter, value: &dyn ToColumn| select(conn, filter, params![idp, Kind(kind), value, place, whole(SCAN)]);
    let id = || value.parse::<ResourceId>().ok().map(Id::from);
    match attribute {
        IndexedAttribute::Id => id().map_or(Ok(Vec::new()), |id| one("p.idp = ?1 AND p.kind = ?2 AND p.id = ?3", &id)),
        IndexedAttribute::ExternalId => one("p.idp = ?1 AND p.kind = ?2 AND p.external_id = ?3", &value),
        IndexedAttribute::UserName | IndexedAttribute::DisplayName | IndexedAttribute::AgentUserName => {
            one("p.idp = ?1 AND p.kind = ?2 AND p.name_key = ?3", &fold(value))
        }
        IndexedAttribute::Email => many(emails::HAVING, &emails::key(value)),
        IndexedAttribute::Member => id().map_or(Ok(Vec::new()), |id| many(members::HOLDING, &id)),
    }
}

/// Gives the resources of a kind that stand after a place to `each` until it has enough, `SCAN` in memory at a time.
pub fn scan(
    conn: &Conn,
    idp: i64,
    kind: ResourceKind,
    place: i64,
    each: impl FnMut(Stored) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    walk(place, |place| after(conn, idp, kind, place, SCAN), each)
}

/// Gives what `after` finds after a place, and after the last of that, and so on, to `each` until it has enough.
fn walk(
    mut place: i64,
    after: impl Fn(i64) -> Result<Vec<Stored>, StoreError>,
    mut each: impl FnMut(Stored) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    loop {
        let found = after(place)?;
        let Some(last) = found.last() else { return Ok(()) };
        let is_last = found.len() < SCAN;
        place = last.ordinal;
        for stored in found {
            if !each(stored)? {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

fn after(conn: &Conn, idp: i64, kind: ResourceKind, place: i64, count: usize) -> Result<Vec<Stored>, StoreError> {
    select(conn, AFTER, params![idp, Kind(kind), place, whole(count)])
}

pub fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub fn select(conn: &Conn, filter: &str, params: impl Params) -> Result<Vec<Stored>, StoreError> {
    let mut select = conn.prepare_cached(&selection(filter))?;
    Ok(select.query_map(params, resources::read)?)
}

/// The statement that selects resources.
pub fn selection(filter: &str) -> String {
    format!("SELECT {} FROM resources p JOIN idps i ON i.id = p.idp WHERE {filter}", resources::COLUMNS)
}
