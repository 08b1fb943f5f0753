//! Users, Groups and Agents: one transaction holds the resource, its memberships and owners, what the feed and the audit log tell of it,
//! and the intents to revoke that follow.

use serde_json::{Map, Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use super::{
    conn::{Conn, OptionalExtension as _, Row, SqlError, SqlResult, params},
    emails, entitlement, members, owners,
    revoke::{self, Cause},
    rows::{Id, Json, Kind, Time},
    tell,
    tx::Tx,
    unique,
};
use crate::{
    api::RevocationReason,
    audit,
    directory::Change,
    identity::{Edit, IdpName, Resource, ResourceId, ResourceKind, fold},
    store::{CheckFn, EditFn, Provisioned, Revocations, StoreError},
};

/// Columns of a resource `p` and its IdP `i`, as `read` takes them.
pub const COLUMNS: &str =
    "p.ordinal, p.id, p.kind, i.name, p.external_id, p.attributes, p.version, p.created_at, p.modified_at";

/// A resource and its place in lists and memberships.
pub struct Stored {
    pub ordinal: i64,
    pub resource: Resource,
}

/// Reads `COLUMNS`.
pub fn read(row: &Row<'_>) -> SqlResult<Stored> {
    let idp: String = row.get(3)?;
    Ok(Stored {
        ordinal: row.get(0)?,
        resource: Resource {
            id: ResourceId(row.get::<Id>(1)?.0),
            kind: row.get::<Kind>(2)?.0,
            idp: IdpName::from(idp.as_str()),
            external_id: row.get(4)?,
            attributes: row.get::<Json<Map<String, Value>>>(5)?.0,
            version: row.get(6)?,
            created: row.get::<Time>(7)?.0,
            last_modified: row.get::<Time>(8)?.0,
        },
    })
}

/// An IdP's number.
pub fn idp(conn: &Conn, name: &IdpName) -> Result<i64, StoreError> {
    conn.prepare_cached("SELECT id FROM idps WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::NotFound(format!("identity provider {name:?}", name = name.as_str())))
}

/// One resource of this IdP and kind.
pub fn get(conn: &Conn, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Result<Stored, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM resources p JOIN idps i ON i.id = p.idp WHERE p.id = ?1 AND p.kind = ?2 AND i.name = ?3"
    );
    conn.prepare_cached(&sql)?
        .query_row(params![Id::from(id), Kind(kind), idp.as_str()], read)
        .optional()?
        .ok_or_else(|| StoreError::NotFound(format!("{} {id}", kind.as_str())))
}

/// Creates a resource.
pub fn create(tx: &mut Tx<'_>, idp_name: &IdpName, kind: ResourceKind, edit: Edit) -> Result<Provisioned, StoreError> {
    let idp = idp(tx, idp_name)?;
    let now = tx.now();
    let resource = Resource {
        id: ResourceId(mint(tx)),
        kind,
        idp: idp_name.clone(),
        external_id: edit.external_id,
        attributes: edit.attributes,
        version: 1,
        created: now,
        last_modified: now,
    };
    let inserted = tx
        .prepare_cached(
            "INSERT INTO resources (id, idp, kind, name_key, external_id, active, attributes, version, created_at,
             modified_at, name) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10) RETURNING ordinal",
        )?
        .query_row(
            params![
                Id::from(resource.id),
                idp,
                Kind(kind),
                fold(resource.name()),
                resource.external_id,
                resource.active(),
                Json(&resource.attributes),
                resource.version,
                Time(now),
                resource.name(),
            ],
            |row| row.get(0),
        );
    let ordinal = inserted.map_err(|error| uniqueness(error, &resource))?;
    count(tx, idp, kind, 1)?;
    emails::changed(tx, idp, ordinal, None, Some(&resource))?;
    let mut changes = vec![Change::Put(Box::new(resource.clone()))];
    let delta = match kind {
        ResourceKind::User => members::Delta::default(),
        ResourceKind::Group => members::apply(tx, idp, ordinal, &edit.members, edit.skip_unknown_members)?,
        ResourceKind::Agent => {
            owners::set(tx, idp, ordinal, &resource)?;
            members::Delta::default()
        }
    };
    let entry = match kind {
        ResourceKind::User | ResourceKind::Agent => {
            tell::name(tx, &resource)?;
            let kind = tell::of(&resource, audit::Kind::UserCreated, audit::Kind::AgentCreated);
            tell::about(&resource, kind, json!({ "active": resource.active() }))
        }
        ResourceKind::Group => tell::about(&resource, audit::Kind::GroupCreated, json!({})),
    };
    tx.audit(&entry)?;
    tell::members(tx, &resource, &delta, &mut changes)?;
    finish(tx, resource, changes, Revocations::default())
}

