//! Attribute paths (RFC 7644 §3.10): `[urn:]name[.sub]`.

use super::schema::schemas;

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

/// What stands before a `[filter]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A whole schema that we know, by its canonical URN.
    Schema(&'static str),
    /// An attribute.
    Attribute(AttrPath),
}

impl Head {
    /// Reads a path; `None` if it is none. URNs hold dots and colons themselves (`…:2.0:User:manager.value`), so known
    /// ones are looked for first, and of others the last colon ends the URN.
    pub fn parse(text: &str) -> Option<Self> {
        for schema in schemas(true) {
            let Some((head, rest)) = text.split_at_checked(schema.id.len()) else { continue };
            if !head.eq_ignore_ascii_case(schema.id) {
                continue;
            }
            if rest.is_empty() {
                return Some(Self::Schema(schema.id));
            }
            if let Some(rest) = rest.strip_prefix(':') {
                return plain(Some(schema.id), rest).map(Self::Attribute);
            }
        }
        match text.rsplit_once(':') {
            Some((urn, rest)) if is_urn(urn) => {
                // `urn:acme:2.0` is no attribute's path, but an extension's name.
                let whole = || AttrPath { schema: Some(urn.into()), name: rest.into(), sub: None };
                plain(Some(urn), rest).or_else(|| is_segment(rest).then(whole)).map(Self::Attribute)
            }
            Some(_) => None,
            None => plain(None, text).map(Self::Attribute),
        }
    }
}

fn plain(schema: Option<&str>, text: &str) -> Option<AttrPath> {
    let (name, sub) = match text.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (text, None),
    };
    (is_name(name) && sub.is_none_or(is_name)).then(|| AttrPath {
        schema: schema.map(Into::into),
        name: name.into(),
        sub: sub.map(Into::into),
    })
}

/// Whether a text can be the URN of an extension that we don't know: only what can be read again, when a client sends the
/// resource back, may be kept under it.
fn is_urn(text: &str) -> bool {
    let last = text.rsplit(':').next().unwrap_or_default();
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.split(':').all(is_segment)
        && plain(None, last).is_none_or(|path| path.sub.is_none())
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"[]()\":".contains(&b))
}

/// `ATTRNAME` of RFC 7643 §2.1, and `$ref`.
pub(super) fn is_name(text: &str) -> bool {
    let text = text.strip_prefix('$').unwrap_or(text);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// What a client wrote, short and without control characters, for an error's sentence.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::schema::ENTERPRISE_URN;

    fn attribute(text: &str) -> (Option<String>, String, Option<String>) {
        match Head::parse(text) {
            Some(Head::Attribute(AttrPath { schema, name, sub })) => (schema, name, sub),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_urn_with_dots_is_not_split_at_them() {
        let text = format!("{ENTERPRISE_URN}:manager.value");
        assert_eq!(attribute(&text), (Some(ENTERPRISE_URN.into()), "manager".into(), Some("value".into())));
        assert_eq!(attribute("urn:x:2.0:User:a"), (Some("urn:x:2.0:User".into()), "a".into(), None));
    }

    #[test]
    fn a_known_urn_alone_is_the_whole_schema_whatever_its_case() {
        assert_eq!(Head::parse(&ENTERPRISE_URN.to_lowercase()), Some(Head::Schema(ENTERPRISE_URN)));
    }

    #[test]
    fn what_is_no_name_is_no_path() {
        for text in
            ["", ".", "a.", "a.b.c", "1a", ":a", "::a", "a::b", "x:é:a", "urn:a.b:c", "a b", "é", "$", "urn:x:", "7:a"]
        {
            assert_eq!(Head::parse(text), None, "{text}");
        }
        assert_eq!(attribute("$ref").1, "$ref");
    }
}
