//! Who is entitled: a user that exists, is active, whose IdP is believed, and who is at least one subject of the policy, by themselves or through
//! nested groups; or an Agent of which all that holds, and one of whose active owners is such a user. Judged on the rows of the transaction itself, so that no Directory can be behind.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{
    conn::{Conn, OptionalExtension as _, params},
    owners,
    rows::{Id, Kind},
};
use crate::{
    api::RevocationReason,
    directory::SubjectRef,
    identity::{IdpName, ResourceId, ResourceKind, fold},
    store::StoreError,
};

/// A user or an Agent as a judgement sees it.
pub struct Person {
    ordinal: i64,
    kind: ResourceKind,
    /// Their IdP.
    pub idp: IdpName,
    /// `userName` or `agentUserName`, as sent.
    pub user_name: String,
    name_key: String,
    active: bool,
    owned: bool,
    confirmed: bool,
}

impl Person {
    fn is_called(&self, idp: &IdpName, name: &str) -> bool {
        *idp == self.idp && fold(name) == self.name_key
    }
}

/// Why a person may do nothing, whatever the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barred {
    /// There is no such user any more.
    Deleted,
    /// They are not active.
    Deactivated,
    /// It is an Agent, and none of its owners is active.
    OwnerGone,
    /// Nobody has confirmed their IdP since a backup was restored.
    Unconfirmed(IdpName),
}

impl Barred {
    /// As the reason why something ends.
    pub fn reason(&self) -> RevocationReason {
        match self {
            Self::Deleted => RevocationReason::UserDeleted,
            Self::Deactivated => RevocationReason::UserDeactivated,
            Self::OwnerGone => RevocationReason::OwnerGone,
            Self::Unconfirmed(_) => RevocationReason::SecurityEvent,
        }
    }
}

/// A user or an Agent, active or not.
pub fn person(conn: &Conn, user: ResourceId) -> Result<Option<Person>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT p.ordinal, i.name, p.name, p.name_key, p.active, i.unconfirmed_since IS NULL, p.kind,
             EXISTS (SELECT 1 FROM owners o JOIN resources u ON u.ordinal = o.owner_id
                     WHERE o.agent_id = p.ordinal AND u.active = 1)
         FROM resources p JOIN idps i ON i.id = p.idp WHERE p.id = ?1 AND p.kind IN ('User', 'Agent')",
    )?;
    let person = select.query_row([Id::from(user)], |row| {
        let idp: String = row.get(1)?;
        Ok(Person {
            ordinal: row.get(0)?,
            idp: IdpName::from(idp.as_str()),
            user_name: row.get(2)?,
            name_key: row.get(3)?,
            active: row.get(4)?,
            confirmed: row.get(5)?,
            kind: row.get::<Kind>(6)?.0,
            owned: row.get(7)?,
        })
    });
    Ok(person.optional()?)
}

/// A user or an Agent who may do what policies say: `Err` inside says why not.
pub fn admitted(conn: &Conn, user: ResourceId) -> Result<Result<Person, Barred>, StoreError> {
    Ok(match person(conn, user)? {
        None => Err(Barred::Deleted),
        Some(person) if !person.active => Err(Barred::Deactivated),
        Some(person) if person.kind == ResourceKind::Agent && !person.owned => Err(Barred::OwnerGone),
        Some(person) if !person.confirmed => Err(Barred::Unconfirmed(person.idp)),
        Some(person) => Ok(person),
    })
}

/// A person, and the groups above them once a subject asks for those; or why they may do nothing.
type Known = Result<(Person, Option<HashSet<i64>>), Barred>;

/// Judges many runs, and looks each person up once.
pub struct Judge<'a> {
    conn: &'a Conn,
    people: HashMap<ResourceId, Known>,
}

impl<'a> Judge<'a> {
    /// Judges by the state that this connection sees.
    pub fn new(conn: &'a Conn) -> Self {
        Self { conn, people: HashMap::new() }
    }

    /// `None` if someone is entitled to what these subjects are; else what is lost, and why. An Agent can do what it may
    /// itself and what one of its active owners may, too: whoever leaves a group doesn't stay in it by their bots.
    pub fn loss(&mut self, who: ResourceId, subjects: &[SubjectRef]) -> Result<Option<RevocationReason>, StoreError> {
        match self.is_subject(who, subjects)? {
            Err(barred) => return Ok(Some(barred.reason())),
            Ok(false) => return Ok(Some(RevocationReason::GroupLost)),
            Ok(true) => {}
        }
        let agent = match self.people.get(&who) {
            Some(Ok((person, _))) if person.kind == ResourceKind::Agent => person.ordinal,
            _ => return Ok(None),
        };
        for owner in owners::active(self.conn, agent)? {
            if self.is_subject(owner, subjects)? == Ok(true) {
                return Ok(None);
            }
        }
        Ok(Some(RevocationReason::GroupLost))
    }

