//! A SCIM resource as we hold it (RFC 7643 §3).

use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::agent;

/// SCIM `id`: minted by us, never taken from a client, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceId(pub Uuid);

impl ResourceId {
    /// Whom a member's value names that is no id of ours: nobody has this one.
    pub const NOBODY: Self = Self(Uuid::nil());
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for ResourceId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// Name of an identity provider that provisions into us. It owns what it created.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdpName(pub Arc<str>);

impl IdpName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for IdpName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for IdpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SCIM resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ResourceKind {
    User,
    Group,
    Agent,
}

impl ResourceKind {
    /// In the order in which lists over several types show them.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::Agent];

    /// As `meta.resourceType` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Agent => "Agent",
        }
    }

    /// Its endpoint below `/scim/v2`.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
            Self::Agent => "Agents",
        }
    }

    /// The attribute by which a resource is unique within its IdP, and which policies name it by.
    pub fn name_attribute(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
            Self::Agent => "agentUserName",
        }
    }

    /// Whether it can be behind an event, and so be `active` or not.
    pub fn acts(self) -> bool {
        self != Self::Group
    }
}

/// A stored resource. `attributes` holds what the client sent, validated and with canonical names: no `id`, no `meta`,
/// no `schemas`, no `externalId`, and for groups no `members` (they are rows of their own, so that a delta on a group
/// of 100,000 costs as much as on one of 10).
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `id`.
    pub id: ResourceId,
    /// `meta.resourceType`.
    pub kind: ResourceKind,
    /// Who owns it.
    pub idp: IdpName,
    /// `externalId`, as the IdP sent it.
    pub external_id: Option<String>,
    /// Everything else; extensions under their schema's URN.
    pub attributes: Map<String, Value>,
    /// Rises with each change; `meta.version`.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub last_modified: DateTime<Utc>,
}

impl Resource {
    /// The name by which it is unique within its IdP.
    pub fn name(&self) -> &str {
        self.attributes.get(self.kind.name_attribute()).and_then(Value::as_str).unwrap_or_default()
    }

    /// `active`; absent means true (RFC 7643 §4.1.1 leaves it to us; an IdP that means false says so).
    pub fn active(&self) -> bool {
        self.attributes.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The Users whom an Agent says to be owned by.
    pub fn owners(&self) -> impl Iterator<Item = ResourceId> {
        let owners =
            self.attributes.get("owners").and_then(Value::as_array).filter(|_| self.kind == ResourceKind::Agent);
        owners.into_iter().flatten().filter_map(|owner| owner.get("value")?.as_str()?.parse().ok())
    }

    /// An Agent as it is without one of its owners.
    pub fn without_owner(&self, owner: ResourceId) -> Edit {
        let mut attributes = self.attributes.clone();
        agent::set_owners(&mut attributes, self.owners().filter(|one| *one != owner).collect());
        Edit { external_id: self.external_id.clone(), attributes, ..Edit::default() }
    }

    /// A user or an Agent as it is, but active or not.
    pub fn with_active(&self, active: bool) -> Edit {
        let mut attributes = self.attributes.clone();
        attributes.insert("active".into(), Value::Bool(active));
        Edit { external_id: self.external_id.clone(), attributes, ..Edit::default() }
    }

    /// URNs of its schemas: the core one, and each extension of which it has attributes.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        let extensions = self.attributes.keys().filter(|key| key.contains(':')).map(String::as_str);
        std::iter::once(super::schema::core(self.kind).id).chain(extensions)
    }

    /// `meta.version`, and the `ETag` (RFC 7644 §3.14): weak, since a representation depends on who asks for what.
    pub fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// Attributes that should hold a host's numeric account id and hold something else, as a login: they make no Link.
    pub fn misfit_accounts(&self) -> impl Iterator<Item = &'static str> {
        super::schema::extensions(self.kind).iter().flat_map(|schema| {
            let held = self.attributes.get(schema.id);
            schema.attributes.iter().filter(|attribute| attribute.format == super::schema::Format::Account).filter_map(
                move |attribute| {
                    let text = held?.get(attribute.name)?.as_str()?;
                    text.parse::<u64>().is_err().then_some(attribute.name)
                },
            )
        })
    }

    /// `displayName`, where there is one.
    pub fn display_name(&self) -> Option<&str> {
        self.attributes.get("displayName").and_then(Value::as_str)
    }
}

/// The values of a user's `emails`.
pub fn emails(attributes: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let elements = match attributes.get("emails") {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    elements.iter().filter_map(|email| email.get("value")?.as_str())
}

/// Folds a name that SCIM compares without case (`userName`, `displayName`): `caseExact: false`.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// One change of a group's members, in the order in which a PATCH states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOp {
    /// Add these.
    Add(Vec<ResourceId>),
    /// Remove these; absent ones are no error.
    Remove(Vec<ResourceId>),
    /// The members are exactly these.
    Replace(Vec<ResourceId>),
}

/// What a POST, PUT or PATCH makes of a resource: the whole of its attributes, and how its members change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// `externalId` after it.
    pub external_id: Option<String>,
    /// All attributes after it.
    pub attributes: Map<String, Value>,
    /// Changes of members, for groups.
    pub members: Vec<MemberOp>,
    /// Whether a member to add that is nobody of this IdP is left out, instead of an error.
    pub skip_unknown_members: bool,
}
