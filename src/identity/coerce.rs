//! From what a client sent to what we keep: canonical names, values of their attribute's type. Compat mode forgives what
//! real identity providers get wrong in ways that have one meaning only; what could mean two things is an error in both modes.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::{
    Mode, ScimError, ScimType,
    path::quoted,
    schema::{Attribute, Format, Type},
};

/// Longest name (`userName`, `displayName`), bytes.
pub const MAX_NAME: usize = 512;
/// Longest text, bytes.
pub const MAX_TEXT: usize = 8 * 1024;
/// Longest binary value or URI (photos come as data URIs), bytes.
pub const MAX_BLOB: usize = 64 * 1024;
/// Most values of one attribute; members have their own cap.
pub const MAX_VALUES: usize = 500;

/// A whole attribute's value; `Null` for unassigned (RFC 7643 §2.5: null and an empty list are the same as no value).
pub(super) fn attribute(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Value, ScimError> {
    if !attribute.multi {
        return single(attribute, value, mode);
    }
    let values = match value {
        Value::Null => return Ok(Value::Null),
        Value::Array(values) => values,
        one => vec![one],
    };
    if values.len() > MAX_VALUES {
        return Err(invalid(attribute, &format!("to have at most {MAX_VALUES} values")));
    }
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        match element(attribute, value, mode)? {
            Value::Null => {}
            value => match kept.iter_mut().find(|one| is_same(one, &value)) {
                Some(Value::Object(one)) if agree(one, &value) => one.extend(fields(value)),
                _ => kept.push(value),
            },
        }
    }
    if kept.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(invalid(attribute, "to have at most one primary value"));
    }
    Ok(if kept.is_empty() { Value::Null } else { Value::Array(kept) })
}

/// One value of an attribute, or the value of a sub-attribute.
pub(super) fn element(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Value, ScimError> {
    match (attribute.ty, value) {
        (_, Value::Null) => Ok(Value::Null),
        (Type::Complex(_), Value::Object(object)) => complex(attribute, object, mode),
        // A bare string for a complex value: its `value` (Entra's manager, bare-string members).
        (Type::Complex(_), value @ Value::String(_)) if mode.lenient() => match attribute.sub("value") {
            Some(_) => complex(attribute, Map::from_iter([("value".to_owned(), value)]), mode),
            None => Err(invalid(attribute, "to be an object")),
        },
        (Type::Complex(_), _) => Err(invalid(attribute, "to be an object")),
        (Type::Boolean, value) => boolean(attribute, &value, mode),
        (Type::Integer | Type::Decimal, value) => number(attribute, &value, mode),
        (Type::DateTime, Value::String(text)) if DateTime::parse_from_rfc3339(&text).is_ok() => Ok(text.into()),
        (Type::DateTime, _) => Err(invalid(attribute, "to be a time as \"2026-01-31T12:00:00Z\"")),
        // RFC 7643 §7 calls them suggestions; strict mode holds an IdP to them, so that a misspelt type is seen.
        (_, Value::String(value)) if !mode.lenient() && !is_canonical(attribute, &value) => {
            Err(invalid(attribute, &format!("to be one of {}", attribute.canonical.join(", "))))
        }
        (_, Value::String(value)) => text(attribute, value),
        // One that may have been written otherwise than we would write it is none of the sender's texts.
        (_, Value::Number(number)) if mode.lenient() && !number.is_f64() => text(attribute, number.to_string()),
        (_, Value::Number(_)) if mode.lenient() => {
            Err(invalid(attribute, "to be a string, or a whole number of 64 bits"))
        }
        _ => Err(invalid(attribute, "to be a string")),
    }
}

/// Whether a value of a list is marked `primary`.
pub(super) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool) == Some(true)
}

/// Whether it is a canonical value, where there are some. An empty one unassigns.
fn is_canonical(attribute: &Attribute, value: &str) -> bool {
    let mut canonical = attribute.canonical.iter();
    let is = |one: &&str| if attribute.case_exact { *one == value } else { one.eq_ignore_ascii_case(value) };
    value.is_empty() || attribute.canonical.is_empty() || canonical.any(is)
}

/// Whether two values are one `type` and `value`, of which a list should show only one (RFC 7643 §2.4).
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    one.get("value").is_some_and(|value| other.get("value") == Some(value)) && one.get("type") == other.get("type")
}

/// The sub-attributes of a complex value.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn agree(one: &Map<String, Value>, other: &Value) -> bool {
    one.iter().all(|(name, value)| other.get(name).is_none_or(|said| said == value))
}

/// A value of an extension that we don't know is kept as it is; only NUL is refused, which PostgreSQL can't store.
pub(super) fn foreign(value: &Value) -> Result<(), ScimError> {
    // Depth is bounded by the JSON parser's own limit of 128.
    let clean = match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(values) => return values.iter().try_for_each(foreign),
        Value::Object(object) if object.keys().any(|key| key.contains('\0')) => false,
        Value::Object(object) => return object.values().try_for_each(foreign),
        _ => true,
    };
    if clean { Ok(()) } else { Err(ScimError::bad(ScimType::InvalidValue, "expected no NUL characters")) }
}

