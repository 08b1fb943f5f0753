//! What the audit log is told of Users, Groups and Agents: ids and attribute names, never a value, never a person's name.

use serde_json::{Map, Value, json};

use super::{
    conn::params,
    members::{Delta, Member},
    rows::Id,
    tx::Tx,
};
use crate::{
    audit::{self, Entry},
    directory::Change,
    identity::{Resource, ResourceId, ResourceKind},
    store::StoreError,
};

/// What an edit made of someone who acts; and the new name, apart.
pub fn actor(tx: &mut Tx<'_>, before: &Resource, after: &Resource) -> Result<(), StoreError> {
    name(tx, after)?;
    let turned = match (before.active(), after.active()) {
        (true, false) => Some(of(after, audit::Kind::UserDeactivated, audit::Kind::AgentDeactivated)),
        (false, true) => Some(of(after, audit::Kind::UserActivated, audit::Kind::AgentActivated)),
        _ => None,
    };
    if let Some(kind) = turned {
        tx.audit(&about(after, kind, json!({})))?;
    }
    let mut changed = changed_names(before, after);
    if before.active() != after.active() {
        changed.retain(|name| name != "active");
    }
    if !changed.is_empty() {
        let kind = of(after, audit::Kind::UserChanged, audit::Kind::AgentChanged);
        tx.audit(&about(after, kind, json!({ "changed": changed })))?;
    }
    Ok(())
}

/// The kind of entry, for a User and for an Agent.
pub fn of(resource: &Resource, user: audit::Kind, agent: audit::Kind) -> audit::Kind {
    if resource.kind == ResourceKind::Agent { agent } else { user }
}

/// Who came and who went, also for the feed. Rows of at most 1,000 ids each: nothing is lost, and no row of the log is megabytes.
pub fn members(tx: &mut Tx<'_>, group: &Resource, delta: &Delta, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    if delta.is_empty() {
        return Ok(());
    }
    let ids = |list: &[Member]| list.iter().map(|member| member.id).collect::<Vec<_>>();
    let (added, removed) = (ids(&delta.added), ids(&delta.removed));
    for (key, list) in [("added", &added), ("removed", &removed)] {
        for part in list.chunks(1000) {
            let mut detail = Map::new();
            detail.insert(key.into(), json!(part));
            tx.audit(&about(group, audit::Kind::GroupChanged, Value::Object(detail)))?;
        }
    }
    changes.push(Change::Members { group: group.id, added, removed });
    Ok(())
}

/// Which groups lost a member that is deleted; the feed needs no more than the deletion.
pub fn left(tx: &mut Tx<'_>, gone: &Resource, groups: &[ResourceId]) -> Result<(), StoreError> {
    for group in groups {
        let mut entry = Entry::new(audit::Kind::GroupChanged);
        entry.detail = json!({ "idp": gone.idp, "group": group, "removed": [gone.id] });
        tx.audit(&entry)?;
    }
    Ok(())
}

/// An entry about a resource: ids and attribute names, never their values.
pub fn about(resource: &Resource, kind: audit::Kind, detail: Value) -> Entry {
    let mut entry = Entry::new(kind);
    let mut detail = match detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    detail.insert("idp".into(), json!(resource.idp));
    match resource.kind {
        ResourceKind::User | ResourceKind::Agent => entry.user = Some(resource.id),
        ResourceKind::Group => {
            detail.insert("group".into(), json!(resource.id));
        }
    }
    entry.detail = Value::Object(detail);
    entry
}

/// Names of the attributes that differ.
pub fn changed_names(before: &Resource, after: &Resource) -> Vec<String> {
    let mut names: Vec<_> = before
        .attributes
        .keys()
        .chain(after.attributes.keys())
        .filter(|name| before.attributes.get(*name) != after.attributes.get(*name))
        .cloned()
        .collect();
    if before.external_id != after.external_id {
        names.push("externalId".into());
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Keeps someone's name beside the chain, where it can be erased.
pub fn name(tx: &Tx<'_>, user: &Resource) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO audit_names (user_id, name) VALUES (?1, ?2)
         ON CONFLICT (user_id) DO UPDATE SET name = excluded.name WHERE audit_names.name <> excluded.name",
    )?
    .execute(params![Id::from(user.id), user.name()])?;
    Ok(())
}
