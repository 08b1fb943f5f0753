//! What is set once and stays (RFC 7643 §2.2, `immutable`). No built-in attribute of a resource is, but extensions may have
//! such; a group's members are rows of their own, which come and go but never change.

use serde_json::{Map, Value};

use super::{
    ResourceKind, ScimError, ScimType,
    schema::{self, Attribute, Mutability},
};

/// Holds new attributes to the old ones. What a PUT leaves out of these is kept (RFC 7644 §3.5.1 asks only that what is
/// sent be equal); a PATCH leaves nothing out, so there it is a removal.
pub(super) fn hold(
    kind: ResourceKind,
    before: &Map<String, Value>,
    after: &mut Map<String, Value>,
    is_put: bool,
) -> Result<(), ScimError> {
    for schema in schema::extensions(kind) {
        let Some(held) = before.get(schema.id).and_then(Value::as_object) else { continue };
        if is_put && !after.contains_key(schema.id) {
            // Parts of it would not be what it requires; so it stays whole, and a PUT without it fails on nothing.
            if schema.attributes.iter().any(|attribute| has_immutable(attribute, held)) {
                after.insert(schema.id.into(), Value::Object(held.clone()));
            }
            continue;
        }
        for attribute in schema.attributes {
            let Some(value) = held.get(attribute.name) else { continue };
            if is_immutable(attribute) {
                hold_one(attribute.name, value, object(after, schema.id), is_put)?;
            }
            // Sub-attributes of lists can't be immutable: `schema::Custom` refuses that.
            for sub in attribute.subs().iter().filter(|sub| !attribute.multi && is_immutable(sub)) {
                let Some(value) = value.get(sub.name) else { continue };
                let holder = object(after, schema.id).and_then(|holder| object(holder, attribute.name));
                hold_one(sub.name, value, holder, is_put)?;
            }
        }
    }
    after.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
    Ok(())
}

fn hold_one(name: &str, value: &Value, after: Option<&mut Map<String, Value>>, is_put: bool) -> Result<(), ScimError> {
    match after {
        Some(after) if is_put && !after.contains_key(name) => {
            after.insert(name.to_owned(), value.clone());
            Ok(())
        }
        Some(after) if after.get(name) == Some(value) => Ok(()),
        _ => {
            let detail = format!("expected {name} to stay as it is: it is immutable and has a value");
            Err(ScimError::bad(ScimType::Mutability, detail))
        }
    }
}

fn has_immutable(attribute: &Attribute, held: &Map<String, Value>) -> bool {
    let Some(value) = held.get(attribute.name) else { return false };
    let in_sub = |sub: &&Attribute| is_immutable(sub) && value.get(sub.name).is_some();
    is_immutable(attribute) || (!attribute.multi && attribute.subs().iter().any(|sub| in_sub(&sub)))
}

fn is_immutable(attribute: &Attribute) -> bool {
    attribute.mutability == Mutability::Immutable
}

fn object<'a>(holder: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    holder.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}
