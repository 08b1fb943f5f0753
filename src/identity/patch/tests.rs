//! What an IdP really sends, each shape with its source in SCIM.md, and what must not be guessed.

use chrono::{TimeZone, Utc};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::identity::{Edit, Limits, Mode, Resource, ResourceId, ResourceKind, ScimError, ScimType};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn id(number: u128) -> ResourceId {
    ResourceId(Uuid::from_u128(number))
}

fn resource(kind: ResourceKind, attributes: Value) -> Resource {
    let Value::Object(attributes) = attributes else { panic!("an object") };
    let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap();
    Resource {
        id: id(1),
        kind,
        idp: "idp".into(),
        external_id: Some("ext".into()),
        attributes,
        version: 1,
        created: at,
        last_modified: at,
    }
}

fn patch_in(mode: Mode, resource: &Resource, operations: Value) -> Result<Edit, ScimError> {
    let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]});
    body["Operations"] = operations;
    let limits = Limits::default();
    apply(limits, read(limits, body, resource.kind, mode)?, resource, mode)
}

/// A user's attributes after a PATCH.
fn user(before: Value, operations: Value) -> Result<Value, ScimError> {
    let mut before = before;
    before["userName"] = "alice".into();
    let edit = patch_in(Mode::Compat, &resource(ResourceKind::User, before), operations)?;
    let mut attributes = edit.attributes;
    attributes.remove("userName");
    Ok(Value::Object(attributes))
}

/// A group's name and changes of members after a PATCH.
fn group(operations: Value) -> Result<(String, Vec<MemberOp>), ScimError> {
    let edit = patch_in(Mode::Compat, &resource(ResourceKind::Group, json!({"displayName": "deployers"})), operations)?;
    Ok((edit.attributes["displayName"].as_str().unwrap().to_owned(), edit.members))
}

fn members(operations: Value) -> Vec<MemberOp> {
    group(operations).unwrap().1
}

fn refused(operations: Value) -> ScimType {
    group(operations).unwrap_err().scim_type.unwrap()
}

#[test]
fn okta_deactivates_without_a_path() {
    let after = user(json!({"active": true}), json!([{"op": "replace", "value": {"active": false}}]));
    assert_eq!(after, Ok(json!({"active": false})));
}

#[test]
fn okta_renames_a_group_with_its_own_id_in_the_value() {
    let rename = |id: ResourceId| group(json!([{"op": "replace", "value": {"id": id, "displayName": "Test"}}]));
    assert_eq!(rename(id(1)), Ok(("Test".into(), vec![])));
    assert_eq!(rename(id(2)).unwrap_err().scim_type, Some(ScimType::Mutability));
}

#[test]
fn okta_pushes_members_in_each_of_its_shapes() {
    let both = json!([
        {"op": "remove", "path": format!("members[value eq \"{}\"]", id(7))},
        {"op": "add", "path": "members", "value": [{"value": id(8), "display": "test.user@okta.local"}]},
    ]);
    assert_eq!(members(both), vec![MemberOp::Remove(vec![id(7)]), MemberOp::Add(vec![id(8)])]);
    let full = json!([{"op": "replace", "path": "members", "value": [{"value": id(7)}, {"value": id(8)}]}]);
    assert_eq!(members(full), vec![MemberOp::Replace(vec![id(7), id(8)])]);
    let pathless = json!([{"op": "replace", "value": {"members": [], "id": id(1), "displayName": "g"}}]);
    assert_eq!(group(pathless), Ok(("g".into(), vec![MemberOp::Replace(vec![])])));
}

#[test]
fn entra_speaks_in_capitals_and_strings() {
    for value in ["False", "false"] {
        for op in ["Replace", "Add", "replace"] {
            let after = user(json!({"active": true}), json!([{"op": op, "path": "active", "value": value}]));
            assert_eq!(after, Ok(json!({"active": false})), "{op} {value}");
        }
    }
    // Keycloak's extensions: the same without a path.
    let after = user(json!({"active": true}), json!([{"op": "replace", "value": {"active": "false"}}]));
    assert_eq!(after, Ok(json!({"active": false})));
}

