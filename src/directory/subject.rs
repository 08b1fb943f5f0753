//! Subjects of policies, with their IdP resolved. `policy::matching` says whether someone is one.

use serde::{Deserialize, Serialize};

use crate::identity::{IdpName, ResourceId};

/// A subject of a policy with its IdP resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectRef {
    /// A user by id.
    UserId(ResourceId),
    /// A user by folded `userName`.
    UserName(IdpName, String),
    /// An Agent by folded `agentUserName`.
    AgentName(IdpName, String),
    /// A group by id.
    GroupId(ResourceId),
    /// A group by folded `displayName`.
    GroupName(IdpName, String),
}
