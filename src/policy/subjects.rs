//! Who a policy means: its subjects with their IdP resolved, and which of them someone is.

use std::{collections::BTreeSet, sync::Arc};

use imbl::OrdSet;

use crate::{
    api::{AccessPolicySpec, Subject},
    directory::{Directory, SubjectRef},
    identity::{IdpName, ResourceId, fold},
};

/// A subject that can't be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Several IdPs, and the subject names none.
    #[error("subject {index} ({name:?}) names no idp, and there are several: {idps}")]
    IdpRequired {
        /// Its place, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// Those to choose from.
        idps: String,
    },
    /// Not a SCIM id of ours.
    #[error("subject {index}: expected a SCIM id, a UUID, got {id:?}")]
    NotAnId {
        /// Its place, from 0.
        index: usize,
        /// What stands there.
        id: String,
    },
    /// Nothing that this version honours.
    #[error("subject {index}: expected exactly one of group, user, by name or by id, or agent, by name")]
    Unsupported {
        /// Its place, from 0.
        index: usize,
    },
}

/// The subjects of a policy, with names folded and the only IdP filled in where none is named.
pub fn resolve_subjects(policy: &AccessPolicySpec, idps: &OrdSet<IdpName>) -> Result<Vec<SubjectRef>, SubjectError> {
    policy.subjects.iter().enumerate().map(|(index, subject)| resolve(index, subject, idps)).collect()
}

fn resolve(index: usize, subject: &Subject, idps: &OrdSet<IdpName>) -> Result<SubjectRef, SubjectError> {
    let id = |text: &str| {
        text.parse::<ResourceId>().map_err(|_| SubjectError::NotAnId { index, id: text.chars().take(64).collect() })
    };
    let idp = |named: &Option<String>, name: &str| match named {
        Some(idp) => Ok(IdpName::from(idp.as_str())),
        None if idps.len() > 1 => Err(SubjectError::IdpRequired {
            index,
            name: name.into(),
            idps: idps.iter().map(IdpName::as_str).collect::<Vec<_>>().join(", "),
        }),
        // Without any IdP there is nobody whom the subject could match.
        None => Ok(idps.get_min().cloned().unwrap_or_else(|| "".into())),
    };
    match subject {
        Subject { group: Some(group), user: None, agent: None } => match (&group.display_name, &group.id) {
            (Some(name), None) => Ok(SubjectRef::GroupName(idp(&group.idp, name)?, fold(name))),
            (None, Some(text)) => Ok(SubjectRef::GroupId(id(text)?)),
            _ => Err(SubjectError::Unsupported { index }),
        },
        Subject { group: None, user: Some(user), agent: None } => match (&user.user_name, &user.id) {
            (Some(name), None) => Ok(SubjectRef::UserName(idp(&user.idp, name)?, fold(name))),
            (None, Some(text)) => Ok(SubjectRef::UserId(id(text)?)),
            _ => Err(SubjectError::Unsupported { index }),
        },
        Subject { group: None, user: None, agent: Some(agent) } => {
            Ok(SubjectRef::AgentName(idp(&agent.idp, &agent.name)?, fold(&agent.name)))
        }
        _ => Err(SubjectError::Unsupported { index }),
    }
}

/// A subject that someone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// They themselves.
    User,
    /// This group, directly or through nested ones, by its name as the IdP spells it.
    Group(Arc<str>),
}

/// Which of the subjects entitle someone; none: not entitled. Says nothing of `active`.
///
/// An Agent can do what it may itself and what one of its active owners may, too: whoever leaves a group doesn't stay in
/// it by their bots.
pub fn matching(directory: &Directory, who: ResourceId, subjects: &[SubjectRef]) -> Vec<Matched> {
    let matched = matching_alone(directory, who, subjects);
    let may = |owner: ResourceId| !matching_alone(directory, owner, subjects).is_empty();
    match directory.agent(who) {
        Some(agent) if !directory.active_owners(agent).any(|owner| may(owner.id)) => Vec::new(),
        _ => matched,
    }
}

/// Which of the subjects someone is, by themselves or through (nested) groups, whatever an Agent's owners are. The closure
/// over the groups is walked once, whatever the number of subjects.
pub fn matching_alone(directory: &Directory, user: ResourceId, subjects: &[SubjectRef]) -> Vec<Matched> {
    let groups = directory.groups_of(user);
    let in_group = |id: ResourceId| groups.contains(&id).then(|| directory.group(id)).flatten();
    subjects
        .iter()
        .filter_map(|subject| match subject {
            SubjectRef::UserId(id) => (*id == user && directory.user(user).is_some()).then_some(Matched::User),
            SubjectRef::UserName(idp, name) => {
                directory.user_by_name(idp, name).filter(|found| found.id == user).map(|_| Matched::User)
            }
            SubjectRef::AgentName(idp, name) => {
                directory.agent_by_name(idp, name).filter(|found| found.who.id == user).map(|_| Matched::User)
            }
            SubjectRef::GroupId(id) => in_group(*id).map(|group| Matched::Group(group.display_name.clone())),
            SubjectRef::GroupName(idp, name) => directory
                .group_by_name(idp, name)
                .and_then(|group| in_group(group.id))
                .map(|group| Matched::Group(group.display_name.clone())),
        })
        .collect()
}

