//! Extensions that the admin configures: Schema resources as RFC 7643 §7 writes them, checked and made part of the table.
//!
//! A checked schema is leaked, once, at the start: so it is `&'static` like the built-in ones, and whoever resolves a path
//! or reads a type takes neither a lock nor a count. The configuration does not change while we run.

use serde::Deserialize;
use serde_json::Value;

use super::{Attribute, Format, Mutability, Returned, Schema, Type, Uniqueness};
use crate::identity::{ResourceKind, path::is_name};

/// What means something of its own wherever it stands, so that an extension can't have it.
const RESERVED: [&str; 8] = ["schemas", "id", "externalId", "meta", "members", "groups", "active", "password"];

/// An extension of a type of resource.
#[derive(Clone, Copy, Debug)]
pub struct Custom {
    pub(super) kind: ResourceKind,
    pub(super) schema: &'static Schema,
}

impl Custom {
    /// Reads a Schema resource; else says what was expected, and where.
    pub fn read(kind: ResourceKind, json: &Value) -> Result<Self, String> {
        let written = Written::deserialize(json).map_err(|error| error.to_string())?;
        written.check()?;
        Ok(Self { kind, schema: Box::leak(Box::new(written.into_schema())) })
    }

    /// Whether it can stand beside those before it.
    pub(super) fn check_beside(self, others: &[&Schema]) -> Result<(), String> {
        let id = self.schema.id;
        for other in others {
            // `urn:a:b` has an attribute `c`: so it can't stand beside a schema `urn:a:b:c`.
            let (short, long) = if id.len() <= other.id.len() { (id, other.id) } else { (other.id, id) };
            let rest = long.get(short.len()..).unwrap_or_default();
            let begins = long.get(..short.len()).is_some_and(|head| head.eq_ignore_ascii_case(short));
            if begins && (rest.is_empty() || rest.starts_with(':')) {
                return Err(format!("expected an id of its own, not {id:?} beside {:?}", other.id));
            }
        }
        Ok(())
    }
}

/// A Schema resource as it is written (RFC 7643 §7).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "schemas")]
    _schemas: Vec<String>,
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    attributes: Vec<WrittenAttribute>,
    #[serde(default, rename = "meta")]
    _meta: Value,
}

