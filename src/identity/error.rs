//! What is wrong with a SCIM request, in the protocol's own words (RFC 7644 §3.12).

use std::borrow::Cow;

/// `scimType` of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 7644 table 9 and RFC 9865 table 3 say it")]
pub enum ScimType {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
    InvalidVers,
    Sensitive,
    InvalidCursor,
    ExpiredCursor,
    InvalidCount,
}

impl ScimType {
    /// As the error's JSON spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

/// A request that can't be honoured, and what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// HTTP status: 400 unless said otherwise.
    pub status: u16,
    /// The protocol's own word for it.
    pub scim_type: Option<ScimType>,
    /// A sentence that names what was expected.
    pub detail: Cow<'static, str>,
}

impl ScimError {
    /// A 400 of this type.
    pub fn bad(scim_type: ScimType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status: 400, scim_type: Some(scim_type), detail: detail.into() }
    }
}