#[test]
fn entra_merges_by_dotted_and_urn_keys() {
    let operations = json!([{"op": "replace", "value": {
        "displayName": "Bjfe", "name.givenName": "Kkom", format!("{ENTERPRISE}:employeeNumber"): "Aklq",
    }}]);
    let before = json!({"name": {"familyName": "F"}, ENTERPRISE: {"department": "D"}});
    let after = json!({
        "displayName": "Bjfe", "name": {"familyName": "F", "givenName": "Kkom"},
        ENTERPRISE: {"department": "D", "employeeNumber": "Aklq"},
    });
    assert_eq!(user(before, operations), Ok(after));
}

#[test]
fn entra_removes_only_the_members_that_it_names() {
    let some = json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": id(7)}]}]);
    assert_eq!(members(some), vec![MemberOp::Remove(vec![id(7)])]);
    let none = json!([{"op": "Remove", "path": "members", "value": []}]);
    assert_eq!(members(none), vec![MemberOp::Remove(vec![])]);
    let all = json!([{"op": "remove", "path": "members"}]);
    assert_eq!(members(all), vec![MemberOp::Replace(vec![])]);
    let add = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": id(7)}]}]);
    assert_eq!(members(add), vec![MemberOp::Add(vec![id(7)])]);
}

#[test]
fn entra_adds_to_an_element_that_is_not_there_and_gets_one_element() {
    let operations = json!([
        {"op": "Add", "path": "addresses[type eq \"work\"].streetAddress", "value": "Main St 1"},
        {"op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Springfield"},
        {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@b.c"},
    ]);
    let after = json!({
        "addresses": [{"type": "work", "streetAddress": "Main St 1", "locality": "Springfield"}],
        "emails": [{"type": "work", "value": "a@b.c"}],
    });
    assert_eq!(user(json!({}), operations), Ok(after));
}

#[test]
fn entra_adds_over_what_is_there_and_replaces_it() {
    let before = json!({"title": "old", "emails": [{"type": "work", "value": "old"}, {"type": "home", "value": "h"}]});
    let operations = json!([
        {"op": "Add", "path": "emails[type eq \"work\"].Value", "value": "new"},
        {"op": "Add", "path": "title", "value": "new"},
    ]);
    let after = json!({"title": "new", "emails": [{"type": "work", "value": "new"}, {"type": "home", "value": "h"}]});
    assert_eq!(user(before, operations), Ok(after));
}

#[test]
fn entra_states_a_role_by_a_boolean_in_quotes() {
    let operations = json!([{"op": "Replace", "path": "roles[primary eq \"True\"].value", "value": "admin"}]);
    assert_eq!(user(json!({}), operations), Ok(json!({"roles": [{"primary": true, "value": "admin"}]})));
}

#[test]
fn a_manager_comes_bare_listed_and_empty() {
    let path = format!("{ENTERPRISE}:manager");
    let manager = |value: Value| {
        user(json!({ENTERPRISE: {"manager": {"value": "old"}}}), json!([{"op": "Add", "path": path, "value": value}]))
    };
    let expected = Ok(json!({ENTERPRISE: {"manager": {"value": "m"}}}));
    assert_eq!(manager(json!("m")), expected);
    assert_eq!(
        manager(json!([{"$ref": "../Users/m", "value": "m"}])),
        Ok(json!({ENTERPRISE: {"manager": {"value": "m", "$ref": "../Users/m"}}}))
    );
    assert_eq!(manager(json!("")), Ok(json!({})));
    let removed = user(json!({ENTERPRISE: {"manager": {"value": "m"}}}), json!([{"op": "Remove", "path": path}]));
    assert_eq!(removed, Ok(json!({})));
}

#[test]
fn members_are_bare_strings_or_one_object_too() {
    assert_eq!(members(json!([{"op": "add", "path": "members", "value": id(7)}])), vec![MemberOp::Add(vec![id(7)])]);
    let one = json!([{"op": "add", "path": "members", "value": {"Value": id(7)}}]);
    assert_eq!(members(one), vec![MemberOp::Add(vec![id(7)])]);
    let or = format!("members[value eq \"{}\" or value eq \"{}\"]", id(7), id(8));
    assert_eq!(members(json!([{"op": "remove", "path": or}])), vec![MemberOp::Remove(vec![id(7), id(8)])]);
}

#[test]
fn neighbours_of_one_kind_become_one_change() {
    let operations: Vec<_> =
        (0..1000).map(|n| json!({"op": "remove", "path": format!("members[value eq \"{}\"]", id(n))})).collect();
    assert_eq!(members(operations.into()), vec![MemberOp::Remove((0..1000).map(id).collect())]);
}

#[test]
fn what_could_empty_a_group_by_mistake_is_refused() {
    for value in
        [json!(null), json!(7), json!([7]), json!([{}]), json!([{"value": null}]), json!([{"value": "bob"}]), json!("")]
    {
        assert_eq!(refused(json!([{"op": "remove", "path": "members", "value": value}])), ScimType::InvalidValue);
    }
    for path in
        ["members[value ne \"x\"]", "members[value pr]", "members[not (value eq \"x\")]", "members[type eq \"User\"]"]
    {
        assert_eq!(refused(json!([{"op": "remove", "path": path}])), ScimType::InvalidPath, "{path}");
    }
    for path in ["members.value", "members[value eq \"x\"].value"] {
        assert_eq!(refused(json!([{"op": "remove", "path": path}])), ScimType::InvalidValue, "{path}");
    }
    assert_eq!(refused(json!([{"op": "replace", "path": "members", "value": {"add": []}}])), ScimType::InvalidValue);
    assert_eq!(refused(json!([{"op": "replace", "path": "members"}])), ScimType::InvalidValue);
}

#[test]
fn shapes_without_one_meaning_are_refused() {
    for (operations, expected) in [
        (json!([]), ScimType::InvalidSyntax),
        (json!({}), ScimType::InvalidSyntax),
        (json!([7]), ScimType::InvalidSyntax),
        (json!([{"op": "move", "path": "displayName"}]), ScimType::InvalidSyntax),
        (json!([{"path": "displayName", "value": "x"}]), ScimType::InvalidSyntax),
        (json!([{"op": "add", "OP": "remove", "path": "displayName", "value": "x"}]), ScimType::InvalidSyntax),
        (json!([{"op": "remove"}]), ScimType::NoTarget),
        (json!([{"op": "replace", "value": "x"}]), ScimType::InvalidValue),
        (json!([{"op": "replace", "value": {"dispalyName": "x"}}]), ScimType::InvalidPath),
        (json!([{"op": "replace", "path": "dispalyName", "value": "x"}]), ScimType::InvalidPath),
        (json!([{"op": "replace", "path": 7, "value": "x"}]), ScimType::InvalidPath),
        (json!([{"op": "remove", "path": "displayName"}]), ScimType::Mutability),
        (json!([{"op": "replace", "path": "displayName", "value": ""}]), ScimType::Mutability),
        (json!([{"op": "replace", "path": "meta.created", "value": "x"}]), ScimType::Mutability),
        (json!([{"op": "replace", "path": "id", "value": "x"}]), ScimType::Mutability),
    ] {
        assert_eq!(refused(operations.clone()), expected, "{operations}");
    }
}

#[test]
fn a_leaver_is_not_revived_by_taking_active_away_since_absent_is_true() {
    for operation in [
        json!({"op": "remove", "path": "active"}),
        json!({"op": "replace", "path": "active", "value": null}),
        json!({"op": "replace", "value": {"active": null}}),
        json!({"op": "replace", "path": "active", "value": ""}),
    ] {
        assert!(user(json!({"active": false}), json!([operation])).is_err(), "{operation}");
    }
}

#[test]
fn groups_of_a_user_are_read_only() {
    let path = user(json!({}), json!([{"op": "add", "path": "groups", "value": [{"value": "x"}]}]));
    assert_eq!(path.unwrap_err().scim_type, Some(ScimType::Mutability));
    let ignored = json!([{"op": "replace", "value": {"groups": [], "meta": {}, "schemas": [], "title": "t"}}]);
    assert_eq!(user(json!({}), ignored), Ok(json!({"title": "t"})));
}

#[test]
fn a_password_is_never_kept() {
    let operations = json!([
        {"op": "replace", "path": "password", "value": "hunter2"},
        {"op": "replace", "value": {"password": "hunter2", "title": "t"}},
    ]);
    assert_eq!(user(json!({}), operations), Ok(json!({"title": "t"})));
}

#[test]
fn lists_grow_without_duplicates_and_shrink_by_value_or_filter() {
    let before = json!({"roles": [{"value": "a"}, {"value": "b"}]});
    let add = json!([{"op": "add", "path": "roles", "value": [{"value": "b"}, {"value": "c"}]}]);
    assert_eq!(user(before.clone(), add), Ok(json!({"roles": [{"value": "a"}, {"value": "b"}, {"value": "c"}]})));
    let value = json!([{"op": "remove", "path": "roles", "value": [{"value": "a"}]}]);
    assert_eq!(user(before.clone(), value), Ok(json!({"roles": [{"value": "b"}]})));
    let filter = json!([{"op": "remove", "path": "roles[value eq \"a\" or value eq \"b\"]"}]);
    assert_eq!(user(before.clone(), filter), Ok(json!({})));
    let replace = json!([{"op": "replace", "path": "roles", "value": [{"value": "z"}]}]);
    assert_eq!(user(before.clone(), replace), Ok(json!({"roles": [{"value": "z"}]})));
    let sub = json!([{"op": "replace", "path": "roles.value", "value": "z"}]);
    assert_eq!(user(before, sub).unwrap_err().scim_type, Some(ScimType::InvalidPath));
}

#[test]
fn a_new_primary_value_makes_the_others_not_primary() {
    let before = json!({"emails": [{"value": "a", "primary": true}]});
    let add = json!([{"op": "add", "path": "emails", "value": [{"value": "b", "primary": true}]}]);
    let after = json!({"emails": [{"value": "a", "primary": false}, {"value": "b", "primary": true}]});
    assert_eq!(user(before, add), Ok(after));
}

#[test]
fn an_element_found_by_a_filter_is_replaced_but_stays_what_the_filter_found() {
    let before = json!({"emails": [{"type": "work", "value": "a", "display": "A"}]});
    let replace = json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "b"}}]);
    assert_eq!(user(before.clone(), replace), Ok(json!({"emails": [{"type": "work", "value": "b"}]})));
    let add = json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": {"value": "b"}}]);
    assert_eq!(user(before, add), Ok(json!({"emails": [{"type": "work", "value": "b", "display": "A"}]})));
    let vague = json!([{"op": "replace", "path": "emails[type sw \"w\"].value", "value": "b"}]);
    assert_eq!(user(json!({}), vague).unwrap_err().scim_type, Some(ScimType::NoTarget));
}

