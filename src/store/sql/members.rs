//! Memberships. Deltas cost what they name, not what the group holds: a group of 100,000 is changed like one of 10.

use std::collections::{BTreeMap, HashMap};

use super::{
    conn::{Conn, OptionalExtension as _, params},
    rows::{Id, Kind, Time},
    tx::Tx,
};
use crate::{
    identity::{MemberOp, Relation, ResourceId, ResourceKind},
    store::StoreError,
};

/// Groups of an IdP (1) and kind (2) that hold someone (3) directly, after a place (4), so many (5).
pub const HOLDING: &str = "p.idp = ?1 AND p.kind = ?2 AND p.ordinal IN (SELECT m.group_id FROM resources u
    CROSS JOIN members m ON m.member_id = u.ordinal WHERE u.id = ?3 AND m.group_id > ?4 ORDER BY m.group_id LIMIT ?5)
    ORDER BY p.ordinal";

/// A member, as a change speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    pub ordinal: i64,
    pub id: ResourceId,
    pub kind: ResourceKind,
}

/// What a list of operations came to in the end.
#[derive(Debug, Default)]
pub struct Delta {
    pub added: Vec<Member>,
    pub removed: Vec<Member>,
}

impl Delta {
    /// Whether all is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

struct Slot {
    member: Member,
    was: bool,
    is: bool,
}

/// The members that the operations have touched so far, before and after.
struct Plan<'a> {
    conn: &'a Conn,
    idp: i64,
    group: i64,
    slots: BTreeMap<i64, Slot>,
    known: HashMap<ResourceId, i64>,
    /// How many to add were nobody here; `None`: that is an error.
    skipped: Option<usize>,
}

/// Applies operations to a group in their order, and says what changed.
pub fn apply(
    tx: &Tx<'_>,
    idp: i64,
    group: i64,
    operations: &[MemberOp],
    skip_unknown: bool,
) -> Result<Delta, StoreError> {
    let skipped = skip_unknown.then_some(0);
    let mut plan = Plan { conn: tx, idp, group, slots: BTreeMap::new(), known: HashMap::new(), skipped };
    for operation in operations {
        match operation {
            MemberOp::Add(ids) => plan.set(ids, true)?,
            MemberOp::Remove(ids) => plan.set(ids, false)?,
            MemberOp::Replace(ids) => {
                plan.touch_all()?;
                plan.slots.values_mut().for_each(|slot| slot.is = false);
                plan.set(ids, true)?;
            }
        }
    }
    if let Some(skipped @ 1..) = plan.skipped {
        tracing::warn!(group, skipped, "members that are nobody of this identity provider were left out");
    }
    let mut delta = Delta::default();
    for slot in plan.slots.into_values() {
        match (slot.was, slot.is) {
            (false, true) => delta.added.push(slot.member),
            (true, false) => delta.removed.push(slot.member),
            _ => {}
        }
    }
    let mut remove = tx.prepare_cached("DELETE FROM members WHERE group_id = ?1 AND member_id = ?2")?;
    for member in &delta.removed {
        remove.execute([group, member.ordinal])?;
    }
    let mut add = tx.prepare_cached("INSERT INTO members (group_id, member_id, nested) VALUES (?1, ?2, ?3)")?;
    for member in &delta.added {
        add.execute(params![group, member.ordinal, member.kind == ResourceKind::Group])?;
    }
    Ok(delta)
}

