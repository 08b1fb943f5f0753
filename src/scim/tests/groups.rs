//! Groups and their members.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::app::{App, Recorder};
use crate::scim::{IdpSettings, PatchAnswer, Settings};

fn values(members: &Value) -> Vec<&str> {
    members.as_array().map(|all| all.iter().map(|one| one["value"].as_str().unwrap()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn members_come_and_go_in_oktas_and_entras_ways() {
    let app = App::new().await;
    let (a, b, c) = (app.user("a").await, app.user("b").await, app.user("c").await);
    let path = format!("/Groups/{}", app.group("deployers", &[]).await);
    let add = app
        .patch(&path, json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": a}, {"value": b}]}]))
        .await;
    assert_eq!((add.status.as_u16(), &add.body), (204, &Value::Null));
    let shown = app.get(&path).await.body;
    assert_eq!(values(&shown["members"]), [&a, &b]);
    assert_eq!(shown["members"][0].get("display"), None);
    let named = app.get(&format!("{path}?attributes=members.display")).await.body;
    assert_eq!(named["members"][0], json!({"display": "a"}));
    assert_eq!(app.get(&format!("/Users/{a}")).await.body["groups"][0]["display"], "deployers");

    let swap = json!([
        {"op": "remove", "path": format!("members[value eq \"{a}\"]")},
        {"op": "add", "path": "members", "value": [{"value": c, "display": "c"}]},
    ]);
    app.patch(&path, swap).await;
    assert_eq!(values(&app.get(&path).await.body["members"]), [&b, &c]);
    app.patch(&path, json!([{"op": "Remove", "path": "members", "value": [{"value": b}]}])).await;
    assert_eq!(values(&app.get(&path).await.body["members"]), [&c]);

    let bad = app.patch(&path, json!([{"op": "remove", "path": "members", "value": [{"id": c}]}])).await;
    assert_eq!((bad.status.as_u16(), &bad.body["scimType"]), (400, &json!("invalidValue")));
    assert_eq!(values(&app.get(&path).await.body["members"]), [&c]);

    let hidden = app.get(&format!("{path}?excludedAttributes=members")).await;
    assert_eq!(hidden.body.get("members"), None);
    let put = app.call("PUT", &path, Some(json!({"displayName": "ops", "members": [{"value": a}]}))).await;
    assert_eq!((put.status.as_u16(), values(&put.body["members"])), (200, vec![a.as_str()]));
}

#[tokio::test]
async fn a_group_that_is_put_without_members_is_empty() {
    let app = App::new().await;
    let id = app.user("alice").await;
    let group = format!("/Groups/{}", app.group("deployers", &[&id]).await);
    let put = app.call("PUT", &group, Some(json!({"displayName": "renamed"}))).await;
    assert_eq!((put.status.as_u16(), &put.body["displayName"]), (200, &json!("renamed")));
    assert_eq!(app.get(&group).await.body.get("members"), None);
    assert_eq!(app.get(&format!("/Users/{id}")).await.body.get("groups"), None);
}

#[tokio::test]
async fn a_patch_of_a_group_is_answered_as_its_idp_wants() {
    let settings = IdpSettings { patch_answer: PatchAnswer::Resource, ..IdpSettings::default() };
    let idps = BTreeMap::from([("okta".into(), settings)]);
    let app = App::with(Recorder::default(), Settings { idps, ..Settings::default() }).await;
    let path = format!("/Groups/{}", app.group("g", &[]).await);
    let rename = json!([{"op": "replace", "value": {"id": path.trim_start_matches("/Groups/"), "displayName": "h"}}]);
    let renamed = app.patch(&path, rename).await;
    assert_eq!((renamed.status.as_u16(), &renamed.body["displayName"]), (200, &json!("h")));
}

#[tokio::test]
async fn members_that_are_nobody_are_an_error_or_left_out_as_is_set() {
    let settings = IdpSettings { skip_unknown_members: true, ..IdpSettings::default() };
    let idps = BTreeMap::from([("okta".into(), settings)]);
    let skips = App::with(Recorder::default(), Settings { idps, ..Settings::default() }).await;
    for (app, status) in [(App::new().await, 400), (skips, 204)] {
        let user = app.user("a").await;
        let path = format!("/Groups/{}", app.group("g", &[]).await);
        for nobody in ["fake-member-id", "00000000-0000-0000-0000-00000000002a", "00000000-0000-0000-0000-000000000000"]
        {
            let members = json!([{"value": nobody}, {"value": user}]);
            let added = app.patch(&path, json!([{"op": "add", "path": "members", "value": members}])).await;
            assert_eq!(added.status, status, "{nobody}");
            let put = app.call("PUT", &path, Some(json!({"displayName": "g", "members": members}))).await;
            let there = if status == 400 {
                assert_eq!((put.status.as_u16(), &put.body["scimType"]), (400, &json!("invalidValue")), "{nobody}");
                vec![]
            } else {
                vec![user.as_str()]
            };
            assert_eq!(values(&app.get(&path).await.body["members"]), there, "{nobody}");
            // To remove nobody in particular is refused in any case: whoever was meant would stay.
            let removal = json!([{"op": "remove", "path": "members", "value": [{"value": "fake-member-id"}]}]);
            assert_eq!(app.patch(&path, removal).await.status, 400);
        }
    }
}

#[tokio::test]
async fn groups_are_found_by_name_and_by_member() {
    let app = App::new().await;
    let user = app.user("a").await;
    let group = app.group("Deployers", &[&user]).await;
    app.group("others", &[]).await;
    for filter in ["displayName eq \"deployers\"".to_owned(), format!("members[value eq \"{user}\"]")] {
        let query = filter.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        let found = app.get(&format!("/Groups?filter={query}")).await;
        assert_eq!(
            (&found.body["totalResults"], &found.body["Resources"][0]["id"]),
            (&json!(1), &json!(group)),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn an_idp_sees_and_touches_only_its_own() {
    let app = App::new().await;
    let user = app.user("a").await;
    let path = format!("/Users/{user}");
    assert_eq!(app.call_as_other("GET", &path, None).await.status, 404);
    assert_eq!(app.call_as_other("DELETE", &path, None).await.status, 404);
    let deactivation = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
    assert_eq!(app.call_as_other("PATCH", &path, Some(deactivation)).await.status, 404);
    assert_eq!(app.call_as_other("GET", "/Users", None).await.body["totalResults"], 0);
    let group = json!({"displayName": "g", "members": [{"value": user}]});
    let stolen = app.call_as_other("POST", "/Groups", Some(group)).await;
    assert_eq!((stolen.status.as_u16(), &stolen.body["scimType"]), (400, &json!("invalidValue")));
    assert_eq!(app.call_as_other("POST", "/Users", Some(json!({"userName": "a"}))).await.status, 201);
}

#[tokio::test]
async fn of_a_thousand_members_that_sixteen_callers_add_at_once_none_is_lost() {
    let app = std::sync::Arc::new(App::new().await);
    let group = app.group("all", &[]).await;
    let callers = (0..16).map(|caller| {
        let (app, path) = (app.clone(), format!("/Groups/{group}"));
        tokio::spawn(async move {
            for number in (caller..1_000).step_by(16) {
                let id = app.user(&format!("user-{number}")).await;
                let added = app.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": id}]}])).await;
                assert!(added.status.is_success(), "{}", added.body);
            }
        })
    });
    for done in futures::future::join_all(callers).await {
        done.unwrap();
    }
    let members = app.get(&format!("/Groups/{group}")).await.body["members"].as_array().unwrap().len();
    assert_eq!(members, 1_000);
}

#[tokio::test]
async fn a_put_without_members_leaves_none() {
    let app = App::new().await;
    let user = app.user("a").await;
    let path = format!("/Groups/{}", app.group("deployers", &[&user]).await);
    let put = app.call("PUT", &path, Some(json!({"displayName": "deployers"}))).await;
    assert_eq!((put.status.as_u16(), put.body.get("members")), (200, None));
    assert_eq!(app.get(&path).await.body.get("members"), None);
    assert_eq!(app.get(&format!("/Users/{user}")).await.body.get("groups"), None);
}
