//! The tables as `/Schemas` and `/ResourceTypes` serve them (RFC 7643 §6, §7, §8.7).

use serde_json::{Map, Value, json};

use super::{Attribute, Schema, Type, core, extensions};
use crate::identity::ResourceKind;

/// A Schema resource. `base` is the address of `/scim/v2`.
pub fn schema_json(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute_json).collect::<Vec<_>>(),
        "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id)},
    })
}

/// The User schema's resource for a client that takes its attributes from there and can't leave `password` out
/// (RFC 7643 §4.1.1). In the table there is none: whatever comes is dropped.
pub fn with_password(mut user: Value) -> Value {
    if let Some(attributes) = user.get_mut("attributes").and_then(Value::as_array_mut) {
        attributes.push(json!({
            "name": "password",
            "type": "string",
            "multiValued": false,
            "description": "Accepted, and dropped: nothing of it is stored.",
            "required": false,
            "mutability": "writeOnly",
            "returned": "never",
            "caseExact": true,
            "uniqueness": "none",
        }));
    }
    user
}

/// A `ResourceType` resource. `base` is the address of `/scim/v2`.
pub fn resource_type_json(kind: ResourceKind, base: &str) -> Value {
    let extensions: Vec<_> =
        extensions(kind).iter().map(|schema| json!({"schema": schema.id, "required": false})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.as_str(),
        "name": kind.as_str(),
        "description": core(kind).description,
        "endpoint": format!("/{}", kind.endpoint()),
        "schema": core(kind).id,
        "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.as_str())},
    })
}

fn attribute_json(attribute: &Attribute) -> Value {
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
    put("name", attribute.name.into());
    put("type", attribute.ty.as_str().into());
    put("multiValued", attribute.multi.into());
    put("description", attribute.description.into());
    put("required", attribute.required.into());
    put("mutability", attribute.mutability.as_str().into());
    put("returned", attribute.returned.as_str().into());
    match attribute.ty {
        Type::Complex(subs) => {
            put("subAttributes", subs.iter().map(attribute_json).collect());
        }
        Type::Boolean | Type::Integer | Type::Decimal | Type::DateTime => {}
        Type::String | Type::Binary | Type::Reference(_) => {
            put("caseExact", attribute.case_exact.into());
        }
    }
    put("uniqueness", attribute.uniqueness.as_str().into());
    if let Type::Reference(to) = attribute.ty {
        put("referenceTypes", to.into());
    }
    if !attribute.canonical.is_empty() {
        put("canonicalValues", attribute.canonical.into());
    }
    Value::Object(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::schema::{ACCOUNTS_URN, ENTERPRISE_URN, USER_URN, schemas};

    #[test]
    fn every_schema_serves_what_rfc_7643_7_asks_of_an_attribute() {
        for schema in schemas(true) {
            let json = schema_json(schema, "https://x/scim/v2");
            assert_eq!(json["meta"]["location"], format!("https://x/scim/v2/Schemas/{}", schema.id));
            for attribute in json["attributes"].as_array().unwrap() {
                for key in ["name", "type", "multiValued", "required", "mutability", "returned", "uniqueness"] {
                    assert!(attribute.get(key).is_some(), "{} {key}", attribute["name"]);
                }
            }
        }
    }

    #[test]
    fn user_name_is_served_as_required_and_unique() {
        let json = schema_json(schemas(false).next().unwrap(), "");
        assert_eq!(json["id"], USER_URN);
        let name = &json["attributes"][0];
        assert_eq!((&name["name"], &name["required"]), (&json!("userName"), &json!(true)));
        assert_eq!((&name["uniqueness"], &name["caseExact"]), (&json!("server"), &json!(false)));
        assert!(!json.to_string().contains("password"));
    }

    #[test]
    fn the_user_type_names_its_extensions() {
        let json = resource_type_json(ResourceKind::User, "");
        assert_eq!(json["endpoint"], "/Users");
        let named: Vec<_> =
            json["schemaExtensions"].as_array().unwrap().iter().map(|one| one["schema"].as_str()).collect();
        assert_eq!(named[..2], [Some(ENTERPRISE_URN), Some(ACCOUNTS_URN)]);
        assert_eq!(named.len(), 3, "and that of the tests");
    }
}