impl Plan<'_> {
    fn set(&mut self, ids: &[ResourceId], is: bool) -> Result<(), StoreError> {
        for id in ids {
            match self.ordinal(*id)? {
                Some(ordinal) => {
                    if let Some(slot) = self.slots.get_mut(&ordinal) {
                        slot.is = is;
                    }
                }
                None if is => match &mut self.skipped {
                    Some(skipped) => *skipped += 1,
                    None if *id == ResourceId::NOBODY => return Err(StoreError::UnknownMember("(no id)".into())),
                    None => return Err(StoreError::UnknownMember(id.to_string())),
                },
                // Nobody here: not a member either.
                None => {}
            }
        }
        Ok(())
    }

    /// A resource of this IdP, with its slot filled.
    fn ordinal(&mut self, id: ResourceId) -> Result<Option<i64>, StoreError> {
        if let Some(ordinal) = self.known.get(&id) {
            return Ok(Some(*ordinal));
        }
        let found = self
            .conn
            .prepare_cached(
                "SELECT p.ordinal, p.kind, EXISTS (SELECT 1 FROM members WHERE group_id = ?3 AND member_id = p.ordinal)
                 FROM resources p WHERE p.id = ?1 AND p.idp = ?2",
            )?
            .query_row(params![Id::from(id), self.idp, self.group], |row| {
                Ok((row.get(0)?, row.get::<Kind>(1)?.0, row.get(2)?))
            })
            .optional()?;
        Ok(found.map(|(ordinal, kind, was)| {
            self.fill(Member { ordinal, id, kind }, was);
            ordinal
        }))
    }

    fn touch_all(&mut self) -> Result<(), StoreError> {
        let mut select = self.conn.prepare_cached(
            "SELECT p.ordinal, p.id, p.kind FROM members m JOIN resources p ON p.ordinal = m.member_id
             WHERE m.group_id = ?1",
        )?;
        let members = select.query_map([self.group], |row| {
            let (ordinal, id) = (row.get(0)?, ResourceId(row.get::<Id>(1)?.0));
            Ok(Member { ordinal, id, kind: row.get::<Kind>(2)?.0 })
        })?;
        for member in members {
            self.fill(member, true);
        }
        Ok(())
    }

    fn fill(&mut self, member: Member, was: bool) {
        self.known.insert(member.id, member.ordinal);
        self.slots.entry(member.ordinal).or_insert(Slot { member, was, is: was });
    }
}

/// Takes whoever goes out of all groups that held them. Each of these has another version then (RFC 7644 §3.14): which.
pub fn forget(tx: &Tx<'_>, gone: i64) -> Result<Vec<ResourceId>, StoreError> {
    let mut raise = tx.prepare_cached(
        "UPDATE resources SET version = version + 1, modified_at = ?2
         WHERE ordinal IN (SELECT group_id FROM members WHERE member_id = ?1) RETURNING id",
    )?;
    let groups = raise.query_map(params![gone, Time(tx.now())], |row| Ok(ResourceId(row.get::<Id>(0)?.0)))?;
    tx.prepare_cached("DELETE FROM members WHERE member_id = ?1")?.execute([gone])?;
    Ok(groups)
}

/// What a resource is shown with, by its place: a group's direct members, else the direct groups that someone is in.
pub fn related(conn: &Conn, kind: ResourceKind, place: i64) -> Result<Vec<Relation>, StoreError> {
    let mut select = conn.prepare_cached(match kind {
        ResourceKind::Group => {
            "SELECT p.id, p.kind, p.name FROM members m JOIN resources p ON p.ordinal = m.member_id
             WHERE m.group_id = ?1 ORDER BY m.member_id"
        }
        ResourceKind::User | ResourceKind::Agent => {
            "SELECT p.id, p.kind, p.name FROM members m JOIN resources p ON p.ordinal = m.group_id
             WHERE m.member_id = ?1 ORDER BY m.group_id"
        }
    })?;
    Ok(select.query_map([place], |row| {
        Ok(Relation { id: ResourceId(row.get::<Id>(0)?.0), kind: row.get::<Kind>(1)?.0, name: row.get(2)? })
    })?)
}

/// The same by its id; nothing, if nobody has that.
pub fn related_to(conn: &Conn, kind: ResourceKind, id: ResourceId) -> Result<Vec<Relation>, StoreError> {
    let place = conn
        .prepare_cached("SELECT ordinal FROM resources WHERE id = ?1")?
        .query_row([Id::from(id)], |row| row.get(0))
        .optional()?;
    place.map_or(Ok(Vec::new()), |place| related(conn, kind, place))
}

/// Ids of the direct members of a group, by its place.
pub fn ids(conn: &Conn, group: i64) -> Result<Vec<ResourceId>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT p.id FROM members m JOIN resources p ON p.ordinal = m.member_id WHERE m.group_id = ?1
         ORDER BY m.member_id",
    )?;
    Ok(select.query_map([group], |row| Ok(ResourceId(row.get::<Id>(0)?.0)))?)
}

/// Those of these ids that are direct members of a group, by its place.
pub fn among(conn: &Conn, group: i64, ids: Vec<ResourceId>) -> Result<Vec<ResourceId>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT count(*) FROM resources p JOIN members m ON m.member_id = p.ordinal WHERE p.id = ?1 AND m.group_id = ?2",
    )?;
    let mut found = Vec::new();
    for id in ids {
        if select.query_row(params![Id::from(id), group], |row| row.get::<i64>(0))? > 0 {
            found.push(id);
        }
    }
    Ok(found)
}