fn single(attribute: &'static Attribute, value: Value, mode: Mode) -> Result<Value, ScimError> {
    match value {
        // Entra sends a manager as a list of one.
        Value::Array(mut values) if mode.lenient() && values.len() < 2 => {
            element(attribute, values.pop().unwrap_or(Value::Null), mode)
        }
        Value::Array(_) => Err(invalid(attribute, "to have one value, not a list")),
        value => element(attribute, value, mode),
    }
}

fn complex(attribute: &'static Attribute, object: Map<String, Value>, mode: Mode) -> Result<Value, ScimError> {
    let mut kept = Map::new();
    for (key, value) in object {
        let Some(sub) = attribute.sub(&key) else {
            if mode.lenient() {
                continue;
            }
            let detail = format!("{} has no sub-attribute {}", attribute.name, quoted(&key));
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        };
        if sub.read_only_attribute() {
            continue;
        }
        let value = element(sub, value, mode)?;
        if !value.is_null() && kept.insert(sub.name.to_owned(), value).is_some() {
            let detail = format!("{}.{} is stated twice", attribute.name, sub.name);
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        }
    }
    Ok(if kept.is_empty() { Value::Null } else { Value::Object(kept) })
}

fn boolean(attribute: &'static Attribute, value: &Value, mode: Mode) -> Result<Value, ScimError> {
    match value {
        Value::Bool(value) => Ok((*value).into()),
        // Entra: "False". Read as a non-empty string it would be true, and a leaver would stay.
        Value::String(text) if mode.lenient() && text.eq_ignore_ascii_case("true") => Ok(true.into()),
        Value::String(text) if mode.lenient() && text.eq_ignore_ascii_case("false") => Ok(false.into()),
        _ => Err(invalid(attribute, "to be true or false")),
    }
}

/// A number, also one in a string: Entra sends some so.
fn number(attribute: &'static Attribute, value: &Value, mode: Mode) -> Result<Value, ScimError> {
    let whole = matches!(attribute.ty, Type::Integer);
    let number = match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) if mode.lenient() => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if !whole || number.is_i64() => Ok(number.into()),
        _ if whole => Err(invalid(attribute, "to be a whole number")),
        _ => Err(invalid(attribute, "to be a number")),
    }
}

fn text(attribute: &'static Attribute, text: String) -> Result<Value, ScimError> {
    let longest = match (attribute.format, attribute.ty) {
        (Format::Name, _) => MAX_NAME,
        (_, Type::Binary | Type::Reference(_)) => MAX_BLOB,
        _ => MAX_TEXT,
    };
    if text.len() > longest {
        return Err(invalid(attribute, &format!("to be at most {longest} bytes long")));
    }
    // An empty `value` is how Entra clears a manager; an element that has nothing to say is none.
    if text.is_empty() && (attribute.name == "value" || attribute.format != Format::Free) {
        return Ok(Value::Null);
    }
    let fits = match attribute.format {
        Format::Name => !text.contains(misleading),
        Format::Account | Format::Free => !text.contains('\0'),
    };
    if fits { Ok(text.into()) } else { Err(invalid(attribute, "to have no control characters")) }
}