/// How many active users are one of the subjects.
pub fn matched_users(directory: &Directory, subjects: &[SubjectRef]) -> usize {
    let mut found = BTreeSet::new();
    for subject in subjects {
        let (user, group) = match subject {
            SubjectRef::UserId(id) => (directory.user(*id), None),
            SubjectRef::UserName(idp, name) => (directory.user_by_name(idp, name), None),
            // Entitles only beside an owner, who is counted.
            SubjectRef::AgentName(..) => (None, None),
            SubjectRef::GroupId(id) => (None, Some(*id)),
            SubjectRef::GroupName(idp, name) => (None, directory.group_by_name(idp, name).map(|group| group.id)),
        };
        let members = group.into_iter().flat_map(|group| directory.users_in(group));
        found.extend(user.into_iter().chain(members).filter(|user| user.active).map(|user| user.id));
    }
    found.len()
}

/// A subject in words, as a policy's author would say it.
pub fn describe(subject: &SubjectRef) -> String {
    match subject {
        SubjectRef::UserId(id) => format!("user {id}"),
        SubjectRef::UserName(idp, name) => format!("user {name} of {idp}"),
        SubjectRef::AgentName(idp, name) => format!("agent {name} of {idp}"),
        SubjectRef::GroupId(id) => format!("group {id}"),
        SubjectRef::GroupName(idp, name) => format!("group {name} of {idp}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{GroupRef, UserRef},
        directory::Change,
        identity::{Resource, ResourceKind},
    };

    fn policy(subjects: &[Subject]) -> AccessPolicySpec {
        serde_json::from_value(serde_json::json!({ "source": "s", "subjects": subjects, "pipelines": [] })).unwrap()
    }

    fn group(idp: Option<&str>, name: &str) -> Subject {
        let group = GroupRef { idp: idp.map(Into::into), display_name: Some(name.into()), id: None };
        Subject { group: Some(group), ..Subject::default() }
    }

    fn idps(names: &[&str]) -> OrdSet<IdpName> {
        names.iter().map(|name| IdpName::from(*name)).collect()
    }

    #[test]
    fn the_only_idp_is_meant_where_none_is_named_and_names_are_folded() {
        let found = resolve_subjects(&policy(&[group(None, "Deployers")]), &idps(&["okta"])).unwrap();
        assert_eq!(found, [SubjectRef::GroupName("okta".into(), "deployers".into())]);
    }

    #[test]
    fn an_idp_must_be_named_where_there_are_several() {
        let error = resolve_subjects(&policy(&[group(None, "Deployers")]), &idps(&["okta", "entra"])).unwrap_err();
        assert_eq!(error.to_string(), r#"subject 0 ("Deployers") names no idp, and there are several: entra, okta"#);
        assert!(resolve_subjects(&policy(&[group(Some("okta"), "d")]), &idps(&["okta", "entra"])).is_ok());
    }

    #[test]
    fn everyone_is_counted_once_and_who_is_inactive_not_at_all() {
        let id = |number| ResourceId(uuid::Uuid::from_u128(number));
        let put = |kind, number: u128, attributes: serde_json::Value| {
            Change::Put(Box::new(Resource {
                id: id(number),
                kind,
                idp: "okta".into(),
                external_id: None,
                attributes: attributes.as_object().unwrap().clone(),
                version: 1,
                created: chrono::DateTime::UNIX_EPOCH,
                last_modified: chrono::DateTime::UNIX_EPOCH,
            }))
        };
        let person = |number, name, active| {
            put(ResourceKind::User, number, serde_json::json!({ "userName": name, "active": active }))
        };
        let mut directory = Directory::default();
        directory.apply(
            1,
            &[
                person(1, "alice", true),
                person(2, "bob", true),
                person(3, "carol", false),
                put(ResourceKind::Group, 4, serde_json::json!({ "displayName": "deployers" })),
                Change::Members { group: id(4), added: vec![id(1), id(3)], removed: vec![] },
            ],
        );
        let count = |subjects: &[SubjectRef]| matched_users(&directory, subjects);
        let deployers = SubjectRef::GroupName("okta".into(), "deployers".into());
        assert_eq!(count(&[deployers.clone(), SubjectRef::GroupId(id(4)), SubjectRef::UserId(id(1))]), 1);
        assert_eq!(count(&[deployers, SubjectRef::UserName("okta".into(), "bob".into())]), 2);
        assert_eq!(count(&[SubjectRef::UserId(id(3)), SubjectRef::GroupName("okta".into(), "none".into())]), 0);
    }

    #[test]
    fn a_subject_that_is_no_id_or_nothing_at_all_is_an_error() {
        let user = UserRef { id: Some("7".into()), ..UserRef::default() };
        let subject = Subject { user: Some(user), ..Subject::default() };
        let error = resolve_subjects(&policy(&[subject]), &idps(&["okta"])).unwrap_err();
        assert_eq!(error, SubjectError::NotAnId { index: 0, id: "7".into() });
        let error = resolve_subjects(&policy(&[Subject::default()]), &idps(&["okta"])).unwrap_err();
        assert_eq!(error, SubjectError::Unsupported { index: 0 });
    }
}
