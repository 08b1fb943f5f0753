//! A small file of people, for deciding without a server: who they are, in which groups, with which accounts.
//!
//! ```yaml
//! users:
//! - {idp: okta, userName: alice@example.com, links: {github.com: 583231}, groups: [deployers]}
//! ```
//!
//! A group stands for all that is in it: nested groups are written out. Ids are not those of a real Directory, so a
//! subject that a policy names by `id` is nobody here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    directory::{Change, Directory, LinkAuthority},
    identity::{IdpName, Resource, ResourceId, ResourceKind, fold},
};

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub(super) struct PeopleError {
    path: String,
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<Person>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Person {
    idp: String,
    user_name: String,
    #[serde(default = "yes")]
    active: bool,
    /// Numeric account by source host.
    #[serde(default)]
    links: BTreeMap<String, u64>,
    #[serde(default)]
    groups: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Directory, PeopleError> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let directory = text.and_then(|text| parse(&text));
    directory.map_err(|what| PeopleError { path: path.display().to_string(), what })
}

fn parse(text: &str) -> Result<Directory, String> {
    let File { users } = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let mut directory = Directory::new(authorities(&users)?);
    let mut ids = (1_u128..).map(|number| ResourceId(Uuid::from_u128(number)));
    let mut id = || ids.next().unwrap_or(ResourceId(Uuid::nil()));
    let mut names = BTreeSet::new();
    let mut changes = Vec::new();
    let mut groups: BTreeMap<(IdpName, String), (String, Vec<ResourceId>)> = BTreeMap::new();
    for user in users {
        let idp = IdpName::from(user.idp.as_str());
        if !names.insert((idp.clone(), fold(&user.user_name))) {
            return Err(format!("user {} of {idp} stands there twice", user.user_name));
        }
        let user_id = id();
        for name in user.groups {
            groups.entry((idp.clone(), fold(&name))).or_insert_with(|| (name, Vec::new())).1.push(user_id);
        }
        let mut attributes = Map::new();
        attributes.insert("userName".into(), user.user_name.into());
        attributes.insert("active".into(), user.active.into());
        attributes.extend(user.links.into_iter().map(|(host, account)| (host, account.to_string().into())));
        changes.push(Change::Idp(idp.clone()));
        changes.push(put(ResourceKind::User, user_id, idp, attributes));
    }
    for ((idp, _), (name, members)) in groups {
        let group = id();
        let attributes = Map::from_iter([("displayName".to_owned(), Value::from(name))]);
        changes.push(put(ResourceKind::Group, group, idp, attributes));
        changes.push(Change::Members { group, added: members, removed: Vec::new() });
    }
    directory.apply(1, &changes);
    Ok(directory)
}

/// Whoever has links at a host has the word for it; as in a configuration (`linkAuthority`), one for each host.
fn authorities(users: &[Person]) -> Result<Vec<LinkAuthority>, String> {
    let mut hosts: BTreeMap<&str, &str> = BTreeMap::new();
    for user in users {
        for host in user.links.keys() {
            let first = *hosts.entry(host).or_insert(&user.idp);
            if first != user.idp {
                return Err(format!(
                    "users of {first} and of {} have links at {host}: one identity provider has the word for a host",
                    user.idp
                ));
            }
        }
    }
    let authority = |(host, idp): (&str, &str)| LinkAuthority {
        host: host.into(),
        idp: idp.into(),
        schema: String::new(),
        attribute: host.into(),
    };
    Ok(hosts.into_iter().map(authority).collect())
}

fn put(kind: ResourceKind, id: ResourceId, idp: IdpName, attributes: Map<String, Value>) -> Change {
    Change::Put(Box::new(Resource {
        id,
        kind,
        idp,
        external_id: None,
        attributes,
        version: 1,
        created: DateTime::UNIX_EPOCH,
        last_modified: DateTime::UNIX_EPOCH,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_their_groups_become_a_directory() {
        let directory = parse(
            "users:
- {idp: okta, userName: alice, links: {github.com: 7}, groups: [Deployers, readers]}
- {idp: okta, userName: bob, active: false, groups: [deployers]}
- {idp: entra, userName: alice}",
        )
        .unwrap();
        assert_eq!(directory.idps().len(), 2);
        let group = directory.group_by_name(&"okta".into(), "deployers").unwrap();
        assert_eq!(directory.users_in(group.id).count(), 2);
        let holders: Vec<_> = directory.linked("github.com", 7).map(|user| user.user_name.to_string()).collect();
        assert_eq!(holders, ["alice"]);
        assert!(!directory.user_by_name(&"okta".into(), "Bob").unwrap().active);
    }

    #[test]
    fn what_can_not_be_meant_is_said() {
        let error = |text: &str| parse(text).map(|_| ()).unwrap_err();
        assert_eq!(
            error("users: [{idp: okta, userName: a}, {idp: okta, userName: A}]"),
            "user A of okta stands there twice"
        );
        assert!(error("users: [{idp: okta, userName: a, group: [d]}]").contains("group"));
        let two = "users: [{idp: a, userName: x, links: {h: 1}}, {idp: b, userName: x, links: {h: 2}}]";
        assert!(error(two).contains("users of a and of b have links at h"));
    }
}