#[test]
fn extensions_that_we_do_not_know_are_kept_as_sent() {
    let urn = "urn:acme:params:2.0:User";
    let whole = json!([{"op": "add", "value": {urn: {"Badge": 7, "x": null}}}]);
    assert_eq!(user(json!({}), whole), Ok(json!({urn: {"Badge": 7}})));
    let one = json!([{"op": "replace", "path": format!("{urn}:Badge"), "value": "8"}]);
    assert_eq!(user(json!({urn: {"Badge": 7}}), one), Ok(json!({urn: {"Badge": "8"}})));
    for path in [format!("{urn}:Badge"), urn.to_owned()] {
        assert_eq!(user(json!({urn: {"Badge": 7}}), json!([{"op": "remove", "path": path}])), Ok(json!({})));
    }
    let core = json!([{"op": "replace", "path": "userName:x", "value": "y"}]);
    assert_eq!(user(json!({}), core).unwrap_err().scim_type, Some(ScimType::InvalidPath));
}

#[test]
fn an_account_is_a_number_and_what_is_none_is_kept_but_named() {
    let urn = crate::identity::schema::ACCOUNTS_URN;
    let link =
        |value: Value| user(json!({}), json!([{"op": "add", "path": format!("{urn}:githubId"), "value": value}]));
    let misfits = |attributes: Value| resource(ResourceKind::User, attributes).misfit_accounts().collect::<Vec<_>>();
    for value in [json!("583231"), json!(583_231)] {
        let linked = link(value).unwrap();
        assert_eq!(linked, json!({urn: {"githubId": "583231"}}));
        assert!(misfits(linked).is_empty());
    }
    assert_eq!(misfits(link(json!("octocat")).unwrap()), ["githubId"]);
}

