//! Who shall hold the roles of a GroupRoleBinding, by the Directory. Pure.

use super::{
    RbacSettings,
    plan::{Live, Names, Wish},
};
use crate::{
    api::GroupRef,
    directory::{Directory, unconfirmed},
    identity::{IdpName, ResourceId},
};

impl RbacSettings {
    /// Who shall hold the role, by the Directory; `live` is what all its RoleBindings say.
    pub(super) fn wish(&self, group: &GroupRef, directory: &Directory, live: Option<&Live>) -> Wish {
        let live_names = || live.iter().flat_map(|live| &live.names);
        let group = match group_of(directory, group) {
            Ok(group) => group,
            // Whose role it is can't be told, but who has left has left.
            Err(why) => {
                let holders = live_names().filter(|name| self.is_active(directory, name)).cloned().collect();
                return Wish { holders, frozen: Some(why) };
            }
        };
        let holders: Names = group
            .into_iter()
            .flat_map(|group| directory.users_in(group))
            .filter(|user| user.active)
            .filter_map(|user| self.kubernetes_name(&user.idp, &user.user_name))
            .collect();
        let older = live.is_some_and(|live| live.seq > directory.seq() && !holders.is_subset(&live.names));
        let doubted = group.and_then(|group| directory.group(group)).map(|group| &group.idp);
        let doubted = doubted.filter(|idp| !directory.is_confirmed(idp));
        let frozen = if let Some(idp) = doubted {
            Some(format!("{}; nobody is added until it is", unconfirmed(idp)))
        } else if older {
            Some("the Directory is older than the RoleBinding: nobody is added until it has caught up".into())
        } else {
            None
        };
        Wish { holders, frozen }
    }

    /// Whether an active person is called so at the API server.
    fn is_active(&self, directory: &Directory, name: &str) -> bool {
        self.username_prefixes.iter().any(|(idp, prefix)| {
            let user = name.strip_prefix(prefix.as_str()).and_then(|user_name| directory.user_by_name(idp, user_name));
            user.is_some_and(|user| {
                user.active && self.kubernetes_name(idp, &user.user_name).is_some_and(|found| found == name)
            })
        })
    }

    /// The name of a user at the API server; none for people who can't log in there, and never a `system:` name.
    fn kubernetes_name(&self, idp: &IdpName, user_name: &str) -> Option<String> {
        let prefix = self.username_prefixes.get(idp)?;
        let name = format!("{prefix}{user_name}");
        (!name.starts_with("system:")).then_some(name)
    }
}

