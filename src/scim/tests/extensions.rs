//! An extension from the configuration (`identity/schema/custom.json`) is held to like the built-in ones.

use serde_json::{Value, json};

use super::app::{Answer, App};
use crate::{
    identity::{Edit, Resource, ResourceKind},
    store::Store as _,
};

const BADGE: &str = "urn:example:params:scim:schemas:extension:badge:2.0:User";

async fn badge(app: &App, name: &str, badge: Value) -> Answer {
    app.post("/Users", json!({"userName": name, "externalId": name, BADGE: badge})).await
}

#[tokio::test]
async fn it_is_served() {
    let app = App::new().await;
    let schema = app.get(&format!("/Schemas/{BADGE}")).await;
    assert_eq!((schema.status.as_u16(), &schema.body["attributes"][0]["name"]), (200, &json!("number")));
    let user = app.get("/ResourceTypes/User").await.body;
    assert_eq!(user["schemaExtensions"][2], json!({"schema": BADGE, "required": false}));
}

#[tokio::test]
async fn values_have_the_types_that_it_says() {
    let app = App::new().await;
    let sent = json!({
        "Number": "7", "issued": "2026-01-31T12:00:00+01:00", "weight": 1.5, "revoked": "False", "clearance": "secret",
        "doors": [{"value": "a", "floor": "3"}, "b"], "unheard": 1,
    });
    let created = badge(&app, "a", sent).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let expected = json!({
        "number": 7, "issued": "2026-01-31T12:00:00+01:00", "weight": 1.5, "revoked": false, "clearance": "secret",
        "doors": [{"value": "a", "floor": 3}, {"value": "b"}],
    });
    assert_eq!(created.body[BADGE], expected);
    assert_eq!(created.body["schemas"][1], BADGE);
    for wrong in [
        json!({"number": 1.5}),
        json!({"number": "seven"}),
        json!({"number": 1, "weight": "heavy"}),
        json!({"number": 1, "issued": "yesterday"}),
        json!({"number": 1, "revoked": "perhaps"}),
        json!({"number": 1, "doors": [{"floor": 3}]}),
        json!({"number": [1, 2]}),
        json!({"clearance": "high"}),
    ] {
        let answer = badge(&app, "b", wrong.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidValue")), "{wrong}");
    }
    assert_eq!(app.get("/Users").await.body["totalResults"], 1, "nothing of all that was stored");
}

#[tokio::test]
async fn it_is_filtered_by() {
    let app = App::new().await;
    let first = badge(
        &app,
        "a",
        json!({"number": 7, "serial": "Ab", "clearance": "High", "weight": 2.5,
        "issued": "2026-01-31T12:00:00+01:00", "doors": [{"value": "x", "floor": 3}]}),
    )
    .await
    .id();
    badge(&app, "b", json!({"number": 10, "clearance": "low", "issued": "2026-02-01T00:00:00Z"})).await;
    app.user("c").await;
    for (filter, found) in [
        ("number eq 7", 1),
        ("number gt 7", 1),
        ("number ge 7", 2),
        ("number lt 10", 1),
        ("weight ge 2.5", 1),
        ("clearance eq \"HIGH\"", 1),
        ("serial eq \"Ab\"", 1),
        ("serial eq \"ab\"", 0),
        ("issued eq \"2026-01-31T11:00:00Z\"", 1),
        ("issued gt \"2026-01-31T11:00:00Z\"", 1),
        ("doors[value eq \"x\" and floor eq 3]", 1),
        ("doors[value eq \"x\" and floor eq 4]", 0),
    ] {
        let encoded = filter.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        let answer = app.get(&format!("/Users?filter={BADGE}:{encoded}")).await.body;
        assert_eq!(answer["totalResults"], found, "{filter}: {answer}");
        if found == 1 && !filter.contains("gt") {
            assert_eq!(answer["Resources"][0]["id"], first, "{filter}");
        }
    }
    for wrong in ["number co 7", "number eq \"x\"", "issued sw \"2026\"", "unheard pr"] {
        let encoded = wrong.replace(' ', "%20").replace('"', "%22");
        let answer = app.get(&format!("/Users?filter={BADGE}:{encoded}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidFilter")), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_immutable_is_set_once_and_what_is_read_only_never() {
    let app = App::new().await;
    let created = badge(&app, "a", json!({"number": 7, "checksum": "forged", "origin": {"label": "l"}})).await;
    assert_eq!(created.body[BADGE], json!({"number": 7, "origin": {"label": "l"}}));
    let path = format!("/Users/{}", created.id());
    let put = |attribute: &str, value: Value| json!([{"op": "replace", "path": format!("{BADGE}:{attribute}"), "value": value}]);
    let refused =
        |answer: &Answer| (answer.status.as_u16(), answer.body["scimType"].clone()) == (400, json!("mutability"));
    assert!(refused(&app.patch(&path, put("checksum", json!("forged"))).await));
    for (attribute, value) in [("serial", json!("s1")), ("origin.code", json!("c1"))] {
        assert_eq!(app.patch(&path, put(attribute, value.clone())).await.status, 200, "{attribute} is set");
        assert_eq!(app.patch(&path, put(attribute, value)).await.status, 200, "{attribute} is as it was");
        assert!(refused(&app.patch(&path, put(attribute, json!("another"))).await), "{attribute} is changed");
        let removal = json!([{"op": "remove", "path": format!("{BADGE}:{attribute}")}]);
        assert!(refused(&app.patch(&path, removal).await), "{attribute} is removed");
    }
    assert!(refused(&app.patch(&path, json!([{"op": "remove", "path": BADGE}])).await));
    assert!(refused(&app.patch(&path, json!([{"op": "remove", "path": format!("{BADGE}:number")}])).await), "required");
    let body = |badge: Value| Some(json!({"userName": "a", "externalId": "a", BADGE: badge}));
    assert!(refused(&app.call("PUT", &path, body(json!({"number": 7, "serial": "another"}))).await));
    let kept = app.call("PUT", &path, body(json!({"number": 8}))).await;
    assert_eq!(kept.body[BADGE], json!({"number": 8, "serial": "s1", "origin": {"code": "c1"}}));
    // Without the extension, it stays as it is: an IdP that knows nothing of it can deactivate people by PUT.
    let inactive = json!({"userName": "a", "externalId": "a", "active": false});
    let without = app.call("PUT", &path, Some(inactive)).await;
    assert_eq!((without.status.as_u16(), &without.body["active"]), (200, &json!(false)));
    assert_eq!(without.body[BADGE], kept.body[BADGE]);
    // And who is assigned anew is the same person, with the same serial.
    let again = |badge: Value| json!({"userName": "a", "externalId": "a", BADGE: badge});
    assert!(refused(&app.post("/Users", again(json!({"number": 8, "serial": "another"}))).await));
    let revived = app.post("/Users", again(json!({"number": 9}))).await;
    assert_eq!((revived.status.as_u16(), &revived.body["active"]), (201, &json!(true)), "{}", revived.body);
    assert_eq!(revived.body[BADGE]["serial"], "s1");
}

#[tokio::test]
async fn what_was_kept_before_it_was_configured_so_keeps_nobody_from_being_deactivated() {
    let app = App::new().await;
    let id = app.user("a").await;
    // As it stands in a store of the time before: without the number that is required now.
    let edit = Box::new(|user: &Resource| {
        let mut attributes = user.attributes.clone();
        attributes.insert(BADGE.into(), json!({"serial": "s1"}));
        Ok(Edit { external_id: user.external_id.clone(), attributes, ..Edit::default() })
    });
    app.store.edit(&"okta".into(), ResourceKind::User, id.parse().unwrap(), edit).await.unwrap();
    let path = format!("/Users/{id}");
    let left = app.patch(&path, json!([{"op": "replace", "value": {"active": false}}])).await;
    assert_eq!((left.status.as_u16(), &left.body["active"]), (200, &json!(false)), "{}", left.body);
    let put = json!({"userName": "a", "externalId": "ext-a", "active": false, "title": "t"});
    assert_eq!(app.call("PUT", &path, Some(put)).await.status, 200);
    let changed = app.patch(&path, json!([{"op": "add", "path": format!("{BADGE}:note"), "value": "n"}])).await;
    assert_eq!(changed.status, 400, "once it is changed, it must be whole");
}

#[tokio::test]
async fn each_attribute_is_returned_as_it_says() {
    let app = App::new().await;
    let created = badge(&app, "a", json!({"number": 7, "note": "n", "site": "s"})).await;
    let path = format!("/Users/{}", created.id());
    for (query, expected) in [
        (String::new(), json!({"number": 7, "site": "s"})),
        (format!("?attributes={BADGE}:note"), json!({"note": "n", "site": "s"})),
        (format!("?attributes={BADGE}"), json!({"number": 7, "site": "s"})),
        ("?attributes=userName".into(), json!({"site": "s"})),
        (format!("?excludedAttributes={BADGE}:number,{BADGE}:site"), json!({"site": "s"})),
    ] {
        assert_eq!(app.get(&format!("{path}{query}")).await.body[BADGE], expected, "{query}");
    }
}

#[tokio::test]
async fn what_is_unique_is_so_within_its_idp() {
    let app = App::new().await;
    badge(&app, "a", json!({"number": 7, "serial": "Ab"})).await;
    app.user("c").await;
    app.user("d").await;
    for taken in [json!({"number": 7}), json!({"number": 8, "serial": "Ab"})] {
        let answer = badge(&app, "b", taken.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (409, &json!("uniqueness")), "{taken}");
    }
    let other = badge(&app, "b", json!({"number": 8, "serial": "ab"})).await;
    assert_eq!(other.status, 201, "the case of a serial counts");
    let path = format!("/Users/{}", other.id());
    let change = app.patch(&path, json!([{"op": "replace", "path": format!("{BADGE}:number"), "value": 7}])).await;
    assert_eq!((change.status.as_u16(), &change.body["scimType"]), (409, &json!("uniqueness")));
    assert!(change.body["detail"].as_str().unwrap().contains("number"), "{}", change.body);
    assert_eq!(app.get(&path).await.body[BADGE]["number"], 8);
    let elsewhere = app.call_as_other("POST", "/Users", Some(json!({"userName": "a", BADGE: {"number": 7}}))).await;
    assert_eq!(elsewhere.status, 201);
}

#[tokio::test]
async fn an_extension_that_we_do_not_know_is_asked_for_and_left_out_by_its_urn_or_an_attribute_of_it() {
    const ACME: &str = "urn:acme:scim:2.0:User";
    let app = App::new().await;
    let badge = json!({"number": 7, "office": {"floor": 3, "desk": "a"}});
    let id = app.post("/Users", json!({"userName": "a", ACME: badge})).await.id();
    for (parameter, path, shown) in [
        ("attributes", ACME.to_owned(), badge.clone()),
        ("attributes", format!("{ACME}:number"), json!({"number": 7})),
        ("attributes", format!("{ACME}:office.floor"), json!({"office": {"floor": 3}})),
        ("attributes", "userName".into(), json!(null)),
        ("excludedAttributes", ACME.to_owned(), json!(null)),
        ("excludedAttributes", format!("{ACME}:number"), json!({"office": {"floor": 3, "desk": "a"}})),
        ("excludedAttributes", format!("{ACME}:office.desk"), json!({"number": 7, "office": {"floor": 3}})),
        ("excludedAttributes", "userName".into(), badge.clone()),
    ] {
        let found = app.get(&format!("/Users/{id}?{parameter}={path}")).await;
        assert_eq!(found.body[ACME], shown, "{parameter}={path}");
    }
}
