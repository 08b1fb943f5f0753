//! Subjects of policies, with their IdP resolved, and whether someone is one.

use serde::{Deserialize, Serialize};

use super::Directory;
use crate::identity::{IdpName, ResourceId};

/// A subject of a policy with its IdP resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectRef {
    /// A user by id.
    UserId(ResourceId),
    /// A user by folded `userName`.
    UserName(IdpName, String),
    /// A group by id.
    GroupId(ResourceId),
    /// A group by folded `displayName`.
    GroupName(IdpName, String),
}

impl Directory {
    /// Whether a user is this subject, by themselves or through (nested) groups. Says nothing of `active`.
    pub fn is_subject(&self, user: ResourceId, subject: &SubjectRef) -> bool {
        match subject {
            SubjectRef::UserId(id) => *id == user,
            SubjectRef::UserName(idp, name) => self.user_by_name(idp, name).is_some_and(|found| found.id == user),
            SubjectRef::GroupId(id) => self.groups_of(user).contains(id),
            SubjectRef::GroupName(idp, name) => {
                self.group_by_name(idp, name).is_some_and(|group| self.groups_of(user).contains(&group.id))
            }
        }
    }
}