/// An attribute as it is written, with the defaults of RFC 7643 §2.2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAttribute {
    name: String,
    #[serde(default, rename = "type")]
    ty: WrittenType,
    #[serde(default)]
    sub_attributes: Vec<WrittenAttribute>,
    #[serde(default)]
    multi_valued: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    canonical_values: Vec<String>,
    #[serde(default)]
    case_exact: bool,
    #[serde(default)]
    mutability: WrittenMutability,
    #[serde(default)]
    returned: WrittenReturned,
    #[serde(default)]
    uniqueness: WrittenUniqueness,
    #[serde(default)]
    reference_types: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenType {
    #[default]
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Reference,
    Binary,
    Complex,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenMutability {
    ReadOnly,
    #[default]
    ReadWrite,
    Immutable,
    WriteOnly,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenReturned {
    Always,
    Never,
    #[default]
    Default,
    Request,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenUniqueness {
    #[default]
    None,
    Server,
    Global,
}

impl Written {
    fn check(&self) -> Result<(), String> {
        let is_urn = self.id.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:"))
            && self.id.len() > 4
            && self
                .id
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'[' | b']' | b'(' | b')'))
            && !self.id.ends_with(':');
        if !is_urn {
            return Err(format!("expected id to be a URN, not {:?}", self.id));
        }
        check_all(&self.attributes, "attributes")?;
        self.attributes.iter().try_for_each(WrittenAttribute::check)
    }

    fn into_schema(self) -> Schema {
        let name = if self.name.is_empty() { self.id.clone() } else { self.name };
        Schema {
            id: leak(self.id),
            name: leak(name),
            description: leak(self.description),
            attributes: leak_all(self.attributes),
        }
    }
}

impl WrittenAttribute {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(format!("expected another name than {name:?}, which has a meaning of its own"));
        }
        if self.required && self.mutability == WrittenMutability::ReadOnly {
            return Err(format!("expected {name} not to be both required and readOnly: no client could send it"));
        }
        self.check_promises(name)?;
        match (self.ty, self.sub_attributes.as_slice()) {
            (WrittenType::Complex, []) => return Err(format!("expected {name} to have subAttributes")),
            (WrittenType::Complex, _) => check_all(&self.sub_attributes, name)?,
            (_, []) => {}
            _ => return Err(format!("expected {name} to have no subAttributes: only a complex attribute has")),
        }
        self.sub_attributes.iter().try_for_each(|sub| sub.check_below(self))
    }

    fn check_below(&self, parent: &Self) -> Result<(), String> {
        let name = format!("{}.{}", parent.name, self.name);
        self.check_promises(&name)?;
        // RFC 7643 §2.3.8.
        if self.ty == WrittenType::Complex || self.multi_valued {
            return Err(format!("expected {name} to be simple and single-valued: it is a sub-attribute"));
        }
        if self.uniqueness != WrittenUniqueness::None {
            return Err(format!("expected {name} to have uniqueness none: it is a sub-attribute"));
        }
        if self.returned != WrittenReturned::Default {
            return Err(format!("expected {name} to be returned as default: of parts, we know no other way"));
        }
        if parent.multi_valued && self.mutability == WrittenMutability::Immutable {
            return Err(format!("expected {name} not to be immutable: its value in a list has no identity"));
        }
        Ok(())
    }

    /// What we would promise by serving it and not hold.
    fn check_promises(&self, name: &str) -> Result<(), String> {
        if self.returned == WrittenReturned::Never || self.mutability == WrittenMutability::WriteOnly {
            return Err(format!("expected {name} to be readable: what must not be shown is not stored here"));
        }
        let comparable = match self.ty {
            WrittenType::String => self.case_exact,
            WrittenType::Integer | WrittenType::Reference | WrittenType::Binary => true,
            _ => false,
        };
        match self.uniqueness {
            WrittenUniqueness::None => Ok(()),
            WrittenUniqueness::Server if comparable && !self.multi_valued => Ok(()),
            WrittenUniqueness::Server => {
                Err(format!("expected {name} to be one caseExact string or integer, if it is to be unique"))
            }
            WrittenUniqueness::Global => {
                Err(format!("expected {name} to have uniqueness none or server: we know of no other server"))
            }
        }
    }

    fn into_attribute(self) -> Attribute {
        let ty = match self.ty {
            WrittenType::String => Type::String,
            WrittenType::Boolean => Type::Boolean,
            WrittenType::Decimal => Type::Decimal,
            WrittenType::Integer => Type::Integer,
            WrittenType::DateTime => Type::DateTime,
            WrittenType::Reference => Type::Reference(leak_texts(self.reference_types)),
            WrittenType::Binary => Type::Binary,
            WrittenType::Complex => Type::Complex(leak_all(self.sub_attributes)),
        };
        Attribute {
            name: leak(self.name),
            description: leak(self.description),
            ty,
            multi: self.multi_valued,
            required: self.required,
            case_exact: self.case_exact || matches!(self.ty, WrittenType::Reference | WrittenType::Binary),
            mutability: match self.mutability {
                WrittenMutability::ReadOnly => Mutability::ReadOnly,
                WrittenMutability::ReadWrite | WrittenMutability::WriteOnly => Mutability::ReadWrite,
                WrittenMutability::Immutable => Mutability::Immutable,
            },
            returned: match self.returned {
                WrittenReturned::Always => Returned::Always,
                WrittenReturned::Default | WrittenReturned::Never => Returned::Default,
                WrittenReturned::Request => Returned::Request,
            },
            uniqueness: match self.uniqueness {
                WrittenUniqueness::Server => Uniqueness::Server,
                WrittenUniqueness::None | WrittenUniqueness::Global => Uniqueness::None,
            },
            canonical: leak_texts(self.canonical_values),
            format: Format::Free,
        }
    }
}