#[test]
fn external_ids_change_beside_the_attributes() {
    let before = resource(ResourceKind::User, json!({"userName": "a"}));
    let change = |value: Value| {
        let operations = json!([{"op": "replace", "path": "externalId", "value": value}]);
        patch_in(Mode::Compat, &before, operations).unwrap()
    };
    assert_eq!(change(json!("new")).external_id.as_deref(), Some("new"));
    assert_eq!(change(json!("")).external_id, None);
    assert_eq!(change(json!("new")).attributes, before.attributes);
}

#[test]
fn strict_takes_nothing_that_the_rfc_does_not_have() {
    let before = resource(ResourceKind::User, json!({"userName": "a"}));
    let strict = |operations| patch_in(Mode::Strict, &before, operations);
    assert!(strict(json!([{"op": "replace", "path": "active", "value": false}])).is_ok());
    for operation in [
        json!({"op": "Replace", "path": "active", "value": false}),
        json!({"op": "replace", "path": "active", "value": "False"}),
        json!({"op": "replace", "path": "password", "value": "x"}),
        json!({"op": "replace", "value": {"shoeSize": 7, "title": "t"}}),
        json!({"op": "add", "path": "emails[type eq \"work\"].value", "value": "x"}),
    ] {
        assert!(strict(json!([operation])).is_err(), "{operation}");
    }
    assert!(
        read(
            Limits::default(),
            json!({"Operations": [{"op": "remove", "path": "title"}]}),
            ResourceKind::User,
            Mode::Strict
        )
        .is_err()
    );
}