    /// Whether someone is one of these subjects, by themselves or through groups.
    fn is_subject(&mut self, user: ResourceId, subjects: &[SubjectRef]) -> Result<Result<bool, Barred>, StoreError> {
        let conn = self.conn;
        let known = match self.people.entry(user) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(admitted(conn, user)?.map(|person| (person, None))),
        };
        let (person, groups) = match known {
            Ok((person, groups)) => (person, groups),
            Err(barred) => return Ok(Err(barred.clone())),
        };
        let is_user = person.kind == ResourceKind::User;
        for subject in subjects {
            let group = match subject {
                SubjectRef::UserId(id) if is_user && *id == user => return Ok(Ok(true)),
                SubjectRef::UserName(idp, name) if is_user && person.is_called(idp, name) => return Ok(Ok(true)),
                SubjectRef::AgentName(idp, name) if !is_user && person.is_called(idp, name) => return Ok(Ok(true)),
                SubjectRef::UserId(_) | SubjectRef::UserName(..) | SubjectRef::AgentName(..) => continue,
                SubjectRef::GroupId(id) => group_by_id(conn, *id)?,
                SubjectRef::GroupName(idp, name) => group_by_name(conn, idp, name)?,
            };
            let Some(group) = group else { continue };
            let above = match groups {
                Some(above) => above,
                None => groups.insert(groups_above(conn, person.ordinal)?),
            };
            if above.contains(&group) {
                return Ok(Ok(true));
            }
        }
        Ok(Ok(false))
    }
}

fn group_by_id(conn: &Conn, id: ResourceId) -> Result<Option<i64>, StoreError> {
    let mut select = conn.prepare_cached("SELECT ordinal FROM resources WHERE id = ?1 AND kind = ?2")?;
    Ok(select.query_row(params![Id::from(id), Kind(ResourceKind::Group)], |row| row.get(0)).optional()?)
}

fn group_by_name(conn: &Conn, idp: &IdpName, name: &str) -> Result<Option<i64>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT ordinal FROM resources WHERE idp = (SELECT id FROM idps WHERE name = ?1) AND kind = 'Group'
         AND name_key = ?2",
    )?;
    Ok(select.query_row(params![idp.as_str(), fold(name)], |row| row.get(0)).optional()?)
}

/// All groups that hold a member, directly or through others. UNION, not UNION ALL: cycles end.
fn groups_above(conn: &Conn, member: i64) -> Result<HashSet<i64>, StoreError> {
    let mut select = conn.prepare_cached(
        "WITH RECURSIVE above (id) AS (
             SELECT group_id FROM members WHERE member_id = ?1
             UNION
             SELECT m.group_id FROM above JOIN members m ON m.member_id = above.id
         ) SELECT id FROM above",
    )?;
    Ok(select.query_map([member], |row| row.get(0))?.into_iter().collect())
}

/// Its one value is a group.
pub const CONCERNED_BELOW: &str = "WITH RECURSIVE below (id) AS (
         SELECT CAST(?1 AS BIGINT)
         UNION
         SELECT m.member_id FROM below JOIN members m INDEXED BY members_nested
             ON m.group_id = below.id AND m.nested = 1
     )
     SELECT DISTINCT concerned.user_id
     FROM (
         SELECT user_id FROM runs INDEXED BY runs_live_user WHERE ended_at IS NULL
         UNION
         SELECT user_id FROM grants WHERE phase IN ('Revoking', 'Failed') AND revoked_at IS NULL
     ) concerned
     CROSS JOIN resources p ON p.id = concerned.user_id
     WHERE EXISTS (SELECT 1 FROM members m WHERE m.member_id = p.ordinal AND m.group_id IN (SELECT id FROM below))
        OR EXISTS (SELECT 1 FROM owners o CROSS JOIN members m ON m.member_id = o.owner_id
                   WHERE o.agent_id = p.ordinal AND m.group_id IN (SELECT id FROM below))";

/// Who is in these groups, or in groups below them, or is owned by such, and has live runs or Grants whose end is
/// outstanding. It starts
/// from those and from the nested groups, so its cost doesn't grow with the groups' members.
pub fn concerned_below(conn: &Conn, groups: &[i64]) -> Result<Vec<ResourceId>, StoreError> {
    let mut users = HashSet::new();
    for group in groups {
        let mut select = conn.prepare_cached(CONCERNED_BELOW)?;
        let found = select.query_map([group], |row| Ok(ResourceId(row.get::<Id>(0)?.0)))?;
        for user in found {
            users.insert(user);
        }
    }
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_unstable();
    Ok(users)
}
