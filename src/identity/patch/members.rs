//! A group's members in PATCH, POST and PUT: always as a change, so that the members there are need never be loaded.

use std::collections::HashSet;

use serde_json::Value;

use super::Target;
use crate::identity::{CompareOp, Filter, Limits, MemberOp, Mode, ResourceId, ScimError, ScimType, path::quoted};

/// `add` or `replace` of members. Whether one that is nobody here is an error is for the store to say.
pub(super) fn put(add: bool, target: &Target, value: Value, mode: Mode) -> Result<MemberOp, ScimError> {
    if target.filter.is_some() || target.sub.is_some() {
        return Err(shape("members to be added or replaced as a whole, by the path members"));
    }
    let ids = ids(value, mode, |_| Ok(ResourceId::NOBODY))?;
    Ok(if add { MemberOp::Add(ids) } else { MemberOp::Replace(ids) })
}

/// `remove` of members: those that the filter or the value names, or, with neither, all.
pub(super) fn remove(target: &Target, value: Option<Value>, mode: Mode) -> Result<MemberOp, ScimError> {
    match (&target.filter, target.sub, value) {
        (_, Some(_), _) => Err(shape("members to be removed as a whole, not a sub-attribute")),
        (Some(filter), None, None | Some(Value::Null)) => {
            let mut found = Vec::new();
            named(filter, &mut found)?;
            Ok(MemberOp::Remove(found))
        }
        (Some(_), None, Some(_)) => Err(shape("either a filter or a value, not both")),
        (None, None, None) => Ok(MemberOp::Replace(Vec::new())),
        // Nothing, or a list that something failed to fill? To empty a group, an IdP must say so.
        (None, None, Some(Value::Null)) => Err(shape("no value at all to remove all members, or a list of some")),
        (None, None, Some(value)) => Ok(MemberOp::Remove(ids(value, mode, no_id)?)),
    }
}

/// Whether one operation, or a whole group, names no more than it may.
pub(in crate::identity) fn check(limits: Limits, op: &MemberOp) -> Result<(), ScimError> {
    let (MemberOp::Add(ids) | MemberOp::Remove(ids) | MemberOp::Replace(ids)) = op;
    if ids.len() <= limits.members {
        return Ok(());
    }
    let detail = format!("expected at most {} members in one operation", limits.members);
    Err(ScimError::bad(ScimType::TooMany, detail))
}

/// The ids that a list of members names; duplicates once. `odd` says what a value means that is no id.
fn ids(
    value: Value,
    mode: Mode,
    odd: impl Fn(&str) -> Result<ResourceId, ScimError>,
) -> Result<Vec<ResourceId>, ScimError> {
    let values = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values,
        one => vec![one],
    };
    let mut seen = HashSet::with_capacity(values.len());
    let mut found = Vec::with_capacity(values.len());
    for value in &values {
        let text = match value {
            Value::String(text) if mode.lenient() => Some(text.as_str()),
            Value::Object(member) => {
                member.iter().find(|(key, _)| key.eq_ignore_ascii_case("value")).and_then(|(_, id)| id.as_str())
            }
            _ => None,
        };
        let text = text.ok_or_else(|| shape("each member to be an object with a value"))?;
        let id = text.parse().or_else(|_| odd(text))?;
        if seen.insert(id) {
            found.push(id);
        }
    }
    Ok(found)
}

/// A malformed id is always an error when it is to be removed: whoever it meant would silently stay.
fn no_id(text: &str) -> Result<ResourceId, ScimError> {
    let detail = format!("expected a member's value to be an id that this server gave, not {}", quoted(text));
    Err(ScimError::bad(ScimType::InvalidValue, detail))
}

/// `value eq "…"`, and several of them tied by `or`.
fn named(filter: &Filter, found: &mut Vec<ResourceId>) -> Result<(), ScimError> {
    match filter {
        Filter::Or(left, right) => {
            named(left, found)?;
            named(right, found)
        }
        Filter::Compare(path, CompareOp::Eq, Value::String(text)) if path.name == "value" => {
            found.push(text.parse().or_else(|_| no_id(text))?);
            Ok(())
        }
        _ => Err(ScimError::bad(ScimType::InvalidPath, "expected a path as members[value eq \"id\"]")),
    }
}

fn shape(expected: &'static str) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, format!("expected {expected}"))
}
