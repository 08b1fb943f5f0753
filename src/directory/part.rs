//! What the store tells of all that it holds.

use crate::identity::{IdpName, Resource, ResourceId};

/// Something of which a Directory is made. Each resource comes once, with its groups: by changes, one after the other, a
/// million people with their memberships would be looked for again and again.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// An identity provider, and whether what it says of its people is believed.
    Idp(IdpName, bool),
    /// A resource with the attributes that `Builder::attributes` names, and the groups that it is in, directly.
    Resource(Box<Resource>, Vec<ResourceId>),
}