/// Characters that make a log line or a table say something else than it does: controls, line separators, and the
/// invisible ones that turn the direction of text.
pub(super) fn misleading(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Names the attribute and what was expected of it; never the value, which may be a secret in the wrong place.
fn invalid(attribute: &Attribute, expected: &str) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, format!("expected {} {expected}", attribute.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::{ResourceKind, schema};

    fn user(name: &str, value: Value) -> Result<Value, ScimError> {
        attribute(schema::core(ResourceKind::User).attribute(name).unwrap(), value, Mode::Compat)
    }

    fn strict(name: &str, value: Value) -> Result<Value, ScimError> {
        attribute(schema::core(ResourceKind::User).attribute(name).unwrap(), value, Mode::Strict)
    }

    fn manager(value: Value) -> Result<Value, ScimError> {
        let schema = schema::extension(ResourceKind::User, schema::ENTERPRISE_URN).unwrap();
        attribute(schema.attribute("manager").unwrap(), value, Mode::Compat)
    }

    #[test]
    fn false_as_a_string_is_false() {
        for text in ["False", "false", "FALSE"] {
            assert_eq!(user("active", json!(text)), Ok(json!(false)));
            assert!(strict("active", json!(text)).is_err());
        }
        for odd in [json!("no"), json!(0), json!(""), json!([true, false]), json!({})] {
            assert_eq!(user("active", odd).unwrap_err().scim_type, Some(ScimType::InvalidValue));
        }
    }

    #[test]
    fn a_manager_comes_in_four_shapes() {
        let expected = Ok(json!({"value": "m1"}));
        assert_eq!(manager(json!("m1")), expected);
        assert_eq!(manager(json!({"value": "m1"})), expected);
        assert_eq!(manager(json!([{"value": "m1", "$ref": null}])), expected);
        for empty in [json!(""), json!(null), json!([]), json!({"value": ""}), json!([""])] {
            assert_eq!(manager(empty), Ok(Value::Null));
        }
    }

    #[test]
    fn names_of_sub_attributes_become_canonical_and_unknown_ones_are_ignored_or_refused() {
        let sent = json!([{"Value": "a@b.c", "TYPE": "work", "primary": "True", "x": 1}]);
        assert_eq!(user("emails", sent.clone()), Ok(json!([{"value": "a@b.c", "type": "work", "primary": true}])));
        let unknown = strict("emails", json!([{"value": "a@b.c", "x": 1}]));
        assert_eq!(unknown.unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
        assert!(user("emails", json!([{"value": "a", "VALUE": "b"}])).is_err());
    }

    #[test]
    fn an_empty_list_is_no_value_and_a_bare_string_is_one() {
        assert_eq!(user("roles", json!([])), Ok(Value::Null));
        assert_eq!(user("roles", json!(["admin", null])), Ok(json!([{"value": "admin"}])));
        assert_eq!(user("roles", json!({"value": "admin"})), Ok(json!([{"value": "admin"}])));
    }

    #[test]
    fn canonical_values_are_suggestions_that_only_strict_mode_holds_to() {
        let email = |ty: &str| json!([{"value": "a@b.c", "type": ty}]);
        assert_eq!(user("emails", email("private")), Ok(email("private")));
        let error = strict("emails", email("private")).unwrap_err();
        assert_eq!(error.detail, "expected type to be one of work, home, other");
        assert_eq!(strict("emails", email("HOME")), Ok(email("HOME")));
        // Where there are none, any text is a value; an empty one is none.
        assert_eq!(strict("roles", json!([{"value": "r", "type": "any"}])), Ok(json!([{"value": "r", "type": "any"}])));
        assert!(strict("emails", email("")).is_ok());
    }

    #[test]
    fn a_value_that_is_listed_twice_is_one_unless_the_two_disagree() {
        let emails = |value| user("emails", value);
        let sent =
            json!([{"value": "a", "type": "work"}, {"value": "b"}, {"value": "a", "type": "work", "primary": true}]);
        assert_eq!(emails(sent), Ok(json!([{"value": "a", "type": "work", "primary": true}, {"value": "b"}])));
        let disagree = json!([{"value": "a", "display": "x"}, {"value": "a", "display": "y"}]);
        assert_eq!(emails(disagree.clone()), Ok(disagree));
        let typed = json!([{"value": "a", "type": "work"}, {"value": "a", "type": "home"}, {"value": "a"}]);
        assert_eq!(emails(typed.clone()), Ok(typed));
        let streets = json!([{"country": "DE"}, {"country": "DE", "locality": "Berlin"}]);
        assert_eq!(user("addresses", streets.clone()), Ok(streets));
    }

    #[test]
    fn a_number_for_a_text_is_taken_as_it_is_written_or_not_at_all() {
        for (sent, kept) in [("7", "7"), ("-7", "-7"), ("18446744073709551615", "18446744073709551615")] {
            assert_eq!(user("title", serde_json::from_str(sent).unwrap()), Ok(json!(kept)));
        }
        for sent in ["12e3", "1.50", "7.0", "184467440737095516150"] {
            let error = user("title", serde_json::from_str(sent).unwrap()).unwrap_err();
            assert_eq!(error.scim_type, Some(ScimType::InvalidValue), "{sent}");
        }
    }

    #[test]
    fn two_primary_values_are_refused() {
        assert!(user("emails", json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}])).is_err());
    }

    #[test]
    fn a_name_that_would_forge_a_log_line_is_refused() {
        for name in ["a\nb", "a\u{1b}[2J", "a\u{202e}b", "a\0", "a\u{2028}b"] {
            assert!(user("userName", json!(name)).is_err(), "{name:?}");
        }
        assert_eq!(user("userName", json!("Jürgen Ä. 🙂")), Ok(json!("Jürgen Ä. 🙂")));
        assert!(user("userName", json!("x".repeat(MAX_NAME + 1))).is_err());
    }

    #[test]
    fn an_account_is_a_number_whatever_its_json_type() {
        let github =
            schema::extension(ResourceKind::User, schema::ACCOUNTS_URN).unwrap().attribute("githubId").unwrap();
        let read = |value| attribute(github, value, Mode::Compat);
        assert_eq!(read(json!("583231")), Ok(json!("583231")));
        assert_eq!(read(json!(583_231)), Ok(json!("583231")));
        assert_eq!(read(json!("")), Ok(Value::Null));
    }

    #[test]
    fn an_error_never_repeats_the_value() {
        let error = user("active", json!("hunter2")).unwrap_err();
        assert_eq!(error.detail, "expected active to be true or false");
    }
}
