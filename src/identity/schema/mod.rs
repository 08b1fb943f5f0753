//! The schemas (RFC 7643 §4, §8.7) as one static, typed table: it drives validation, filters, PATCH paths and rendering,
//! and it is what `/Schemas` serves. What is served is what is enforced, because there is nothing else.
//!
//! Extensions from the configuration join the table once, at the start (`install`).

mod agent;
mod attribute;
mod common;
mod custom;
mod extension;
mod group;
mod limits;
mod served;
mod user;

use std::sync::OnceLock;

pub use attribute::*;
pub use custom::Custom;
pub use limits::LIMITS;
pub use served::{resource_type_json, schema_json, with_password};

use super::{AttrPath, ResourceKind};

/// URN of the core User schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core Group schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the core Agent schema (draft-wzdk-scim-agent-resource, draft-abbey-scim-agent-extension).
pub const AGENT_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";
/// URN of the enterprise extension of User (RFC 7643 §4.3).
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of our extension of User and Agent: numeric account ids at source-code hosts, from which Links are made.
pub const ACCOUNTS_URN: &str = "urn:scim-tekton:params:scim:schemas:extension:accounts:2.0:User";

/// URN of our extension of `ServiceProviderConfig`: limits.
pub const LIMITS_URN: &str = "urn:scim-tekton:params:scim:schemas:extension:limits:2.0:ServiceProviderConfig";

/// A schema (RFC 7643 §7).
#[derive(Debug)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// An attribute by name, without case (RFC 7643 §2.1).
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

static BUILT_IN: [&Schema; 5] =
    [&user::USER, &group::GROUP, &agent::AGENT, &extension::ENTERPRISE, &extension::ACCOUNTS];

/// Built-in and custom schemas. Set once; to read it is to load a pointer.
static TABLE: OnceLock<Table> = OnceLock::new();

struct Table {
    all: Vec<&'static Schema>,
    user: Vec<&'static Schema>,
    group: Vec<&'static Schema>,
    agent: Vec<&'static Schema>,
}

impl Table {
    fn with(custom: &[Custom]) -> Self {
        let of = |kind| custom.iter().filter(move |custom| custom.kind == kind).map(|custom| custom.schema);
        Self {
            all: BUILT_IN.into_iter().chain(custom.iter().map(|custom| custom.schema)).collect(),
            user: [&extension::ENTERPRISE, &extension::ACCOUNTS].into_iter().chain(of(ResourceKind::User)).collect(),
            group: of(ResourceKind::Group).collect(),
            agent: std::iter::once(&extension::ACCOUNTS).chain(of(ResourceKind::Agent)).collect(),
        }
    }

    fn of_agents_alone(&self, schema: &Schema) -> bool {
        let is = |other: &&Schema| other.id == schema.id;
        schema.id == AGENT_URN || (self.agent.iter().any(is) && !self.user.iter().chain(&self.group).any(is))
    }

    fn get() -> &'static Self {
        TABLE.get_or_init(|| {
            #[cfg(test)]
            return Self::with(&[custom::fixture()]);
            #[cfg(not(test))]
            Self::with(&[])
        })
    }
}

/// Takes custom extensions into the table: once, before anything reads it. The error names the one that can't stand there
/// by its place.
pub fn install(custom: &[Custom]) -> Result<(), (usize, String)> {
    let mut others: Vec<_> = BUILT_IN.into_iter().chain([&LIMITS]).collect();
    for (index, one) in custom.iter().enumerate() {
        one.check_beside(&others).map_err(|error| (index, error))?;
        others.push(one.schema);
    }
    if custom.is_empty() || TABLE.set(Table::with(custom)).is_ok() {
        return Ok(());
    }
    Err((0, "expected extensions to be installed before any schema is read".into()))
}

/// The schemas, in the order in which they are served; those of Agents only where Agents are.
pub fn schemas(agents: bool) -> impl Iterator<Item = &'static Schema> {
    let table = Table::get();
    let served = table.all.iter().copied().filter(move |schema| agents || !table.of_agents_alone(schema));
    served.map(move |schema| if agents && schema.id == GROUP_URN { &group::WITH_AGENTS } else { schema })
}

