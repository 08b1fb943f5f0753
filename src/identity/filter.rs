//! Filters (RFC 7644 §3.4.2.2) as a syntax tree.

use serde_json::Value;

use super::{Resource, ResourceId, ResourceKind};

/// A path to an attribute: `[urn:]name[.sub]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrPath {
    /// Schema URN before the name, where one was given.
    pub schema: Option<String>,
    /// Attribute name, as written; names are compared without case.
    pub name: String,
    /// Sub-attribute.
    pub sub: Option<String>,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 7644 table 3 says it")]
pub enum CompareOp {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// `path pr`.
    Present(AttrPath),
    /// `path op value`.
    Compare(AttrPath, CompareOp, Value),
    /// `path[filter]`: one element for which the inner filter holds.
    Element(AttrPath, Box<Filter>),
}

/// Attributes by which a store keeps an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum IndexedAttribute {
    UserName,
    DisplayName,
    ExternalId,
    Id,
}

impl Filter {
    /// The conjunct that an index can answer, where there is one: every match of the whole filter is among the
    /// resources that have this value. `displayName` only for groups, whose name it is.
    pub fn indexable(&self, kind: ResourceKind) -> Option<(IndexedAttribute, &str)> {
        match self {
            Self::And(left, right) => left.indexable(kind).or_else(|| right.indexable(kind)),
            Self::Compare(AttrPath { name, sub: None, .. }, CompareOp::Eq, Value::String(value)) => {
                let attribute = match (kind, name.to_ascii_lowercase().as_str()) {
                    (_, "id") => IndexedAttribute::Id,
                    (_, "externalid") => IndexedAttribute::ExternalId,
                    (ResourceKind::User, "username") => IndexedAttribute::UserName,
                    (ResourceKind::Group, "displayname") => IndexedAttribute::DisplayName,
                    _ => return None,
                };
                Some((attribute, value))
            }
            _ => None,
        }
    }

    /// Whether `matches` looks at members: only then need they be loaded.
    pub fn needs_members(&self) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => left.needs_members() || right.needs_members(),
            Self::Not(inner) => inner.needs_members(),
            Self::Present(path) | Self::Compare(path, ..) | Self::Element(path, _) => {
                path.name.eq_ignore_ascii_case("members")
            }
        }
    }

    /// Whether a resource matches.
    pub fn matches(&self, _resource: &Resource, _members: &[ResourceId]) -> bool {
        false
    }
}
