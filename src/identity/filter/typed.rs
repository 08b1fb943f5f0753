//! What a filter may compare with what: operators, attributes and values by their types (RFC 7644 §3.4.2.2, table 3).

use serde_json::{Number, Value};

use super::CompareOp;
use crate::identity::{
    Mode,
    schema::{Attribute, Type},
};

pub(super) fn operator(word: &str) -> Option<CompareOp> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => CompareOp::Eq,
        "ne" => CompareOp::Ne,
        "co" => CompareOp::Co,
        "sw" => CompareOp::Sw,
        "ew" => CompareOp::Ew,
        "gt" => CompareOp::Gt,
        "ge" => CompareOp::Ge,
        "lt" => CompareOp::Lt,
        "le" => CompareOp::Le,
        _ => return None,
    })
}

/// What we hold with a resource can be filtered by; a user's groups and a member's name are elsewhere (filter Groups by
/// `members.value` instead), and a location depends on who asks.
pub(in crate::identity) fn filterable(attribute: &Attribute, sub: Option<&Attribute>) -> bool {
    match (attribute.name, sub.map(|sub| sub.name)) {
        ("groups", _) | ("meta", Some("location")) => false,
        ("members" | "owners", Some(sub)) => sub == "value",
        _ => true,
    }
}

/// A value as its attribute's type wants it; else what was expected.
pub(super) fn typed(attribute: &Attribute, op: CompareOp, value: Value, mode: Mode) -> Result<Value, &'static str> {
    let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    let order = matches!(op, CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le);
    match (attribute.ty, value) {
        (Type::Boolean, _) if !equality => Err("a boolean to be compared by eq or ne"),
        (Type::Boolean, Value::Bool(value)) => Ok(value.into()),
        (Type::Boolean, Value::String(text)) if mode.lenient() && text.eq_ignore_ascii_case("true") => Ok(true.into()),
        (Type::Boolean, Value::String(text)) if mode.lenient() && text.eq_ignore_ascii_case("false") => {
            Ok(false.into())
        }
        (Type::Boolean, _) => Err("true or false"),
        (Type::Integer | Type::Decimal, _) if !equality && !order => {
            Err("a number to be compared by eq, ne, gt, ge, lt or le")
        }
        (Type::Integer | Type::Decimal, value @ Value::Number(_)) => Ok(value),
        (Type::Integer | Type::Decimal, Value::String(text)) if mode.lenient() && text.parse::<Number>().is_ok() => {
            Ok(text.parse().map_or(Value::Null, Value::Number))
        }
        (Type::Integer | Type::Decimal, _) => Err("a number"),
        (Type::Binary, _) if order => Err("a binary value not to be compared by order"),
        (Type::DateTime, _) if !equality && !order => Err("a time to be compared by eq, ne, gt, ge, lt or le"),
        (Type::DateTime, Value::String(text)) if chrono::DateTime::parse_from_rfc3339(&text).is_ok() => Ok(text.into()),
        (Type::DateTime, _) => Err("a time as \"2026-01-31T12:00:00Z\""),
        (_, Value::String(text)) => Ok(text.into()),
        (_, Value::Bool(value)) if mode.lenient() => Ok(value.to_string().into()),
        _ => Err("a string in double quotes"),
    }
}