/// Changes a resource.
pub fn edit(
    tx: &mut Tx<'_>,
    idp_name: &IdpName,
    kind: ResourceKind,
    id: ResourceId,
    edit: EditFn,
) -> Result<Provisioned, StoreError> {
    let idp = idp(tx, idp_name)?;
    let Stored { ordinal, resource: before } = get(tx, idp_name, kind, id)?;
    let edit = edit(&before)?;
    let delta = match kind {
        ResourceKind::User | ResourceKind::Agent => members::Delta::default(),
        ResourceKind::Group => members::apply(tx, idp, ordinal, &edit.members, edit.skip_unknown_members)?,
    };
    let attributes_changed = before.attributes != edit.attributes || before.external_id != edit.external_id;
    if !attributes_changed && delta.is_empty() {
        // An IdP that gave up waiting asks again: this answer waits for the same.
        let revocations = take_away(tx, ordinal, &before, &before, &delta)?;
        return Ok(Provisioned { resource: before, seq: tx.seq(), changed: false, changes: Vec::new(), revocations });
    }
    let after = Resource {
        external_id: edit.external_id,
        attributes: edit.attributes,
        version: before.version + 1,
        last_modified: tx.now(),
        ..before.clone()
    };
    update(tx, ordinal, &after)?;
    let mut changes = Vec::new();
    if attributes_changed {
        emails::changed(tx, idp, ordinal, Some(&before), Some(&after))?;
        changes.push(Change::Put(Box::new(after.clone())));
        match kind {
            ResourceKind::User => tell::actor(tx, &before, &after)?,
            ResourceKind::Agent => {
                owners::set(tx, idp, ordinal, &after)?;
                tell::actor(tx, &before, &after)?;
            }
            ResourceKind::Group => {
                let detail = json!({ "changed": tell::changed_names(&before, &after) });
                tx.audit(&tell::about(&after, audit::Kind::GroupChanged, detail))?;
            }
        }
    }
    tell::members(tx, &after, &delta, &mut changes)?;
    let revocations = take_away(tx, ordinal, &before, &after, &delta)?;
    finish(tx, after, changes, revocations)
}

/// Deletes a resource, its memberships and what it owned or was owned by.
pub fn delete(
    tx: &mut Tx<'_>,
    idp_name: &IdpName,
    kind: ResourceKind,
    id: ResourceId,
    check: CheckFn,
) -> Result<Provisioned, StoreError> {
    let idp = idp(tx, idp_name)?;
    let Stored { ordinal, resource } = get(tx, idp_name, kind, id)?;
    check(&resource)?;
    let affected = match kind {
        ResourceKind::User | ResourceKind::Agent => Vec::new(),
        ResourceKind::Group => entitlement::concerned_below(tx, &[ordinal])?,
    };
    let owned = owners::owned(tx, ordinal)?;
    owners::forget(tx, ordinal)?;
    // By hand, not by the cascade: one pass over each index.
    tx.prepare_cached("DELETE FROM members WHERE group_id = ?1")?.execute([ordinal])?;
    let left = members::forget(tx, ordinal)?;
    emails::changed(tx, idp, ordinal, Some(&resource), None)?;
    tx.prepare_cached("DELETE FROM resources WHERE ordinal = ?1")?.execute([ordinal])?;
    count(tx, idp, kind, -1)?;
    tx.raise_epoch()?;
    let (entry, cause) = match kind {
        ResourceKind::User | ResourceKind::Agent => (
            tell::about(&resource, tell::of(&resource, audit::Kind::UserDeleted, audit::Kind::AgentDeleted), json!({})),
            Cause::Gone(id, RevocationReason::UserDeleted),
        ),
        ResourceKind::Group => (tell::about(&resource, audit::Kind::GroupDeleted, json!({})), Cause::Judge(affected)),
    };
    tx.audit(&entry)?;
    tell::left(tx, &resource, &left)?;
    let mut changes = vec![Change::Deleted(kind, id)];
    let mut revocations = revoke::because(tx, cause)?;
    let agents: Vec<_> = owned.iter().map(|agent| agent.resource.id).collect();
    for agent in &owned {
        changes.push(Change::Put(Box::new(disown(tx, agent, id)?)));
    }
    revocations.join(revoke::because(tx, Cause::Agents(agents))?);
    finish(tx, resource, changes, revocations)
}