#[test]
fn bombs_are_refused() {
    let operation = json!({"op": "replace", "path": "displayName", "value": "x"});
    assert_eq!(refused(vec![operation; Limits::default().patch_operations + 1].into()), ScimType::TooMany);
    let many: Vec<_> = (0..=Limits::default().members).map(|n| json!({"value": id(n as u128)})).collect();
    assert_eq!(refused(json!([{"op": "add", "path": "members", "value": many}])), ScimType::TooMany);
    let roles: Vec<_> = (0..400).map(|n| json!({"value": n.to_string()})).collect();
    let operations: Vec<_> = (0..11).map(|_| json!({"op": "add", "path": "roles", "value": roles})).collect();
    assert_eq!(user(json!({}), operations.into()).unwrap_err().scim_type, Some(ScimType::TooMany));
    let path = format!("emails[{}]", vec!["type pr"; 300].join(" or "));
    let operations: Vec<_> = (0..20).map(|_| json!({"op": "remove", "path": path})).collect();
    assert_eq!(user(json!({}), operations.into()).unwrap_err().scim_type, Some(ScimType::TooMany));
    let path = format!("emails[{}type pr{}]", "(".repeat(40), ")".repeat(40));
    assert_eq!(refused(json!([{"op": "remove", "path": path}])), ScimType::InvalidPath);
    let large = "x".repeat(8000);
    let wide: serde_json::Map<_, _> = (0..40).map(|n| (format!("a{n}"), large.clone().into())).collect();
    let operations = json!([{"op": "add", "value": {"urn:a:b": wide}}]);
    assert_eq!(user(json!({}), operations).unwrap_err().scim_type, Some(ScimType::TooMany));
}

