//! Filters (RFC 7644 §3.4.2.2) as a syntax tree.

use serde_json::Value;

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