/// An Agent without an owner who is gone: its attribute would name nobody.
fn disown(tx: &mut Tx<'_>, agent: &Stored, owner: ResourceId) -> Result<Resource, StoreError> {
    let mut after = Resource { attributes: agent.resource.without_owner(owner).attributes, ..agent.resource.clone() };
    after.version += 1;
    after.last_modified = tx.now();
    update(tx, agent.ordinal, &after)?;
    tell::actor(tx, &agent.resource, &after)?;
    Ok(after)
}

fn update(tx: &Tx<'_>, ordinal: i64, after: &Resource) -> Result<(), StoreError> {
    let updated = tx
        .prepare_cached(
            "UPDATE resources SET name_key = ?2, external_id = ?3, active = ?4, attributes = ?5, version = ?6,
             modified_at = ?7, name = ?8 WHERE ordinal = ?1",
        )?
        .execute(params![
            ordinal,
            fold(after.name()),
            after.external_id,
            after.active(),
            Json(&after.attributes),
            after.version,
            Time(after.last_modified),
            after.name(),
        ]);
    updated.map_err(|error| uniqueness(error, after))?;
    Ok(())
}

/// What this edit takes away from whom: the epoch rises, and those with live runs are judged. An edit that leaves
/// someone as inactive as they were still tells what of theirs is outstanding.
fn take_away(
    tx: &mut Tx<'_>,
    ordinal: i64,
    before: &Resource,
    after: &Resource,
    delta: &members::Delta,
) -> Result<Revocations, StoreError> {
    let inactive = after.kind.acts() && !after.active();
    let deactivated = inactive && before.active();
    let renamed = fold(before.name()) != fold(after.name());
    let disowned = before.owners().any(|owner| !after.owners().any(|kept| kept == owner));
    if deactivated || renamed || disowned || !delta.removed.is_empty() {
        tx.raise_epoch()?;
    } else if !inactive && after.kind != ResourceKind::Agent {
        return Ok(Revocations::default());
    }
    match after.kind {
        ResourceKind::User if inactive => {
            return revoke::because(tx, Cause::Gone(after.id, RevocationReason::UserDeactivated));
        }
        // Policies name people also by userName.
        ResourceKind::User => return revoke::because(tx, Cause::Judge(vec![after.id])),
        // One that its owners have left is as one that is inactive: whoever asks again waits for the same.
        ResourceKind::Agent => return revoke::because(tx, Cause::Agents(vec![after.id])),
        ResourceKind::Group => {}
    }
    let mut affected = Vec::new();
    let mut below = Vec::new();
    for member in &delta.removed {
        match member.kind {
            ResourceKind::User | ResourceKind::Agent => affected.push(member.id),
            ResourceKind::Group => below.push(member.ordinal),
        }
    }
    if renamed {
        below.push(ordinal);
    }
    affected.extend(entitlement::concerned_below(tx, &below)?);
    revoke::because(tx, Cause::Judge(affected))
}

fn finish(
    tx: &mut Tx<'_>,
    resource: Resource,
    changes: Vec<Change>,
    revocations: Revocations,
) -> Result<Provisioned, StoreError> {
    tx.publish(&changes)?;
    Ok(Provisioned { resource, seq: tx.seq(), changed: true, changes, revocations })
}

fn count(tx: &Tx<'_>, idp: i64, kind: ResourceKind, by: i64) -> Result<(), StoreError> {
    let sql = match kind {
        ResourceKind::User => "UPDATE idps SET users = users + ?2 WHERE id = ?1",
        ResourceKind::Group => "UPDATE idps SET groups = groups + ?2 WHERE id = ?1",
        ResourceKind::Agent => "UPDATE idps SET agents = agents + ?2 WHERE id = ?1",
    };
    tx.prepare_cached(sql)?.execute([idp, by])?;
    Ok(())
}

/// UUID v7: ids that follow each other keep the index's inserts at its end.
fn mint(tx: &Tx<'_>) -> Uuid {
    let now = tx.now();
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

/// Which attribute a violated constraint speaks of: SQLite names the columns, PostgreSQL the index.
fn uniqueness(error: SqlError, resource: &Resource) -> StoreError {
    let SqlError::Unique(text) = &error else { return error.into() };
    let (attribute, value) = if text.ends_with("resources.name_key") || text == "resources_name" {
        (resource.kind.name_attribute(), resource.name())
    } else if text.ends_with("resources.external_id") || text == "resources_external" {
        ("externalId", resource.external_id.as_deref().unwrap_or_default())
    } else if let Some((attribute, value)) = unique::violated(text, resource) {
        return StoreError::Uniqueness { kind: resource.kind.as_str(), attribute, value };
    } else {
        return error.into();
    };
    StoreError::Uniqueness { kind: resource.kind.as_str(), attribute, value: value.to_owned() }
}
