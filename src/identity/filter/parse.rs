//! The parser: recursive descent by hand over RFC 7644 figure 1, with a cap on depth and length, so that no filter
//! costs more than its own length. Beyond the grammar it takes what Entra sends: `emails[type eq "work"].value eq "x"`,
//! and, in compat mode, unquoted values.

use serde_json::Value;

use super::{
    AttrPath, CompareOp, Filter,
    typed::{filterable, operator, typed},
};
use crate::identity::{
    Limits, Mode, ResourceKind, ScimError, ScimType,
    path::{Head, quoted},
    schema::{self, Attribute},
};

/// Where an attribute name is looked up.
type Scope = Option<&'static Attribute>;

/// Reads filters and the paths of PATCH, which hold filters.
pub(in crate::identity) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    limits: Limits,
    kind: ResourceKind,
    among: &'a [ResourceKind],
    mode: Mode,
    error: ScimType,
}

impl<'a> Parser<'a> {
    pub(in crate::identity) fn new(
        limits: Limits,
        text: &'a str,
        kind: ResourceKind,
        mode: Mode,
        error: ScimType,
    ) -> Result<Self, ScimError> {
        if text.len() > limits.filter_length {
            return Err(ScimError::bad(error, format!("expected at most {} bytes", limits.filter_length)));
        }
        Ok(Self { text, at: 0, depth: 0, limits, kind, among: &[], mode, error })
    }

    /// Takes names that only another one of these types has: of this one's resources they name nothing.
    pub(super) fn among(mut self, kinds: &'a [ResourceKind]) -> Self {
        self.among = kinds;
        self
    }

    /// The whole text as a filter.
    pub(super) fn whole(&mut self) -> Result<Filter, ScimError> {
        let filter = self.or(None)?;
        self.end("'and', 'or' or the end")?;
        Ok(filter)
    }

    /// Nothing more may follow.
    pub(in crate::identity) fn end(&mut self, expected: &str) -> Result<(), ScimError> {
        self.spaces();
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// The next word: all up to a space, bracket, parenthesis or quote.
    pub(in crate::identity) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find([' ', '\t', '[', ']', '(', ')', '"']).unwrap_or(rest.len());
        let (word, _) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.at += word.len();
        word
    }