/// The group that a GroupRoleBinding names.
pub(super) fn group_of(directory: &Directory, group: &GroupRef) -> Result<Option<ResourceId>, String> {
    if let Some(id) = &group.id {
        let id: ResourceId = id.parse().map_err(|_| format!("spec.group.id {id:?} is no SCIM id of ours (a UUID)"))?;
        return Ok(directory.group(id).map(|group| group.id));
    }
    let idp = match (&group.idp, directory.idps().len()) {
        (Some(idp), _) => IdpName::from(idp.as_str()),
        (None, 1) => directory.idps().iter().next().cloned().unwrap_or_else(|| IdpName::from("")),
        (None, 0) => return Ok(None),
        (None, _) => return Err("spec.group.idp is required where several identity providers exist".into()),
    };
    let name = group.display_name.as_deref().unwrap_or_default();
    Ok(directory.group_by_name(&idp, name).map(|group| group.id))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use super::{Directory, GroupRef, IdpName, Live, Names, RbacSettings, ResourceId};
    use crate::{
        directory::Change,
        identity::{Resource, ResourceKind},
    };

    const DEPLOYERS: ResourceId = ResourceId(Uuid::from_u128(1_000_000));

    fn settings() -> RbacSettings {
        let username_prefixes = [("okta".into(), "okta:".to_owned()), ("entra".into(), "entra:".to_owned())].into();
        RbacSettings { username_prefixes, instance: "scim".into() }
    }

    fn put(id: ResourceId, kind: ResourceKind, attributes: &serde_json::Value) -> Change {
        let attributes = attributes.as_object().unwrap().clone();
        Change::Put(Box::new(Resource {
            id,
            kind,
            idp: "okta".into(),
            external_id: None,
            attributes,
            version: 1,
            created: DateTime::UNIX_EPOCH,
            last_modified: DateTime::UNIX_EPOCH,
        }))
    }

    fn user(id: u128, name: &str, active: bool) -> Change {
        put(ResourceId(Uuid::from_u128(id)), ResourceKind::User, &json!({"userName": name, "active": active}))
    }

    /// Version 5: a group of bob and of carol, who is inactive; dave is in no group.
    fn directory() -> Directory {
        let mut directory = Directory::default();
        let members = [1, 2].map(|id| ResourceId(Uuid::from_u128(id))).to_vec();
        directory.apply(
            5,
            &[
                Change::Idp("okta".into()),
                put(DEPLOYERS, ResourceKind::Group, &json!({"displayName": "deployers"})),
                user(1, "bob", true),
                user(2, "carol", false),
                user(3, "dave", true),
                Change::Members { group: DEPLOYERS, added: members, removed: vec![] },
            ],
        );
        directory
    }

    fn group(idp: Option<&str>) -> GroupRef {
        GroupRef { idp: idp.map(Into::into), display_name: Some("deployers".into()), ..GroupRef::default() }
    }

    fn live(names: &[&str], seq: i64) -> Live {
        Live { names: names_of(names), exact: true, other_role: false, seq }
    }

    fn names_of(names: &[&str]) -> Names {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_active_people_of_the_group_hold_the_role() {
        let wish = settings().wish(&group(Some("okta")), &directory(), None);
        assert_eq!((wish.holders, wish.frozen), (names_of(&["okta:bob"]), None));
    }

    #[test]
    fn where_the_group_is_ambiguous_whoever_has_left_loses_and_nobody_is_added() {
        let mut directory = directory();
        directory.apply(6, &[Change::Idp("entra".into())]);
        let live = live(&["okta:carol", "okta:dave", "okta:gone", "kubernetes-admin"], 5);
        let wish = settings().wish(&group(None), &directory, Some(&live));
        assert_eq!(wish.holders, names_of(&["okta:dave"]));
        assert!(wish.frozen.unwrap().contains("spec.group.idp is required"));
    }

    #[test]
    fn an_older_directory_only_removes() {
        let settings = settings();
        let all_there = live(&["okta:bob", "okta:carol"], 9);
        let wish = settings.wish(&group(Some("okta")), &directory(), Some(&all_there));
        assert_eq!((wish.holders, wish.frozen), (names_of(&["okta:bob"]), None));
        let one_is_missing = live(&["okta:carol"], 9);
        let wish = settings.wish(&group(Some("okta")), &directory(), Some(&one_is_missing));
        assert!(wish.frozen.unwrap().contains("older"));
    }

    #[test]
    fn people_of_a_restored_directory_gain_nothing_and_keep_what_stands_until_it_is_confirmed() {
        let (settings, group) = (settings(), group(Some("okta")));
        let mut directory = directory();
        directory.apply(6, &[user(2, "carol", true), Change::Confirmed("okta".into(), false)]);
        // Carol left after the backup, which shows her as active; dave came after it.
        let wish = settings.wish(&group, &directory, Some(&live(&["okta:bob", "okta:dave"], 5)));
        assert!(wish.frozen.as_ref().unwrap().contains("okta has not been confirmed"), "{wish:?}");
        let step = super::super::plan::plan(Some(&live(&["okta:bob", "okta:dave"], 5)), &wish);
        assert_eq!(step, super::super::plan::Step::Replace(names_of(&["okta:bob"])));
        assert_eq!(super::super::plan::plan(None, &wish), super::super::plan::Step::Nothing);
        directory.apply(7, &[Change::Confirmed("okta".into(), true)]);
        let wish = settings.wish(&group, &directory, Some(&live(&["okta:bob"], 5)));
        assert_eq!((wish.holders, wish.frozen), (names_of(&["okta:bob", "okta:carol"]), None));
    }

    #[test]
    fn no_system_name_is_a_subject() {
        let mut settings = settings();
        settings.username_prefixes.insert("okta".into(), String::new());
        assert_eq!(settings.kubernetes_name(&IdpName::from("okta"), "system:admin"), None);
    }
}
