//! The data: users of 12 attributes, groups, and five memberships a user.

use serde_json::{Value, json};

/// Groups that a directory has, and how many of them a user is in.
pub const GROUPS: usize = 1_000;
pub const MEMBERSHIPS: usize = 5;

/// `userName` of a user, by number.
pub fn name(number: usize) -> String {
    format!("user-{number:07}@example.com")
}

/// A user as an IdP creates it: 12 attributes.
pub fn user(number: usize) -> String {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name(number),
        "externalId": format!("00u{number:012x}"),
        "displayName": format!("User Number {number}"),
        "name": {"givenName": "User", "familyName": format!("Number {number}")},
        "emails": [{"value": name(number), "type": "work", "primary": true}],
        "phoneNumbers": [{"value": format!("+1 555 {number:07}"), "type": "work"}],
        "title": "Engineer",
        "userType": "Employee",
        "preferredLanguage": "en",
        "locale": "en-US",
        "timezone": "Europe/Berlin",
        "active": true,
    })
    .to_string()
}

/// A group with its members.
pub fn group(name: &str, members: &[String]) -> String {
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
    json!({"schemas": schemas, "displayName": name, "members": values(members)}).to_string()
}

/// The PATCH that adds members.
pub fn add(members: &[String]) -> String {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": "members", "value": values(members)}],
    })
    .to_string()
}

fn values(members: &[String]) -> Vec<Value> {
    members.iter().map(|id| json!({"value": id})).collect()
}