    /// Takes a character if it is the next.
    pub(in crate::identity) fn take(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// The filter between brackets, of which the opening one is taken.
    pub(in crate::identity) fn element(&mut self, of: &'static Attribute) -> Result<Filter, ScimError> {
        let inner = self.deeper(|parser| parser.or(Some(of)))?;
        self.spaces();
        if self.take(']') { Ok(inner) } else { Err(self.expected("']'")) }
    }

    /// An error here.
    pub(in crate::identity) fn expected(&self, what: &str) -> ScimError {
        ScimError::bad(self.error, format!("expected {what} at position {}", self.at + 1))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t']).len();
    }

    fn keyword(&mut self, wanted: &str) -> bool {
        let start = self.at;
        self.spaces();
        if self.word().eq_ignore_ascii_case(wanted) {
            return true;
        }
        self.at = start;
        false
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Result<Filter, ScimError>) -> Result<Filter, ScimError> {
        self.depth += 1;
        if self.depth > self.limits.filter_depth {
            return Err(self.expected(&format!("a nesting of at most {}", self.limits.filter_depth)));
        }
        let filter = inner(self)?;
        self.depth -= 1;
        Ok(filter)
    }

    fn or(&mut self, scope: Scope) -> Result<Filter, ScimError> {
        let mut left = self.and(scope)?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and(scope)?));
        }
        Ok(left)
    }

    fn and(&mut self, scope: Scope) -> Result<Filter, ScimError> {
        let mut left = self.unary(scope)?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary(scope)?));
        }
        Ok(left)
    }

    fn unary(&mut self, scope: Scope) -> Result<Filter, ScimError> {
        self.spaces();
        if self.take('(') {
            return self.parenthesis(scope);
        }
        let start = self.at;
        if self.keyword("not") {
            self.spaces();
            if self.take('(') {
                return Ok(Filter::Not(Box::new(self.parenthesis(scope)?)));
            }
            self.at = start;
        }
        self.comparison(scope)
    }

    fn parenthesis(&mut self, scope: Scope) -> Result<Filter, ScimError> {
        let inner = self.deeper(|parser| parser.or(scope))?;
        self.spaces();
        if self.take(')') { Ok(inner) } else { Err(self.expected("')'")) }
    }

    fn comparison(&mut self, scope: Scope) -> Result<Filter, ScimError> {
        let start = self.at;
        let word = self.word();
        let (path, leaf, is_here) = self.resolve(word, scope).map_err(|what| {
            self.at = start;
            self.expected(&what)
        })?;
        let filter = if self.take('[') { self.brackets(path, leaf)? } else { self.operation(path, leaf)? };
        Ok(if is_here { filter } else { filter.of_nothing() })
    }

    fn brackets(&mut self, path: AttrPath, leaf: &'static Attribute) -> Result<Filter, ScimError> {
        if path.sub.is_some() || leaf.subs().is_empty() {
            return Err(self.expected("an operator: only an attribute with sub-attributes takes [a filter]"));
        }
        let mut inner = self.element(leaf)?;
        if self.take('.') {
            inner = Filter::And(Box::new(inner), Box::new(self.comparison(Some(leaf))?));
        }
        Ok(Filter::Element(path, Box::new(inner)))
    }

    /// Finds what a word names, with canonical names, and whether this type has it; else what was expected.
    fn resolve(&self, word: &str, scope: Scope) -> Result<(AttrPath, &'static Attribute, bool), String> {
        let unknown = || format!("an attribute of {}, not {}", self.kind.as_str(), quoted(word));
        if let Some(parent) = scope {
            let sub = parent.sub(word);
            let found = sub.filter(|sub| filterable(parent, Some(sub)));
            let found = found.ok_or_else(|| format!("a sub-attribute of {}, not {}", parent.name, quoted(word)))?;
            return Ok((AttrPath { schema: None, name: found.name.into(), sub: None }, found, true));
        }
        let Some(Head::Attribute(path)) = Head::parse(word) else { return Err(unknown()) };
        let here = schema::resolve(self.kind, &path);
        let found = here.or_else(|| self.among.iter().find_map(|kind| schema::resolve(*kind, &path)));
        let found = found.ok_or_else(unknown)?;
        if !filterable(found.attribute, found.sub) {
            return Err(format!("an attribute that can be filtered by, not {}", quoted(word)));
        }
        let path = AttrPath {
            schema: found.extension.map(|schema| schema.id.into()),
            name: found.attribute.name.into(),
            sub: found.sub.map(|sub| sub.name.into()),
        };
        Ok((path, found.leaf(), here.is_some()))
    }

    fn operation(&mut self, mut path: AttrPath, leaf: &'static Attribute) -> Result<Filter, ScimError> {
        self.spaces();
        let start = self.at;
        let op = self.word();
        if op.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let Some(op) = operator(op) else {
            self.at = start;
            return Err(self.expected("an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr"));
        };
        let Some(compared) = leaf.comparable() else {
            return Err(self.expected(&format!("{} to be compared by one of its sub-attributes", leaf.name)));
        };
        self.spaces();
        let start = self.at;
        let value = self.value(compared)?;
        // Null is no value to compare, but says whether there is any of the attribute itself.
        if compared.name != leaf.name && !value.is_null() {
            path.sub = Some(compared.name.into());
        }
        // RFC 7643 §2.5: null and unassigned are the same.
        match (value, op) {
            (Value::Null, CompareOp::Eq) => Ok(Filter::Not(Box::new(Filter::Present(path)))),
            (Value::Null, CompareOp::Ne) => Ok(Filter::Present(path)),
            (value, op) => match typed(compared, op, value, self.mode) {
                Ok(value) => Ok(Filter::Compare(path, op, value)),
                Err(what) => {
                    self.at = start;
                    Err(self.expected(what))
                }
            },
        }
    }

    fn value(&mut self, of: &Attribute) -> Result<Value, ScimError> {
        if self.rest().starts_with('"') {
            return self.string();
        }
        let start = self.at;
        let word = self.word();
        match serde_json::from_str(word) {
            // As it is written: as a number, 12e3 would be 12000.0, and of 20 digits some would be lost.
            Ok(Value::Number(_)) if self.mode.lenient() && of.is_text() => Ok(word.into()),
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Ok(value),
            _ if self.mode.lenient() && !word.is_empty() => Ok(word.into()),
            _ => {
                self.at = start;
                Err(self.expected("a value: a string in double quotes, a number, true, false or null"))
            }
        }
    }

    fn string(&mut self) -> Result<Value, ScimError> {
        let rest = self.rest();
        let mut escaped = false;
        let close = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let text = close.and_then(|(end, _)| rest.get(..=end));
        let value = text.and_then(|text| serde_json::from_str::<String>(text).ok());
        let Some((text, value)) = text.zip(value) else {
            return Err(self.expected("a string in double quotes, escaped as in JSON"));
        };
        self.at += text.len();
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Result<Filter, ScimError> {
        Filter::parse(text, ResourceKind::User, Mode::Compat)
    }

    #[test]
    fn the_grammar_of_rfc_7644_is_read() {
        for text in [
            r#"userName eq "bjensen""#,
            r#"name.familyName co "O'Malley""#,
            r#"userName sw "J""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
            "title pr",
            r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
            r#"title pr and userType eq "Employee""#,
            r#"title pr or userType eq "Intern""#,
            r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
            r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
            r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
            r#"userType eq "Employee" and (emails.type eq "work")"#,
            r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
            r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
            "not(title pr)",
            r#"USERNAME EQ "x" AND NOT (Title PR)"#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "7""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref eq "../Users/7""#,
            "active eq true",
            "title eq null",
        ] {
            assert!(user(text).is_ok(), "{text}: {:?}", user(text));
        }
    }

    #[test]
    fn what_entra_sends_is_read() {
        let quoted = user(r#"externalId eq "jyoung""#).unwrap();
        assert_eq!(user("externalId eq jyoung").unwrap(), quoted);
        assert_eq!(
            user(r#"emails[type eq "work"].value eq "a@b.c""#).unwrap(),
            user(r#"emails[type eq "work" and value eq "a@b.c"]"#).unwrap()
        );
        for number in ["12e3", "007", "1.50", "12345678901234567890123", "-0"] {
            let quoted = user(&format!(r#"externalId eq "{number}""#)).unwrap();
            assert_eq!(user(&format!("externalId eq {number}")).unwrap(), quoted, "{number}");
        }
        assert_eq!(user(r#"active eq "True""#).unwrap(), user("active eq true").unwrap());
        assert!(user(r#"emails[type eq "other"].Value eq "x""#).is_ok());
    }

    #[test]
    fn strict_wants_quotes_and_types() {
        let strict = |text| Filter::parse(text, ResourceKind::User, Mode::Strict);
        assert!(strict("externalId eq jyoung").is_err());
        assert!(strict(r#"active eq "True""#).is_err());
        assert!(strict("userName eq 7").is_err());
    }

    #[test]
    fn and_binds_closer_than_or() {
        let filter = user("title pr or nickName pr and locale pr").unwrap();
        assert!(matches!(filter, Filter::Or(_, right) if matches!(*right, Filter::And(..))));
    }

    #[test]
    fn an_error_tells_position_and_expectation() {
        for (text, detail) in [
            ("", "expected an attribute of User, not \"\" at position 1"),
            ("shoeSize eq 7", "expected an attribute of User, not \"shoeSize\" at position 1"),
            ("password eq \"x\"", "expected an attribute of User, not \"password\" at position 1"),
            ("userName is 7", "expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr at position 10"),
            ("title pr title", "expected 'and', 'or' or the end at position 10"),
            ("(title pr", "expected ')' at position 10"),
            ("emails[type pr", "expected ']' at position 15"),
            ("userName eq \"x", "expected a string in double quotes, escaped as in JSON at position 13"),
            ("active eq 7", "expected true or false at position 11"),
            ("active gt true", "expected a boolean to be compared by eq or ne at position 11"),
            ("emails[shoe pr]", "expected a sub-attribute of emails, not \"shoe\" at position 8"),
            ("groups pr", "expected an attribute that can be filtered by, not \"groups\" at position 1"),
        ] {
            let error = user(text).unwrap_err();
            assert_eq!((error.scim_type, error.status), (Some(ScimType::InvalidFilter), 400));
            assert_eq!(error.detail, detail, "{text}");
        }
        for text in
            ["userName eq", "name eq \"x\"", "title pr and", "userName[a eq 1]", "not title pr", "title gt null"]
        {
            assert!(user(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_text_breaks_the_parser() {
        let texts =
            [r#"emails[type eq "wörk" and not (value co "\\u00e9\"")].value sw "é" or tïtle pr"#, "é[é(\u{a0}\"\\"];
        for text in texts {
            let chars: Vec<char> = text.chars().collect();
            for cut in 0..=chars.len() {
                let _ = user(&chars[..cut].iter().collect::<String>());
                let _ = user(&chars[cut..].iter().collect::<String>());
            }
        }
    }

    #[test]
    fn depth_and_length_are_capped() {
        let nested = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
        assert!(user(&nested(32)).is_ok());
        assert!(user(&nested(33)).unwrap_err().detail.contains("nesting"));
        assert!(user(&"(".repeat(4096)).is_err());
        assert!(user(&format!("title eq \"{}\"", "x".repeat(4096))).unwrap_err().detail.contains("4096"));
        let wide = vec!["title pr"; 300].join(" or ");
        assert!(user(&wide).is_ok());
    }
}
