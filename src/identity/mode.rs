//! How strictly an IdP is read.

/// A setting of each IdP: what real ones send is not what the RFCs say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Takes what Okta, Entra and others really send: booleans as strings, capital operations, unquoted filter values,
    /// attributes that we don't know (ignored).
    #[default]
    Compat,
    /// RFC 7643 and RFC 7644 to the letter; what we don't know is an error.
    Strict,
}

impl Mode {
    /// Whether deviations are forgiven.
    pub fn lenient(self) -> bool {
        self == Self::Compat
    }
}
