//! A resource as SCIM JSON (RFC 7643 §3), and which part of it a client asked for.

mod extension;
mod projection;

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::{Value, json};

pub use projection::Projection;

use super::{Resource, ResourceId, ResourceKind, schema};

/// Someone in a group, or a group that someone is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// SCIM `id`.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
}

/// A resource for an answer. It is written from where it stands, without a tree of it in between.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// What is shown.
    pub resource: Resource,
    /// A group's members, or the groups that a user or an Agent is in.
    pub relations: Vec<Relation>,
    /// The address of `/scim/v2`.
    pub base: &'a str,
    /// Which part of it.
    pub projection: &'a Projection,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { resource, relations, base, projection } = self;
        let mut json = Json { map: serializer.serialize_map(None)?, projection };
        json.put("schemas", &resource.schemas().collect::<Vec<_>>())?;
        json.put("id", &resource.id)?;
        if let Some(id) = &resource.external_id {
            json.put("externalId", id)?;
        }
        for (key, value) in &resource.attributes {
            if let Some(schema) = schema::extension(resource.kind, key) {
                if let Some(shown) = extension::shown(schema, value, projection) {
                    json.map.serialize_entry(key, &*shown)?;
                }
            } else if key == "owners" {
                json.put(key, &owners(value, base))?;
            } else {
                json.put(key, value)?;
            }
        }
        if !relations.is_empty() {
            let (key, named) = match resource.kind {
                ResourceKind::Group => ("members", projection.asks_for(&["members", "display"])),
                ResourceKind::User | ResourceKind::Agent => ("groups", true),
            };
            let related = |one| Related::new(one, resource.kind, base, named);
            json.put(key, &relations.iter().map(related).collect::<Vec<_>>())?;
        }
        json.put("meta", &Meta::new(resource, base))?;
        json.map.end()
    }
}

/// An object that is being written.
struct Json<'a, M> {
    map: M,
    projection: &'a Projection,
}

impl<M: SerializeMap> Json<'_, M> {
    /// Writes what is to be shown of a top-level attribute.
    fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        if !self.projection.is_explicit() {
            return self.map.serialize_entry(key, value);
        }
        if !self.projection.wants(key) {
            return Ok(());
        }
        let value = serde_json::to_value(value).map_err(M::Error::custom)?;
        self.projection.keep(key, value).map_or(Ok(()), |kept| self.map.serialize_entry(key, &kept))
    }
}

/// An element of `members` or `groups` (RFC 7643 §4.1.2, §4.2).
#[derive(Serialize)]
struct Related<'a> {
    value: ResourceId,
    #[serde(rename = "$ref")]
    location: Location<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'a str>,
}

impl<'a> Related<'a> {
    fn new(one: &'a Relation, of: ResourceKind, base: &'a str, named: bool) -> Self {
        let kind = if of == ResourceKind::Group { one.kind.as_str() } else { "direct" };
        let location = Location { kind: one.kind, id: one.id, base };
        Self { value: one.id, location, kind, display: named.then_some(&one.name) }
    }
}

/// `meta` (RFC 7643 §3.1).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    resource_type: &'static str,
    created: String,
    last_modified: String,
    location: Location<'a>,
    version: String,
}

impl<'a> Meta<'a> {
    fn new(resource: &Resource, base: &'a str) -> Self {
        Self {
            resource_type: resource.kind.as_str(),
            created: moment(resource.created),
            last_modified: moment(resource.last_modified),
            location: Location { kind: resource.kind, id: resource.id, base },
            version: resource.etag(),
        }
    }
}

/// A moment as exactly as it is held: a filter that says what was shown must find what it was shown of, and no more.
fn moment(at: DateTime<Utc>) -> String {
    let whole = at.timestamp_subsec_micros().is_multiple_of(1_000);
    at.to_rfc3339_opts(if whole { SecondsFormat::Millis } else { SecondsFormat::Micros }, true)
}

/// Address of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// Its type.
    pub kind: ResourceKind,
    /// Which.
    pub id: ResourceId,
    /// The address of `/scim/v2`.
    pub base: &'a str,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.base, self.kind.endpoint(), self.id)
    }
}

impl Serialize for Location<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of an owner we hold the id; the address is ours to say.
fn owners(held: &Value, base: &str) -> Value {
    let owner = |held: &Value| {
        let value = held.get("value").and_then(Value::as_str).unwrap_or_default();
        json!({"value": value, "$ref": format!("{base}/{}/{value}", ResourceKind::User.endpoint())})
    };
    held.as_array().into_iter().flatten().map(owner).collect()
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
        let group =
            Relation { id: ResourceId(Uuid::from_u128(7)), kind: ResourceKind::Group, name: "deployers".to_owned() };
        let (resource, relations) = (alice(), vec![group]);
        let shown = Shown { resource, relations, base: "https://x/scim/v2", projection: &projection };
        serde_json::to_value(shown).unwrap()
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