/// The core schema of a type of resource.
pub fn core(kind: ResourceKind) -> &'static Schema {
    match kind {
        ResourceKind::User => &user::USER,
        ResourceKind::Group => &group::GROUP,
        ResourceKind::Agent => &agent::AGENT,
    }
}

/// The extensions that we know of a type of resource.
pub fn extensions(kind: ResourceKind) -> &'static [&'static Schema] {
    match kind {
        ResourceKind::User => &Table::get().user,
        ResourceKind::Group => &Table::get().group,
        ResourceKind::Agent => &Table::get().agent,
    }
}

/// The attributes of extensions that are unique, with their schemas.
pub fn unique() -> impl Iterator<Item = (&'static Schema, &'static Attribute)> {
    ResourceKind::ALL.into_iter().flat_map(extensions).flat_map(|schema| {
        let unique = schema.attributes.iter().filter(|attribute| attribute.uniqueness == Uniqueness::Server);
        unique.map(|attribute| (*schema, attribute))
    })
}

/// A known extension of a type of resource by URN, without case (RFC 8141 §3 folds only parts of it; senders fold at will).
pub fn extension(kind: ResourceKind, urn: &str) -> Option<&'static Schema> {
    extensions(kind).iter().copied().find(|schema| schema.id.eq_ignore_ascii_case(urn))
}

/// What a path names, in the schemas of a type of resource.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// The extension that holds the attribute; `None`: the core schema, or an attribute that all resources have.
    pub extension: Option<&'static Schema>,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute, where the path names one.
    pub sub: Option<&'static Attribute>,
}

impl Resolved {
    /// The attribute or sub-attribute whose type a value of this path has.
    pub fn leaf(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }
}

/// Finds what a path names; `None` if no schema of this type of resource has it.
pub fn resolve(kind: ResourceKind, path: &AttrPath) -> Option<Resolved> {
    let (extension, attribute) = match &path.schema {
        None => (None, core(kind).attribute(&path.name).or_else(|| find(common::ATTRIBUTES, &path.name))?),
        Some(urn) if urn.eq_ignore_ascii_case(core(kind).id) => {
            (None, core(kind).attribute(&path.name).or_else(|| find(common::ATTRIBUTES, &path.name))?)
        }
        Some(urn) => {
            let schema = extension(kind, urn)?;
            (Some(schema), schema.attribute(&path.name)?)
        }
    };
    let sub = match &path.sub {
        None => None,
        Some(name) => Some(attribute.sub(name)?),
    };
    Some(Resolved { extension, attribute, sub })
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(schema: Option<&str>, name: &str, sub: Option<&str>) -> AttrPath {
        AttrPath { schema: schema.map(Into::into), name: name.into(), sub: sub.map(Into::into) }
    }

    #[test]
    fn names_are_found_without_case_and_come_back_canonical() {
        let found = resolve(ResourceKind::User, &path(None, "EMAILS", Some("Value"))).unwrap();
        assert_eq!((found.attribute.name, found.leaf().name), ("emails", "value"));
        let found = resolve(ResourceKind::User, &path(Some(&ENTERPRISE_URN.to_uppercase()), "manager", None)).unwrap();
        assert_eq!(found.extension.unwrap().id, ENTERPRISE_URN);
        assert!(resolve(ResourceKind::User, &path(None, "meta", Some("lastModified"))).is_some());
    }

    #[test]
    fn what_no_schema_has_is_not_found() {
        assert!(resolve(ResourceKind::User, &path(None, "members", None)).is_none());
        assert!(resolve(ResourceKind::User, &path(None, "password", None)).is_none());
        assert!(resolve(ResourceKind::Group, &path(Some(ENTERPRISE_URN), "manager", None)).is_none());
        assert!(resolve(ResourceKind::User, &path(None, "userName", Some("value"))).is_none());
    }

    #[test]
    fn no_name_stands_twice_in_a_schema() {
        for schema in schemas(true) {
            let mut names: Vec<_> = schema.attributes.iter().map(|a| a.name.to_ascii_lowercase()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), schema.attributes.len(), "{}", schema.id);
        }
    }
}