#[test]
fn the_worst_patch_that_is_allowed_takes_milliseconds() {
    let addresses: Vec<_> = (0..499).map(|n| json!({"type": format!("t{n}"), "country": "DE"})).collect();
    let operations: Vec<_> = (0..1000)
        .map(|n| json!({"op": "replace", "path": "addresses[type eq \"t0\"].country", "value": n.to_string()}))
        .collect();
    let start = std::time::Instant::now();
    user(json!({"addresses": addresses}), operations.into()).unwrap();
    // Unoptimised and on a busy machine; quadratic behaviour would take minutes.
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn another_manager_keeps_nothing_of_the_last() {
    let before = json!({ENTERPRISE: {"department": "d", "manager": {"value": "m1", "$ref": "../Users/m1", "displayName": "M 1"}}});
    let manager = format!("{ENTERPRISE}:manager");
    let after = |operations| user(before.clone(), operations).unwrap()[ENTERPRISE].clone();
    let only = |manager| json!({"department": "d", "manager": manager});
    for value in [json!("m2"), json!({"value": "m2"}), json!([{"value": "m2", "$ref": null}])] {
        for op in ["add", "replace"] {
            let changed = after(json!([{"op": op, "path": manager, "value": value}]));
            assert_eq!(changed, only(json!({"value": "m2"})), "{op} {value}");
        }
    }
    let by_value = format!("{manager}.value");
    let changed = after(json!([{"op": "replace", "path": by_value, "value": "m2"}]));
    assert_eq!(changed, only(json!({"value": "m2"})));
    let parts = json!({ENTERPRISE: {"manager.$ref": "../Users/m2", "manager.value": "m2"}});
    let changed = after(json!([{"op": "replace", "value": parts}]));
    assert_eq!(changed, only(json!({"value": "m2", "$ref": "../Users/m2"})));
    let gone = after(json!([{"op": "remove", "path": by_value}]));
    assert_eq!(gone, json!({"department": "d"}));
    // The same one is described as before.
    let same = after(json!([{"op": "add", "path": manager, "value": "m1"}]));
    assert_eq!(same, before[ENTERPRISE]);
}

#[test]
fn a_value_that_is_there_is_not_there_twice_when_it_is_added() {
    let emails = json!([{"value": "b", "primary": true}, {"value": "c", "type": "work"}]);
    let add = |value: Value| {
        let operations = json!([{"op": "add", "path": "emails", "value": value}]);
        user(json!({"emails": emails}), operations).map(|after| after["emails"].clone())
    };
    assert_eq!(add(json!({"value": "b"})), Ok(emails.clone()));
    assert_eq!(add(json!([{"value": "c", "type": "work", "display": "C"}])).unwrap()[1]["display"], "C");
    let swapped = json!([{"value": "b", "primary": false}, {"value": "c", "type": "work", "primary": true}]);
    assert_eq!(add(json!({"value": "c", "type": "work", "primary": true})), Ok(swapped));
    // Of another type it is another value.
    assert_eq!(add(json!({"value": "c", "type": "home"})).unwrap().as_array().unwrap().len(), 3);
    let full = json!((0..500).map(|n| json!({"value": n.to_string()})).collect::<Vec<_>>());
    let more = json!([{"op": "add", "path": "emails", "value": {"value": "7", "type": "x"}}]);
    assert_eq!(user(json!({"emails": full}), more).unwrap_err().scim_type, Some(ScimType::TooMany));
}
