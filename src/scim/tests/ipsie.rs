//! What OpenID IPSIE's SCIM profile asks for in numbers, and of each mutation. `docs/ipsie.md` has all of it, point by point.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use super::app::{App, Recorder};
use crate::{
    audit::Kind,
    config, identity,
    scim::{IdpSettings, Limits, Settings},
    store::Store as _,
};

#[tokio::test]
async fn fifty_members_come_and_go_in_one_patch_each_by_its_own_operation_at_the_least_limit_that_can_be_set() {
    let text = identity::Limits { patch_operations: 50, members: 100, ..identity::Limits::default() };
    let limits = Limits { text, ..Limits::default() };
    let app = App::with(Recorder::default(), Settings { limits, ..Settings::default() }).await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(app.user(&format!("u{n}")).await);
    }
    let group = format!("/Groups/{}", app.group("g", &[]).await);
    let members = async || app.get(&group).await.body["members"].as_array().map_or(0, Vec::len);
    let each = |operation: &dyn Fn(&String) -> Value| ids.iter().map(operation).collect::<Value>();
    let add = each(&|id| json!({"op": "add", "path": "members", "value": [{"value": id}]}));
    assert_eq!(app.patch(&group, add).await.status, StatusCode::NO_CONTENT);
    assert_eq!(members().await, 50);
    let remove = each(&|id| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")}));
    assert_eq!(app.patch(&group, remove).await.status, StatusCode::NO_CONTENT);
    assert_eq!(members().await, 0);
}

#[tokio::test]
async fn twenty_five_requests_a_second_and_more_are_let_through_by_default() {
    let requests_per_second = config::Scim::default().requests_per_second;
    let okta = IdpSettings { requests_per_second, ..IdpSettings::default() };
    let settings = Settings { idps: BTreeMap::from([("okta".into(), okta)]), ..Settings::default() };
    let app = App::with(Recorder::default(), settings).await;
    for request in 0..100 {
        assert_eq!(app.get("/Users?count=0").await.status, StatusCode::OK, "{request}");
    }
}

#[tokio::test]
async fn a_page_has_a_thousand_resources_at_most_by_default() {
    let config = App::new().await.get("/ServiceProviderConfig").await.body;
    assert_eq!((&config["filter"]["maxResults"], &config["pagination"]["maxPageSize"]), (&json!(1000), &json!(1000)));
}

#[tokio::test]
async fn each_mutation_has_its_audit_row_before_it_is_answered() {
    let app = App::new().await;
    let mut last = 0;
    let mut since = async || {
        let rows = app.store.audit_rows(last, 100).await.unwrap();
        last = rows.last().map_or(last, |row| row.seq);
        rows.into_iter().map(|row| row.entry.kind).collect::<Vec<_>>()
    };
    since().await;
    let user = format!("/Users/{}", app.user("ann").await);
    assert_eq!(since().await, [Kind::UserCreated]);
    app.call("PUT", &user, Some(json!({"userName": "ann", "externalId": "ext-ann", "title": "t"}))).await;
    assert_eq!(since().await, [Kind::UserChanged]);
    for (active, kind) in [(false, Kind::UserDeactivated), (true, Kind::UserActivated)] {
        app.patch(&user, json!([{"op": "replace", "path": "active", "value": active}])).await;
        assert_eq!(since().await, [kind]);
    }
    let group = format!("/Groups/{}", app.group("g", &[]).await);
    assert_eq!(since().await, [Kind::GroupCreated]);
    let member = json!([{"op": "add", "path": "members", "value": [{"value": user.strip_prefix("/Users/")}]}]);
    app.patch(&group, member).await;
    assert!(!since().await.is_empty(), "a member who comes");
    app.patch(&group, json!([{"op": "remove", "path": "members"}])).await;
    assert!(!since().await.is_empty(), "a member who goes");
    app.patch(&group, json!([{"op": "replace", "path": "displayName", "value": "h"}])).await;
    assert_eq!(since().await, [Kind::GroupChanged]);
    for (path, kind) in [(&group, Kind::GroupDeleted), (&user, Kind::UserDeleted)] {
        app.delete(path).await;
        assert_eq!(since().await, [kind]);
    }
    let bulk = json!([{"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bob"}}]);
    app.post("/Bulk", json!({"Operations": bulk})).await;
    assert_eq!(since().await, [Kind::UserCreated]);
}
