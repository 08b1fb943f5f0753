//! A JSON object as operations on what its keys name: the value of a path-less PATCH operation, or a whole resource. Keys
//! are attributes, dotted paths and URN paths (Entra's `"name.givenName"`, `"urn:…:User:employeeNumber"`), and extensions.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    ForeignPath, Operation, Target, members,
    read::put,
    target::{Place, place},
};
use crate::identity::{
    Limits, MemberOp, Mode, ResourceKind, ScimError, ScimType,
    path::quoted,
    schema::{self, Attribute, Schema},
};

/// What an object says.
#[derive(Debug, Default)]
pub(in crate::identity) struct Expanded {
    /// Attributes to put.
    pub(in crate::identity) operations: Vec<Operation>,
    /// Members, where it names any.
    pub(in crate::identity) members: Option<MemberOp>,
    /// `id`, where it states one.
    pub(in crate::identity) id: Option<Value>,
    /// A key that we don't know, where there was one.
    pub(in crate::identity) unknown: Option<String>,
}

/// Reads an object. `schemas`, `meta` and what else is readOnly are ignored (RFC 7644 §3.3). What we don't know is ignored
/// or, in strict mode, refused: `password` too, which we never keep.
pub(in crate::identity) fn expand(
    limits: Limits,
    object: Map<String, Value>,
    add: bool,
    kind: ResourceKind,
    mode: Mode,
) -> Result<Expanded, ScimError> {
    let mut expanded = Expanded::default();
    let mut seen = HashSet::new();
    for (key, value) in object {
        if !seen.insert(key.to_ascii_lowercase()) {
            let detail = format!("{} is stated twice", quoted(&key));
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        }
        match key.to_ascii_lowercase().as_str() {
            "id" => {
                expanded.id = Some(value);
                continue;
            }
            "schemas" => {
                check_schemas(&value, kind, mode)?;
                continue;
            }
            "meta" => continue,
            "password" if mode.lenient() => continue,
            _ => {}
        }
        // A key that no path can be is no attribute of ours.
        let place = place(limits, &key, kind, mode).unwrap_or(Place::Unknown);
        member(&mut expanded, &key, place, value, add, kind, mode)?;
    }
    Ok(expanded)
}

fn member(
    expanded: &mut Expanded,
    key: &str,
    place: Place,
    value: Value,
    add: bool,
    kind: ResourceKind,
    mode: Mode,
) -> Result<(), ScimError> {
    match place {
        Place::Schema(urn) => match schema::extension(kind, urn) {
            Some(schema) => extension(expanded, schema, value, add, mode),
            None => unknown(expanded, key, mode),
        },
        Place::Known(target) if target.attribute.name == "members" => {
            expanded.members = Some(members::put(add, &target, value, mode)?);
            Ok(())
        }
        Place::Known(target) if target.attribute.read_only_attribute() => Ok(()),
        Place::Known(target) => {
            expanded.operations.push(put(add, target, value, mode)?);
            Ok(())
        }
        Place::Foreign(path) if mode.lenient() => foreign(expanded, path, value),
        Place::Foreign(_) | Place::Unknown => unknown(expanded, key, mode),
    }
}

fn extension(
    expanded: &mut Expanded,
    schema: &'static Schema,
    value: Value,
    add: bool,
    mode: Mode,
) -> Result<(), ScimError> {
    let object = match value {
        Value::Object(object) => object,
        Value::Null => {
            expanded.operations.push(Operation::RemoveExtension(schema.id));
            return Ok(());
        }
        _ => {
            let detail = format!("expected {} to be an object", schema.id);
            return Err(ScimError::bad(ScimType::InvalidValue, detail));
        }
    };
    let mut seen = HashSet::new();
    for (key, value) in object {
        let (name, sub) = key.split_once('.').map_or((key.as_str(), None), |(name, sub)| (name, Some(sub)));
        let Some(attribute) = schema.attribute(name) else {
            unknown(expanded, &key, mode)?;
            continue;
        };
        let sub = match sub.map(|sub| attribute.sub(sub)) {
            None => None,
            Some(Some(sub)) => Some(sub),
            Some(None) => {
                unknown(expanded, &key, mode)?;
                continue;
            }
        };
        if !seen.insert(key.to_ascii_lowercase()) {
            let detail = format!("{} is stated twice", quoted(&key));
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        }
        if attribute.read_only_attribute() || sub.is_some_and(Attribute::read_only_attribute) {
            continue;
        }
        let target = Target { extension: Some(schema.id), attribute, filter: None, sub };
        expanded.operations.push(put(add, target, value, mode)?);
    }
    Ok(())
}

fn foreign(expanded: &mut Expanded, path: ForeignPath, value: Value) -> Result<(), ScimError> {
    crate::identity::coerce::foreign(&value)?;
    expanded.operations.push(Operation::PutForeign { path, value });
    Ok(())
}

fn unknown(expanded: &mut Expanded, key: &str, mode: Mode) -> Result<(), ScimError> {
    if mode.lenient() {
        expanded.unknown = Some(quoted(key));
        return Ok(());
    }
    Err(ScimError::bad(ScimType::InvalidSyntax, format!("{} is no attribute of this resource", quoted(key))))
}

fn check_schemas(value: &Value, kind: ResourceKind, mode: Mode) -> Result<(), ScimError> {
    let urns = match value {
        Value::Array(urns) => urns.as_slice(),
        Value::Null => &[],
        _ => return Err(ScimError::bad(ScimType::InvalidSyntax, "expected schemas to be a list of URNs")),
    };
    if urns.iter().any(|urn| !urn.is_string()) {
        return Err(ScimError::bad(ScimType::InvalidSyntax, "expected schemas to be a list of URNs"));
    }
    let core = schema::core(kind).id;
    if mode == Mode::Strict && !urns.iter().any(|urn| urn.as_str() == Some(core)) {
        return Err(ScimError::bad(ScimType::InvalidSyntax, format!("expected schemas to hold {core}")));
    }
    Ok(())
}
