//! A whole resource as POST and PUT send it (RFC 7644 §3.3, §3.5.1).

use serde_json::{Map, Value};

use super::{
    Edit, Limits, MemberOp, Mode, Resource, ResourceKind, ScimError, ScimType, immutable,
    patch::{Document, Expanded, check_members, complete_extensions, expand, same_id},
};

/// A whole resource that was sent.
#[derive(Clone, Debug)]
pub struct Whole {
    kind: ResourceKind,
    id: Option<Value>,
    edit: Edit,
}

impl Whole {
    /// Reads and checks a body.
    pub fn read(limits: Limits, body: Value, kind: ResourceKind, mode: Mode) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            let detail = format!("expected a {} object", kind.as_str());
            return Err(ScimError::bad(ScimType::InvalidSyntax, detail));
        };
        if mode == Mode::Strict && !body.contains_key("schemas") {
            return Err(ScimError::bad(ScimType::InvalidSyntax, "expected schemas to be stated"));
        }
        let Expanded { operations, members, id, .. } = expand(limits, body, false, kind, mode)?;
        let mut document = Document::whole();
        for operation in operations {
            document.apply(operation, mode)?;
        }
        let mut edit = document.finish(limits, kind)?;
        complete_extensions(kind, &Map::new(), &edit.attributes)?;
        if let Some(members) = &members {
            check_members(limits, members)?;
        }
        edit.members.extend(members);
        Ok(Self { kind, id, edit })
    }

    /// As a new resource. An `id` that was sent is ignored: ours are never taken from a client.
    pub fn create(mut self) -> Edit {
        if self.kind.acts() {
            self.edit.attributes.entry("active").or_insert(Value::Bool(true));
        }
        self.edit
    }

    /// In the place of a resource. What is not sent is gone (RFC 7644 §3.5.1), members too: some clients leave out an
    /// empty list, and a group that can't be emptied keeps leavers in. But for `active`: saying nothing of it revives
    /// nobody.
    pub fn replace(mut self, current: &Resource) -> Result<Edit, ScimError> {
        match &self.id {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => same_id(id, current)?,
            Some(_) => return Err(ScimError::bad(ScimType::InvalidValue, "expected id to be a string")),
        }
        immutable::hold(self.kind, &current.attributes, &mut self.edit.attributes, true)?;
        match self.kind {
            ResourceKind::User | ResourceKind::Agent => {
                self.edit.attributes.entry("active").or_insert(Value::Bool(current.active()));
            }
            ResourceKind::Group if self.edit.members.is_empty() => {
                self.edit.members.push(MemberOp::Replace(Vec::new()));
            }
            ResourceKind::Group => {}
        }
        Ok(self.edit)
    }

    /// In the place of an inactive user who is assigned anew, and inactive still: `is_active` says what comes of them.
    pub fn revive(mut self, current: &Resource) -> Result<Edit, ScimError> {
        self.id = None;
        self.edit.attributes.insert("active".into(), Value::Bool(false));
        self.replace(current)
    }

    /// Whether a new resource would be active: it is, unless it says otherwise.
    pub fn is_active(&self) -> bool {
        self.edit.attributes.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// The name by which it is unique.
    pub fn name(&self) -> Option<&str> {
        self.edit.attributes.get(self.kind.name_attribute()).and_then(Value::as_str)
    }

    /// `externalId`, where it was sent and is not empty.
    pub fn external_id(&self) -> Option<&str> {
        self.edit.external_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::identity::ResourceId;

    fn read(kind: ResourceKind, body: Value) -> Result<Edit, ScimError> {
        Whole::read(Limits::default(), body, kind, Mode::Compat).map(Whole::create)
    }

    fn user(body: Value) -> Result<Edit, ScimError> {
        read(ResourceKind::User, body)
    }

    fn current(kind: ResourceKind, attributes: Value) -> Resource {
        let Value::Object(attributes) = attributes else { panic!("an object") };
        let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap();
        let (id, idp) = (ResourceId(Uuid::from_u128(1)), "idp".into());
        Resource { id, kind, idp, external_id: None, attributes, version: 1, created: at, last_modified: at }
    }

    #[test]
    fn oktas_new_user_is_kept_without_password_and_groups() {
        let edit = user(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "test.user@okta.local", "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
            "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
            "groups": [], "password": "1mz050nq", "active": true,
        }))
        .unwrap();
        assert_eq!(edit.external_id.as_deref(), Some("00ujl29u0le5T6Aj10h7"));
        let expected = json!({
            "userName": "test.user@okta.local", "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
            "displayName": "Test User", "locale": "en-US", "active": true,
        });
        assert_eq!(Value::Object(edit.attributes), expected);
    }

    #[test]
    fn entras_new_user_and_group_are_kept() {
        let edit = user(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "externalId": "0a21f0f2", "userName": "Test_User", "active": "True", "roles": [],
            "emails": [{"primary": true, "type": "work", "value": "a@b.c"}],
            "meta": {"resourceType": "User"}, "title": null,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"Manager": "m1", "employeeNumber": 7},
        }))
        .unwrap();
        let expected = json!({
            "userName": "Test_User", "active": true, "emails": [{"primary": true, "type": "work", "value": "a@b.c"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "m1"}, "employeeNumber": "7"},
        });
        assert_eq!(Value::Object(edit.attributes), expected);
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
            "externalId": "8aa1a0c0", "displayName": "displayName", "meta": {"resourceType": "Group"}, "members": null,
        });
        let edit = read(ResourceKind::Group, group).unwrap();
        assert_eq!(Value::Object(edit.attributes), json!({"displayName": "displayName"}));
        assert_eq!(edit.members, vec![MemberOp::Replace(vec![])]);
    }

    #[test]
    fn a_resource_without_name_is_none() {
        for body in [json!({}), json!({"userName": ""}), json!({"userName": null}), json!([]), json!("x")] {
            assert!(user(body.clone()).is_err(), "{body}");
        }
        assert!(read(ResourceKind::Group, json!({"members": []})).is_err());
        let twice = user(json!({"userName": "a", "username": "b"})).unwrap_err();
        assert_eq!(twice.scim_type, Some(ScimType::InvalidSyntax));
    }

    #[test]
    fn strict_refuses_what_it_does_not_know() {
        let strict = |body| Whole::read(Limits::default(), body, ResourceKind::User, Mode::Strict).map(Whole::create);
        let schemas = json!(["urn:ietf:params:scim:schemas:core:2.0:User"]);
        assert!(strict(json!({"schemas": schemas, "userName": "a"})).is_ok());
        assert!(strict(json!({"schemas": schemas, "userName": "a", "shoeSize": 7})).is_err());
        assert!(strict(json!({"userName": "a"})).is_err());
    }

    #[test]
    fn a_put_replaces_all_but_revives_nobody() {
        let put = |body| Whole::read(Limits::default(), body, ResourceKind::User, Mode::Compat).unwrap();
        let before = current(ResourceKind::User, json!({"userName": "a", "title": "t", "active": false}));
        let after = put(json!({"userName": "a"})).replace(&before).unwrap();
        assert_eq!(Value::Object(after.attributes), json!({"userName": "a", "active": false}));
        let after = put(json!({"userName": "a", "active": true})).replace(&before).unwrap();
        assert_eq!(after.attributes["active"], true);
    }

    #[test]
    fn a_put_states_its_own_id_or_none() {
        let put = |id: Value| {
            let whole =
                Whole::read(Limits::default(), json!({"userName": "a", "id": id}), ResourceKind::User, Mode::Compat)
                    .unwrap();
            whole.replace(&current(ResourceKind::User, json!({"userName": "a"})))
        };
        assert!(put(json!("00000000-0000-0000-0000-000000000001")).is_ok());
        assert!(put(json!("00000000-0000-0000-0000-000000000002")).is_err());
        assert!(put(Value::Null).is_ok());
    }

    #[test]
    fn an_extension_is_never_taken_for_an_attribute_of_another_with_a_shorter_name() {
        let kept = |body: Value| Value::Object(user(body).unwrap().attributes);
        let both = json!({"userName": "a", "active": true, "urn:acme": {"x": 1}, "urn:acme:badge": {"y": 2}});
        assert_eq!(kept(both.clone()), both);
        let unassigned = json!({"userName": "a", "active": true, "urn:acme": {"badge": 1}, "urn:acme:badge": null});
        assert_eq!(kept(unassigned)["urn:acme"], json!({"badge": 1}));
    }

    #[test]
    fn an_extension_that_we_do_not_know_may_end_in_its_version() {
        let body = json!({"userName": "a", "active": true, "urn:acme:scim:1.0": {"badge": 7}});
        assert_eq!(Value::Object(user(body.clone()).unwrap().attributes), body);
    }

    #[test]
    fn a_put_without_members_empties_the_group() {
        let whole =
            Whole::read(Limits::default(), json!({"displayName": "g"}), ResourceKind::Group, Mode::Compat).unwrap();
        let edit = whole.replace(&current(ResourceKind::Group, json!({"displayName": "g"}))).unwrap();
        assert_eq!(edit.members, vec![MemberOp::Replace(vec![])]);
    }
}
