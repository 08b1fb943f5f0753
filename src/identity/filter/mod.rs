//! Filters (RFC 7644 §3.4.2.2): the syntax tree, its parser and its evaluation.

mod eval;
mod parse;
mod typed;

use serde_json::Value;

pub use super::path::AttrPath;
use super::{Limits, Mode, ResourceId, ResourceKind, ScimError, ScimType};
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
    /// `emails.value`.
    Email,
    /// `members.value`.
    Member,
}

impl IndexedAttribute {
    /// Whether a value of it is one resource's.
    pub fn is_of_one(self) -> bool {
        !matches!(self, Self::Email | Self::Member)
    }
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

    /// Reads a filter over resources of several types for those of one of them: an attribute that only others have has no
    /// value there (RFC 7644 §3.4.2.1).
    pub fn parse_among(
        limits: Limits,
        text: &str,
        kind: ResourceKind,
        mode: Mode,
        kinds: &[ResourceKind],
    ) -> Result<Self, ScimError> {
        Parser::new(limits, text, kind, mode, ScimType::InvalidFilter)?.among(kinds).whole()
    }

    /// What holds of a resource that has no such attribute: everything or nothing.
    fn of_nothing(&self) -> Self {
        let everything = Self::Present(AttrPath { schema: None, name: "id".into(), sub: None });
        match self {
            Self::Compare(_, CompareOp::Ne, _) | Self::Not(_) => everything,
            _ => Self::Not(Box::new(everything)),
        }
    }

    /// What it says of every resource alike, where that can be seen without one.
    pub fn settled(&self) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.settled(), right.settled()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (left, right) => left.zip(right).map(|_| true),
            },
            Self::Or(left, right) => match (left.settled(), right.settled()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (left, right) => left.zip(right).map(|_| false),
            },
            Self::Not(inner) => inner.settled().map(|holds| !holds),
            Self::Present(path) => (path.schema.is_none() && path.name == "id").then_some(true),
            Self::Compare(..) | Self::Element(..) => None,
        }
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
            // In the brackets of such an attribute, or as its sub-attribute.
            Self::Compare(AttrPath { schema: None, name, sub: Some(sub) }, CompareOp::Eq, Value::String(value))
                if sub == "value" =>
            {
                Some((many(kind, name)?, value))
            }
            Self::Element(AttrPath { schema: None, name, sub: None }, inner) => {
                Some((many(kind, name)?, inner.value_of_element()?))
            }
            _ => None,
        }
    }

    /// The `value` that an element must have for which this holds.
    fn value_of_element(&self) -> Option<&str> {
        match self {
            Self::And(left, right) => left.value_of_element().or_else(|| right.value_of_element()),
            Self::Compare(AttrPath { name, sub: None, .. }, CompareOp::Eq, Value::String(value)) if name == "value" => {
                Some(value)
            }
            _ => None,
        }
    }

    /// The members by whom it asks, if it asks of nobody else whether they are in the group.
    pub fn named_members(&self) -> Option<Vec<ResourceId>> {
        let mut named = Vec::new();
        self.collect_members(&mut named).then_some(named)
    }

    /// Whether all that it asks of members was collected.
    fn collect_members(&self, named: &mut Vec<ResourceId>) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.collect_members(named) && right.collect_members(named)
            }
            Self::Not(inner) => inner.collect_members(named),
            Self::Present(path) | Self::Compare(path, ..) | Self::Element(path, _) if path.name != "members" => true,
            Self::Compare(_, CompareOp::Eq, Value::String(id)) => {
                // What is no id is nobody's.
                named.extend(id.parse::<ResourceId>());
                true
            }
            Self::Element(_, inner) => match &**inner {
                Self::Compare(_, CompareOp::Eq, Value::String(id)) => {
                    named.extend(id.parse::<ResourceId>());
                    true
                }
                _ => false,
            },
            Self::Present(_) | Self::Compare(..) => false,
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

/// The index of a multi-valued attribute's values.
fn many(kind: ResourceKind, name: &str) -> Option<IndexedAttribute> {
    match (kind, name) {
        (ResourceKind::User, "emails") => Some(IndexedAttribute::Email),
        (ResourceKind::Group, "members") => Some(IndexedAttribute::Member),
        _ => None,
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
        for text in [
            r#"emails.value eq "A@b.c""#,
            r#"emails eq "A@b.c""#,
            r#"emails[value eq "A@b.c"]"#,
            r#"emails[type eq "work" and value eq "A@b.c"]"#,
            r#"active eq true and emails[type eq "work"].value eq "A@b.c""#,
        ] {
            assert_eq!(user(text), Some((I::Email, "A@b.c".into())), "{text}");
        }
        for text in [r#"members.value eq "x""#, r#"members eq "x""#, r#"members[value eq "x"] and displayName pr"#] {
            assert_eq!(index(text, ResourceKind::Group), Some((I::Member, "x".into())), "{text}");
        }
    }

    #[test]
    fn an_equality_that_need_not_hold_is_not() {
        for text in [
            r#"userName eq "a" or userName eq "b""#,
            r#"not (userName eq "a")"#,
            r#"userName sw "a""#,
            r#"displayName eq "a""#,
            r#"emails.value ne "a""#,
            r#"not (emails.value eq "a")"#,
            r#"emails[value eq "a" or type eq "b"]"#,
            r#"emails[not (value eq "a")]"#,
            r#"emails.type eq "a""#,
            r#"phoneNumbers.value eq "a""#,
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

    #[test]
    fn who_is_asked_for_by_id_is_told_unless_others_matter_too() {
        let id = ResourceId(uuid::Uuid::from_u128(7));
        let named = |text: &str| Filter::parse(text, ResourceKind::Group, Mode::Compat).unwrap().named_members();
        assert_eq!(named(&format!(r#"not (members eq "{id}") or members[value eq "{id}"]"#)), Some(vec![id, id]));
        assert_eq!(named(r#"displayName eq "a" and members.value eq "x""#), Some(Vec::new()));
        for text in ["members pr", r#"members.value ne "x""#, r#"members[not (value eq "x")] or displayName pr"#] {
            assert_eq!(named(text), None, "{text}");
        }
    }
}
