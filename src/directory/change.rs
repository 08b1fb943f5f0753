//! What the store's feed tells of.

use crate::identity::{IdpName, Resource, ResourceId, ResourceKind};

/// One committed change, as the store's feed tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An identity provider is known now.
    Idp(IdpName),
    /// Whether what an identity provider says of its people is believed; not since a backup was restored, until
    /// somebody confirms it. Believed, if nothing is told.
    Confirmed(IdpName, bool),
    /// A resource was created or its attributes changed.
    Put(Box<Resource>),
    /// A resource is gone, and all of its memberships.
    Deleted(ResourceKind, ResourceId),
    /// A group's members changed.
    Members {
        /// The group.
        group: ResourceId,
        /// Who came.
        added: Vec<ResourceId>,
        /// Who went.
        removed: Vec<ResourceId>,
    },
}
