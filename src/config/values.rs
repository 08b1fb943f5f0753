//! Values with rules of their own; each says what it expected, so that the file's error stands at its line.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Unfit {
    expected: &'static str,
    found: String,
}

/// `externalUrl`: http(s), no query, no trailing slash: `iss` is compared letter by letter everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ExternalUrl(String);

impl ExternalUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ExternalUrl {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        let fits = text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && uri.query().is_none()
                && !text.ends_with('/')
                && !text.contains('#')
        });
        if fits {
            return Ok(Self(text));
        }
        Err(Unfit { expected: "an http(s) URL without credentials, query, fragment or trailing slash", found: text })
    }
}

impl From<ExternalUrl> for String {
    fn from(url: ExternalUrl) -> Self {
        url.0
    }
}

/// An address that is asked for secrets' counterparts: by TLS, but on this machine. Kept letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SecureUrl(String);

impl SecureUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SecureUrl {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        let fits = text.parse::<http::Uri>().is_ok_and(|uri| {
            let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
            (uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && local))
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && !text.contains('#')
        });
        if fits {
            return Ok(Self(text));
        }
        let expected =
            "an https URL (http only on this machine: localhost, 127.0.0.1, [::1]) without credentials and fragment";
        Err(Unfit { expected, found: text })
    }
}

impl From<SecureUrl> for String {
    fn from(url: SecureUrl) -> Self {
        url.0
    }
}

/// The name of an IdP: it stands in paths, labels and commands, so it is a DNS label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct IdpLabel(String);

impl IdpLabel {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdpLabel {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Unfit> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for IdpLabel {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = text.len() <= 63
            && text.bytes().all(|b| letter(b) || b == b'-')
            && text.bytes().next().is_some_and(letter)
            && text.bytes().last().is_some_and(letter);
        if fits {
            return Ok(Self(text));
        }
        Err(Unfit {
            expected: "a name of at most 63 lower-case letters, digits and inner hyphens, such as okta",
            found: text,
        })
    }
}

impl From<IdpLabel> for String {
    fn from(label: IdpLabel) -> Self {
        label.0
    }
}

impl fmt::Display for IdpLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names an attribute of a User: its schema's URN, a colon, its name (RFC 7644 §3.10); a bare name is a core one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AttributePath {
    /// URN of the extension; empty for a core attribute.
    pub schema: String,
    /// The attribute's name within it.
    pub name: String,
}

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

impl TryFrom<String> for AttributePath {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        let (schema, name) = text.rsplit_once(':').unwrap_or(("", &text));
        let letters = |name: &str| {
            name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'$')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'$'))
        };
        if !letters(name) || !(schema.is_empty() || schema.starts_with("urn:")) {
            return Err(Unfit {
                expected: "an attribute such as urn:example:params:scim:schemas:extension:acme:2.0:User:githubId",
                found: text,
            });
        }
        let schema = if schema == CORE_USER { "" } else { schema };
        Ok(Self { schema: schema.to_owned(), name: name.to_owned() })
    }
}

impl From<AttributePath> for String {
    fn from(path: AttributePath) -> Self {
        if path.schema.is_empty() { path.name } else { format!("{}:{}", path.schema, path.name) }
    }
}

/// `auto`, `true` or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Word", into = "&'static str")]
#[schemars(with = "String")]
pub enum Enabled {
    /// If it is found.
    #[default]
    Auto,
    /// Yes; its absence is an error.
    True,
    /// No.
    False,
}

/// YAML makes a boolean of `true`, the environment a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Bool(bool),
    Text(String),
}

impl TryFrom<Word> for Enabled {
    type Error = Unfit;

    fn try_from(word: Word) -> Result<Self, Unfit> {
        match word {
            Word::Bool(true) => Ok(Self::True),
            Word::Bool(false) => Ok(Self::False),
            Word::Text(text) => match text.as_str() {
                "auto" => Ok(Self::Auto),
                "true" => Ok(Self::True),
                "false" => Ok(Self::False),
                _ => Err(Unfit { expected: "auto, true or false", found: text }),
            },
        }
    }
}

impl From<Enabled> for &'static str {
    fn from(enabled: Enabled) -> Self {
        match enabled {
            Enabled::Auto => "auto",
            Enabled::True => "true",
            Enabled::False => "false",
        }
    }
}