/// A list of attributes: some, each of a name that paths can hold and that no other has.
fn check_all(attributes: &[WrittenAttribute], of: &str) -> Result<(), String> {
    if attributes.is_empty() {
        return Err(format!("expected {of} to hold at least one"));
    }
    for (index, attribute) in attributes.iter().enumerate() {
        let name = &attribute.name;
        if !is_name(name) {
            return Err(format!("expected an attribute's name in {of} of letters, digits, - and _, not {name:?}"));
        }
        if attributes.iter().take(index).any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Err(format!("expected {name} to stand once in {of}"));
        }
    }
    Ok(())
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn leak_texts(texts: Vec<String>) -> &'static [&'static str] {
    Box::leak(texts.into_iter().map(leak).collect())
}

fn leak_all(attributes: Vec<WrittenAttribute>) -> &'static [Attribute] {
    Box::leak(attributes.into_iter().map(WrittenAttribute::into_attribute).collect())
}

/// All tests of one process share one table, so one extension stands in it for them.
#[cfg(test)]
pub(super) fn fixture() -> Custom {
    Custom::read(ResourceKind::User, &serde_json::from_str(include_str!("custom.json")).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::schema::{BUILT_IN, ENTERPRISE_URN, schema_json};

    fn refused(attribute: &Value) -> String {
        let schema = json!({"id": "urn:example:2.0:User", "attributes": [attribute]});
        Custom::read(ResourceKind::User, &schema).unwrap_err()
    }

    #[test]
    fn what_is_served_of_a_custom_extension_is_what_was_written() {
        let written: Value = serde_json::from_str(include_str!("custom.json")).unwrap();
        let served = schema_json(fixture().schema, "");
        for (written, served) in
            written["attributes"].as_array().unwrap().iter().zip(served["attributes"].as_array().unwrap())
        {
            for (key, value) in written.as_object().unwrap().iter().filter(|(key, _)| *key != "subAttributes") {
                assert_eq!(&served[key], value, "{}", written["name"]);
            }
        }
        assert_eq!(served["attributes"].as_array().unwrap().len(), written["attributes"].as_array().unwrap().len());
    }

    #[test]
    fn what_we_would_not_hold_is_refused_with_the_reason() {
        for (attribute, part) in [
            (json!({"name": "a b"}), "letters, digits"),
            (json!({"name": "members"}), "another name"),
            (json!({"name": "a", "type": "number"}), "unknown variant `number`"),
            (json!({"name": "a", "requird": true}), "unknown field `requird`"),
            (json!({"name": "a", "type": "complex"}), "subAttributes"),
            (json!({"name": "a", "subAttributes": [{"name": "b"}]}), "no subAttributes"),
            (json!({"name": "a", "type": "complex", "subAttributes": [{"name": "b"}, {"name": "B"}]}), "once in a"),
            (
                json!({"name": "a", "type": "complex", "subAttributes": [{"name": "b", "multiValued": true}]}),
                "a.b to be simple",
            ),
            (json!({"name": "a", "returned": "never"}), "not stored here"),
            (json!({"name": "a", "mutability": "writeOnly"}), "not stored here"),
            (json!({"name": "a", "uniqueness": "global"}), "no other server"),
            (json!({"name": "a", "uniqueness": "server"}), "one caseExact string"),
            (
                json!({"name": "a", "uniqueness": "server", "type": "integer", "multiValued": true}),
                "one caseExact string",
            ),
            (json!({"name": "a", "required": true, "mutability": "readOnly"}), "no client could send it"),
        ] {
            let error = refused(&attribute);
            assert!(error.contains(part), "{attribute}: {error}");
        }
        for id in ["", "x", "urn:", "urn:a b", "urn:a:"] {
            let error =
                Custom::read(ResourceKind::User, &json!({"id": id, "attributes": [{"name": "a"}]})).unwrap_err();
            assert!(error.contains("a URN"), "{id}: {error}");
        }
    }

    #[test]
    fn no_extension_takes_anothers_place() {
        for id in [ENTERPRISE_URN.to_lowercase(), format!("{ENTERPRISE_URN}:more"), "urn:ietf:params".to_owned()] {
            let schema = json!({"id": id, "attributes": [{"name": "a"}]});
            let custom = Custom::read(ResourceKind::User, &schema).unwrap();
            assert!(custom.check_beside(&BUILT_IN).is_err(), "{id}");
        }
        assert!(fixture().check_beside(&BUILT_IN).is_ok());
    }
}
