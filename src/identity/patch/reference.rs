//! References in extensions (RFC 7643 §4.3, `manager`): one that now names somebody else keeps nothing of the last.

use serde_json::{Map, Value};

use crate::identity::{
    ResourceKind,
    schema::{self, Attribute, Mutability},
};

/// What describes whom `value` names.
const DESCRIPTIONS: [&str; 3] = ["$ref", "display", "displayName"];

/// Where a PATCH has changed the `value` of a reference, takes away what still describes the one before. After all
/// operations, since each part may come in one of its own, in any order.
pub(super) fn settle(kind: ResourceKind, before: &Map<String, Value>, after: &mut Map<String, Value>) {
    for schema in schema::extensions(kind) {
        let Some(before) = before.get(schema.id) else { continue };
        let Some(after) = after.get_mut(schema.id).and_then(Value::as_object_mut) else { continue };
        for attribute in schema.attributes.iter().filter(|attribute| is_reference(attribute)) {
            let Some(before) = before.get(attribute.name) else { continue };
            let Some(held) = after.get_mut(attribute.name).and_then(Value::as_object_mut) else { continue };
            if held.get("value") == before.get("value") {
                continue;
            }
            let goes = |name: &&str| attribute.sub(name).is_some_and(|sub| sub.mutability != Mutability::Immutable);
            for name in DESCRIPTIONS.iter().filter(|name| goes(name)) {
                if held.get(*name) == before.get(*name) {
                    held.remove(*name);
                }
            }
            if held.is_empty() {
                after.remove(attribute.name);
            }
        }
    }
}

fn is_reference(attribute: &Attribute) -> bool {
    !attribute.multi && attribute.sub("$ref").is_some() && attribute.sub("value").is_some()
}
