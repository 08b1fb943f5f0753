//! From a `PatchOp` message to operations (RFC 7644 §3.5.2), in all the shapes that senders give it.

use serde_json::{Map, Value};

use super::{
    Operation, Target, expand, members,
    target::{Place, not_a_path, place},
};
use crate::identity::{
    Filter, Limits, MemberOp, Mode, ResourceKind, ScimError, ScimType, agent, coerce, path::quoted, schema::Attribute,
};

/// Most values and filter terms of one PATCH, members apart: each may be compared with each of the `MAX_VALUES` values
/// that are there, and that happens inside the store's transaction.
const MAX_COST: usize = 4_000;
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// Reads a PATCH for a resource of a type.
pub fn read(limits: Limits, body: Value, kind: ResourceKind, mode: Mode) -> Result<Vec<Operation>, ScimError> {
    let Value::Object(mut body) = body else { return Err(syntax("expected a PatchOp object")) };
    if mode == Mode::Strict {
        let schemas = body.get("schemas").and_then(Value::as_array);
        if !schemas.is_some_and(|urns| urns.iter().any(|urn| urn.as_str() == Some(PATCH_OP))) {
            return Err(syntax(format!("expected schemas to hold {PATCH_OP}")));
        }
    }
    let Some(Value::Array(sent)) = take(&mut body, "Operations")? else {
        return Err(syntax("expected Operations to be a list"));
    };
    if sent.is_empty() {
        return Err(syntax("expected at least one operation"));
    }
    if sent.len() > limits.patch_operations {
        let detail = format!("expected at most {} operations", limits.patch_operations);
        return Err(ScimError::bad(ScimType::TooMany, detail));
    }
    let mut operations = Vec::with_capacity(sent.len());
    for operation in sent {
        let Value::Object(operation) = operation else { return Err(syntax("expected each operation to be an object")) };
        one(limits, operation, kind, mode, &mut operations)?;
    }
    if operations.iter().map(cost).sum::<usize>() > MAX_COST {
        let detail = format!("expected at most {MAX_COST} values and filter terms in one PATCH");
        return Err(ScimError::bad(ScimType::TooMany, detail));
    }
    Ok(operations)
}

/// An `add` or `replace` of an attribute that we know, its value typed.
pub(super) fn put(add: bool, target: Target, value: Value, mode: Mode) -> Result<Operation, ScimError> {
    let value = match (target.sub, &target.filter) {
        (Some(sub), _) => coerce::element(sub, value, mode)?,
        // A list of one for the elements that a filter finds.
        (None, Some(_)) => match coerce::attribute(target.attribute, value, mode)? {
            Value::Array(mut values) if values.len() == 1 => values.pop().unwrap_or(Value::Null),
            Value::Array(_) => return Err(value_error("one value for the elements that a filter finds")),
            value => value,
        },
        (None, None) => coerce::attribute(target.attribute, value, mode)?,
    };
    Ok(Operation::Put { add, target, value })
}

fn one(
    limits: Limits,
    mut operation: Map<String, Value>,
    kind: ResourceKind,
    mode: Mode,
    operations: &mut Vec<Operation>,
) -> Result<(), ScimError> {
    let verb = verb(take(&mut operation, "op")?.as_ref(), mode)?;
    let value = take(&mut operation, "value")?;
    let path = match take(&mut operation, "path")? {
        None | Some(Value::Null) => return pathless(limits, verb, value, kind, mode, operations),
        Some(Value::String(path)) if path.is_empty() && mode.lenient() => {
            return pathless(limits, verb, value, kind, mode, operations);
        }
        Some(Value::String(path)) => path,
        Some(_) => return Err(ScimError::bad(ScimType::InvalidPath, "expected path to be a string")),
    };
    if path.eq_ignore_ascii_case("password") && mode.lenient() {
        return Ok(());
    }
    if path.eq_ignore_ascii_case("id") && verb != Verb::Remove {
        operations.push(same_id(value)?);
        return Ok(());
    }
    let place = place(limits, &path, kind, mode)?;
    if let Place::Known(target) = &place {
        writable(target)?;
    }
    match (verb, place) {
        (_, Place::Unknown) => Err(no_attribute(&path, kind)),
        (_, Place::Foreign(_)) if !mode.lenient() => Err(no_attribute(&path, kind)),
        (_, Place::Schema(urn)) if crate::identity::schema::extension(kind, urn).is_none() => Err(not_a_path(&path)),
        (Verb::Remove, Place::Schema(urn)) => {
            operations.push(Operation::RemoveExtension(urn));
            Ok(())
        }
        (Verb::Remove, Place::Foreign(path)) => {
            operations.push(Operation::RemoveForeign(path));
            Ok(())
        }
        (Verb::Remove, Place::Known(target)) => remove(limits, target, value, mode, operations),
        (verb, place) => {
            let value = value.ok_or_else(|| value_error("a value to add or replace"))?;
            let add = verb == Verb::Add;
            match place {
                Place::Known(target) if target.attribute.name == "members" => {
                    push_members(limits, operations, members::put(add, &target, value, mode)?)?;
                }
                Place::Known(target) => operations.push(put(add, target, value, mode)?),
                _ => spread(limits, Map::from_iter([(path, value)]), add, kind, mode, operations)?,
            }
            Ok(())
        }
    }
}

