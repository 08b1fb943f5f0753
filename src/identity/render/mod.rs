//! A resource as SCIM JSON (RFC 7643 §3), and which part of it a client asked for.

mod extension;
mod projection;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

pub use projection::Projection;

use super::{Resource, ResourceId, ResourceKind, schema};

/// Someone in a group, or a group that someone is in.
#[derive(Clone, Copy, Debug)]
pub struct Relation<'a> {
    /// SCIM `id`.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: &'a str,
}

/// A resource for an answer. `relations` are a group's members, or the groups that a user or an Agent is in; `base` is the address of `/scim/v2`.
pub fn render<'a>(
    resource: &Resource,
    relations: impl IntoIterator<Item = Relation<'a>>,
    base: &str,
    projection: &Projection,
) -> Value {
    let mut json = Map::new();
    let put = |json: &mut Map<String, Value>, key: &str, value: Value| {
        if let Some(value) = projection.keep(key, value) {
            json.insert(key.to_owned(), value);
        }
    };
    put(&mut json, "schemas", resource.schemas().collect());
    put(&mut json, "id", resource.id.to_string().into());
    if let Some(id) = &resource.external_id {
        put(&mut json, "externalId", id.as_str().into());
    }
    for (key, value) in &resource.attributes {
        if let Some(schema) = schema::extension(resource.kind, key) {
            if let Some(shown) = extension::shown(schema, value, projection) {
                json.insert(key.clone(), shown);
            }
        } else if projection.wants(key) {
            let value = if key == "owners" { owners(value, base) } else { value.clone() };
            put(&mut json, key, value);
        }
    }
    let (key, relations): (_, Vec<_>) = match resource.kind {
        ResourceKind::Group => {
            let named = projection.asks_for(&["members", "display"]);
            ("members", relations.into_iter().map(|one| member(one, base, named)).collect())
        }
        ResourceKind::User | ResourceKind::Agent => {
            ("groups", relations.into_iter().map(|one| group(one, base)).collect())
        }
    };
    if !relations.is_empty() {
        put(&mut json, key, Value::Array(relations));
    }
    let meta = json!({
        "resourceType": resource.kind.as_str(),
        "created": resource.created.to_rfc3339_opts(SecondsFormat::Millis, true),
        "lastModified": resource.last_modified.to_rfc3339_opts(SecondsFormat::Millis, true),
        "location": location(resource.kind, resource.id, base),
        "version": resource.etag(),
    });
    put(&mut json, "meta", meta);
    Value::Object(json)
}

/// Address of a resource.
pub fn location(kind: ResourceKind, id: ResourceId, base: &str) -> String {
    format!("{base}/{}/{id}", kind.endpoint())
}

/// Of an owner we hold the id; the address is ours to say.
fn owners(held: &Value, base: &str) -> Value {
    let owner = |held: &Value| {
        let value = held.get("value").and_then(Value::as_str).unwrap_or_default();
        json!({"value": value, "$ref": format!("{base}/{}/{value}", ResourceKind::User.endpoint())})
    };
    held.as_array().into_iter().flatten().map(owner).collect()
}

fn member(one: Relation<'_>, base: &str, named: bool) -> Value {
    let mut member = json!({
        "value": one.id.to_string(),
        "$ref": location(one.kind, one.id, base),
        "type": one.kind.as_str(),
    });
    if named && let Some(member) = member.as_object_mut() {
        member.insert("display".into(), one.name.into());
    }
    member
}

fn group(one: Relation<'_>, base: &str) -> Value {
    json!({
        "value": one.id.to_string(),
        "$ref": location(one.kind, one.id, base),
        "type": "direct",
        "display": one.name,
    })
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use uuid::Uuid;

    use super::*;

    fn alice() -> Resource {
        let Value::Object(attributes) = json!({
            "userName": "alice",
            "name": {"givenName": "Alice", "familyName": "A"},
            "emails": [{"type": "work", "value": "a@b.c"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D", "division": "X"},
        }) else {
            panic!("an object")
        };
        let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap();
        Resource {
            id: ResourceId(Uuid::from_u128(1)),
            kind: ResourceKind::User,
            idp: "okta".into(),
            external_id: Some("x".into()),
            attributes,
            version: 3,
            created: at,
            last_modified: at,
        }
    }

    fn shown(attributes: &str, excluded: &str) -> Value {
        let projection = Projection::read(Some(attributes), Some(excluded), ResourceKind::User);
        let groups = [Relation { id: ResourceId(Uuid::from_u128(7)), kind: ResourceKind::Group, name: "deployers" }];
        render(&alice(), groups, "https://x/scim/v2", &projection)
    }

    #[test]
    fn a_resource_is_shown_with_schemas_and_meta() {
        let id = "00000000-0000-0000-0000-000000000001";
        let group = "00000000-0000-0000-0000-000000000007";
        assert_eq!(
            shown("", ""),
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
                "id": id,
                "externalId": "x",
                "userName": "alice",
                "name": {"givenName": "Alice", "familyName": "A"},
                "emails": [{"type": "work", "value": "a@b.c"}],
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D", "division": "X"},
                "groups": [{"value": group, "$ref": format!("https://x/scim/v2/Groups/{group}"), "type": "direct", "display": "deployers"}],
                "meta": {
                    "resourceType": "User", "created": "2026-01-31T12:00:00.000Z", "lastModified": "2026-01-31T12:00:00.000Z",
                    "version": "W/\"3\"", "location": format!("https://x/scim/v2/Users/{id}"),
                },
            })
        );
    }

    #[test]
    fn only_what_was_asked_for_is_shown_and_always_the_id() {
        let json = shown(
            "USERNAME, name.givenName,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division,nope",
            "",
        );
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 5, "{keys:?}");
        assert_eq!(json["name"], json!({"givenName": "Alice"}));
        assert_eq!(json["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"], json!({"division": "X"}));
        assert_eq!(json["id"], "00000000-0000-0000-0000-000000000001");
        let emails = shown("emails.value", "");
        assert_eq!(emails["emails"], json!([{"value": "a@b.c"}]));
    }

    #[test]
    fn what_was_excluded_is_not_shown_but_for_the_id() {
        let json = shown(
            "",
            "id,schemas,groups,name.familyName,emails,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        );
        for gone in ["groups", "emails", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] {
            assert!(json.get(gone).is_none(), "{gone}");
        }
        assert_eq!(json["name"], json!({"givenName": "Alice"}));
        assert!(json.get("id").is_some() && json.get("schemas").is_some() && json.get("meta").is_some());
    }
}
