//! Filters (RFC 7644 §3.4.2.2): the syntax tree, its parser and its evaluation.

mod eval;
mod parse;
mod typed;

use serde_json::Value;

pub use super::path::AttrPath;
use super::{Limits, Mode, ResourceKind, ScimError, ScimType};
pub(super) use parse::Parser;
pub(super) use typed::filterable;

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

/// A filter. A parsed one has canonical names (core attributes without their URN), only attributes that its type of
/// resource has, and values of their types.
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
    AgentUserName,
    ExternalId,
    Id,
}

impl Filter {
    /// Reads a filter over resources of a type, within the default limits.
    pub fn parse(text: &str, kind: ResourceKind, mode: Mode) -> Result<Self, ScimError> {
        Self::parse_within(Limits::default(), text, kind, mode)
    }

    /// Reads a filter over resources of a type. Errors are `invalidFilter` and tell position and expectation.
    pub fn parse_within(limits: Limits, text: &str, kind: ResourceKind, mode: Mode) -> Result<Self, ScimError> {
        Parser::new(limits, text, kind, mode, ScimType::InvalidFilter)?.whole()
    }

    /// The conjunct that an index can answer, where there is one: every match of the whole filter is among the
    /// resources that have this value. `displayName` only for groups, whose name it is.
    pub fn indexable(&self, kind: ResourceKind) -> Option<(IndexedAttribute, &str)> {
        match self {
            Self::And(left, right) => left.indexable(kind).or_else(|| right.indexable(kind)),
            Self::Compare(AttrPath { schema: None, name, sub: None }, CompareOp::Eq, Value::String(value)) => {
                let attribute = match (kind, name.as_str()) {
                    (_, "id") => IndexedAttribute::Id,
                    (_, "externalId") => IndexedAttribute::ExternalId,
                    (ResourceKind::User, "userName") => IndexedAttribute::UserName,
                    (ResourceKind::Group, "displayName") => IndexedAttribute::DisplayName,
                    (ResourceKind::Agent, "agentUserName") => IndexedAttribute::AgentUserName,
                    _ => return None,
                };
                Some((attribute, value))
            }
            _ => None,
        }
    }

    /// How many comparisons it holds.
    pub(super) fn terms(&self) -> usize {
        match self {
            Self::And(left, right) | Self::Or(left, right) => left.terms() + right.terms(),
            Self::Not(inner) | Self::Element(_, inner) => inner.terms(),
            Self::Present(_) | Self::Compare(..) => 1,
        }
    }

    /// Whether `matches` looks at members: only then need they be loaded.
    pub fn needs_members(&self) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => left.needs_members() || right.needs_members(),
            Self::Not(inner) => inner.needs_members(),
            Self::Present(path) | Self::Compare(path, ..) | Self::Element(path, _) => path.name == "members",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str, kind: ResourceKind) -> Option<(IndexedAttribute, String)> {
        let filter = Filter::parse(text, kind, Mode::Compat).unwrap();
        filter.indexable(kind).map(|(attribute, value)| (attribute, value.to_owned()))
    }

    #[test]
    fn an_equality_that_must_hold_is_answered_by_its_index() {
        use IndexedAttribute as I;
        let user = |text| index(text, ResourceKind::User);
        assert_eq!(user(r#"USERNAME Eq "Alice""#), Some((I::UserName, "Alice".into())));
        assert_eq!(
            user(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a""#),
            Some((I::UserName, "a".into()))
        );
        assert_eq!(user(r#"active eq true and externalId eq "7""#), Some((I::ExternalId, "7".into())));
        assert_eq!(user(r#"id eq "x""#), Some((I::Id, "x".into())));
        assert_eq!(index(r#"displayName eq "d""#, ResourceKind::Group), Some((I::DisplayName, "d".into())));
    }

    #[test]
    fn an_equality_that_need_not_hold_is_not() {
        for text in [
            r#"userName eq "a" or userName eq "b""#,
            r#"not (userName eq "a")"#,
            r#"userName sw "a""#,
            r#"displayName eq "a""#,
            r#"emails[value eq "a"]"#,
        ] {
            assert_eq!(index(text, ResourceKind::User), None, "{text}");
        }
    }

    #[test]
    fn only_filters_over_members_need_them() {
        let needs = |text| Filter::parse(text, ResourceKind::Group, Mode::Compat).unwrap().needs_members();
        assert!(needs(r#"not (displayName eq "a" or members[value eq "b"])"#));
        assert!(!needs(r#"displayName eq "a""#));
    }
}