/// Okta's `{"op":"replace","value":{"active":false}}`: the value's keys say what changes.
fn pathless(
    limits: Limits,
    verb: Verb,
    value: Option<Value>,
    kind: ResourceKind,
    mode: Mode,
    operations: &mut Vec<Operation>,
) -> Result<(), ScimError> {
    match (verb, value) {
        (Verb::Remove, _) => Err(ScimError::bad(ScimType::NoTarget, "expected a path to remove")),
        (verb, Some(Value::Object(value))) => spread(limits, value, verb == Verb::Add, kind, mode, operations),
        _ => Err(value_error("the value of an operation without path to be an object")),
    }
}

fn spread(
    limits: Limits,
    object: Map<String, Value>,
    add: bool,
    kind: ResourceKind,
    mode: Mode,
    operations: &mut Vec<Operation>,
) -> Result<(), ScimError> {
    let expanded = expand(limits, object, add, kind, mode)?;
    // Some attributes that we don't know beside others are ignored; a change of nothing else would be lost in silence.
    if let (Some(key), [], None, None) = (&expanded.unknown, &*expanded.operations, &expanded.members, &expanded.id) {
        let detail = format!("{} has no attribute {key}", kind.as_str());
        return Err(ScimError::bad(ScimType::InvalidPath, detail));
    }
    if let Some(id) = expanded.id {
        operations.push(same_id(Some(id))?);
    }
    operations.extend(expanded.operations);
    if let Some(members) = expanded.members {
        push_members(limits, operations, members)?;
    }
    Ok(())
}

fn remove(
    limits: Limits,
    target: Target,
    value: Option<Value>,
    mode: Mode,
    operations: &mut Vec<Operation>,
) -> Result<(), ScimError> {
    if target.attribute.name == "members" {
        return push_members(limits, operations, members::remove(&target, value, mode)?);
    }
    let whole = target.filter.is_none() && target.sub.is_none();
    if target.attribute.required && whole {
        return Err(mutability(format!("{} is required and can't be removed", target.attribute.name)));
    }
    match value {
        Some(value) if whole && target.attribute.multi && !value.is_null() => {
            let values = match coerce::attribute(target.attribute, value, mode)? {
                Value::Array(values) => values,
                _ => Vec::new(),
            };
            let values = match target.attribute.name {
                "owners" => values.iter().map(agent::owner).collect::<Result<_, _>>()?,
                _ => values,
            };
            operations.push(Operation::RemoveValues(target, values));
        }
        _ => operations.push(Operation::Remove(target)),
    }
    Ok(())
}

/// Joins neighbours of one kind: Okta and Entra send one operation for each member.
fn push_members(limits: Limits, operations: &mut Vec<Operation>, next: MemberOp) -> Result<(), ScimError> {
    members::check(limits, &next)?;
    match (operations.last_mut(), next) {
        (Some(Operation::Members(MemberOp::Add(before))), MemberOp::Add(ids))
        | (Some(Operation::Members(MemberOp::Remove(before))), MemberOp::Remove(ids)) => before.extend(ids),
        (_, next) => operations.push(Operation::Members(next)),
    }
    Ok(())
}

fn writable(target: &Target) -> Result<(), ScimError> {
    let read_only = target.attribute.read_only_attribute() || target.sub.is_some_and(Attribute::read_only_attribute);
    if read_only { Err(mutability(format!("{} is readOnly", target.attribute.name))) } else { Ok(()) }
}

fn same_id(value: Option<Value>) -> Result<Operation, ScimError> {
    match value {
        Some(Value::String(id)) => Ok(Operation::SameId(id)),
        _ => Err(value_error("id to be a string")),
    }
}

fn verb(op: Option<&Value>, mode: Mode) -> Result<Verb, ScimError> {
    let op = op.and_then(Value::as_str).unwrap_or_default();
    let folded = if mode.lenient() { op.to_ascii_lowercase() } else { op.to_owned() };
    match folded.as_str() {
        "add" => Ok(Verb::Add),
        "replace" => Ok(Verb::Replace),
        "remove" => Ok(Verb::Remove),
        _ => Err(syntax(format!("expected op to be add, replace or remove, not {}", quoted(op)))),
    }
}

/// Takes a member by name without case; twice is an error, since one of them would be lost.
fn take(object: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, ScimError> {
    let keys: Vec<_> = object.keys().filter(|key| key.eq_ignore_ascii_case(name)).cloned().collect();
    match keys.as_slice() {
        [] => Ok(None),
        [key] => Ok(object.remove(key)),
        _ => Err(syntax(format!("{name} is stated twice"))),
    }
}

fn cost(operation: &Operation) -> usize {
    let terms = |target: &Target| target.filter.as_ref().map_or(0, Filter::terms);
    match operation {
        Operation::Put { target, value: Value::Array(values), .. } | Operation::RemoveValues(target, values) => {
            values.len() + terms(target)
        }
        Operation::Put { target, .. } | Operation::Remove(target) => 1 + terms(target),
        Operation::Members(_) => 0,
        _ => 1,
    }
}

fn no_attribute(path: &str, kind: ResourceKind) -> ScimError {
    ScimError::bad(ScimType::InvalidPath, format!("{} has no attribute {}", kind.as_str(), quoted(path)))
}

fn mutability(detail: String) -> ScimError {
    ScimError::bad(ScimType::Mutability, detail)
}

fn value_error(expected: &str) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, format!("expected {expected}"))
}

fn syntax(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidSyntax, detail)
}
