//! PATCH (RFC 7644 §3.5.2): what is to change, and making it so.
//!
//! All that can be known without the resource (paths, filters, types) is checked when the request is read, since the
//! operations are applied inside the store's transaction: there, only the merging is left. An error anywhere means that
//! nothing changed. What has no single meaning is an error, never a guess: others' guesses have emptied groups.

mod apply;
mod expand;
mod members;
mod read;
mod reference;
mod target;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{MemberOp, filter::Filter, schema::Attribute};

pub(super) use apply::Document;
pub use apply::apply;
pub(super) use apply::{complete_extensions, same_id};
pub(super) use expand::{Expanded, expand};
pub(super) use members::check as check_members;
pub use read::read;

/// One step of a PATCH, with canonical names and values of their attribute's type.
#[derive(Clone, Debug)]
pub enum Operation {
    /// The value states an `id`: it must be the resource's own (Okta's group push sends it).
    SameId(String),
    /// `add` or `replace` of an attribute of a known schema; a null value unassigns it.
    Put {
        /// `add`: lists grow; else they are replaced.
        add: bool,
        /// Which.
        target: Target,
        /// What.
        value: Value,
    },
    /// `add` or `replace` in an extension that we don't know: kept as it is.
    PutForeign {
        /// URN and attribute, as written: which part is the URN depends on what the resource has and on the value.
        path: ForeignPath,
        /// What; null unassigns.
        value: Value,
    },
    /// `remove` of an attribute, of the elements that a filter finds, or of a sub-attribute.
    Remove(Target),
    /// `remove` with values (Entra): only those elements go.
    RemoveValues(Target, Vec<Value>),
    /// `remove` of all attributes of a known extension.
    RemoveExtension(&'static str),
    /// `remove` in an extension that we don't know.
    RemoveForeign(ForeignPath),
    /// A group's members change.
    Members(MemberOp),
}

/// What a path names in the known schemas.
#[derive(Clone, Debug)]
pub struct Target {
    /// URN of the extension that holds it; `None`: core.
    pub extension: Option<&'static str>,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// Which elements.
    pub filter: Option<Filter>,
    /// Which part of it.
    pub sub: Option<&'static Attribute>,
}

/// A path into an extension that we don't know: `urn:…:User` as a whole, or `urn:…:User:attribute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPath {
    /// All before the last colon.
    pub urn: String,
    /// All after it.
    pub name: String,
}

impl ForeignPath {
    fn whole(&self) -> String {
        format!("{}:{}", self.urn, self.name)
    }
}
