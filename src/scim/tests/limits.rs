//! What one identity provider may take of us.

use std::collections::BTreeMap;

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use super::app::{Answer, App, Recorder};
use crate::{
    identity,
    scim::{IdpSettings, Limits, PageLimits, Settings},
    store::Store as _,
};

async fn app(requests_per_second: u32) -> App {
    let okta = IdpSettings { requests_per_second, ..IdpSettings::default() };
    let settings = Settings { idps: BTreeMap::from([("okta".into(), okta)]), ..Settings::default() };
    App::with(Recorder::default(), settings).await
}

/// Smaller than any by default, so that each is seen to be the one that is set.
async fn narrow() -> App {
    let text =
        identity::Limits { filter_length: 60, filter_depth: 3, patch_operations: 2, members: 3, resource_size: 200 };
    let page = PageLimits { default_size: 2, max_size: 3 };
    let limits = Limits { max_body: 400, page, text };
    App::with(Recorder::default(), Settings { limits, ..Settings::default() }).await
}

fn verdict(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status.as_u16(), answer.body["scimType"].as_str())
}

#[tokio::test]
async fn a_body_is_as_large_as_is_set_and_no_larger() {
    let app = narrow().await;
    let padded = |name: &str, size: usize| {
        let body = json!({"userName": name}).to_string();
        let mut request = app.request("POST", "/Users", None, &[]);
        *request.body_mut() = Body::from(format!("{body}{}", " ".repeat(size - body.len())));
        request
    };
    assert_eq!(app.send(padded("ann", 400)).await.status, 201);
    let refused = app.send(padded("bob", 401)).await;
    assert_eq!(verdict(&refused), (413, None));
    assert_eq!(refused.body["detail"], "expected a body of at most 400 bytes");
    assert_eq!(app.get("/Users").await.body["totalResults"], 1);
}

#[tokio::test]
async fn a_patch_has_as_many_operations_as_are_set_and_no_more() {
    let app = narrow().await;
    let ann = format!("/Users/{}", app.user("ann").await);
    let say = |title: &str| json!({"op": "replace", "path": "title", "value": title});
    assert_eq!(app.patch(&ann, json!([say("a"), say("b")])).await.body["title"], "b");
    let refused = app.patch(&ann, json!([say("c"), say("d"), say("e")])).await;
    assert_eq!(verdict(&refused), (400, Some("tooMany")));
    assert_eq!(refused.body["detail"], "expected at most 2 operations");
    let data = json!({"Operations": [say("c"), say("d"), say("e")]});
    let bulk = app.post("/Bulk", json!({"Operations": [{"method": "PATCH", "path": &ann, "data": data}]})).await;
    assert_eq!(bulk.body["Operations"][0]["response"]["scimType"], "tooMany");
    assert_eq!(app.get(&ann).await.body["title"], "b");
}

#[tokio::test]
async fn an_operation_or_a_group_names_as_many_members_as_are_set_and_no_more() {
    let app = narrow().await;
    let ids = [app.user("a").await, app.user("b").await, app.user("c").await, app.user("d").await];
    let members = |count: usize| ids[..count].iter().map(|id| json!({"value": id})).collect::<Value>();
    let body = |count| json!({"displayName": "g", "members": members(count)});
    let expected = "expected at most 3 members in one operation";
    let created = app.post("/Groups", body(3)).await;
    assert_eq!(created.status, 201);
    let group = format!("/Groups/{}", created.id());
    let add = |count| json!([{"op": "add", "path": "members", "value": members(count)}]);
    assert_eq!(app.patch(&group, add(3)).await.status, 204);
    let refused = [
        app.post("/Groups", json!({"displayName": "h", "members": members(4)})).await,
        app.call("PUT", &group, Some(body(4))).await,
        app.patch(&group, add(4)).await,
        app.patch(&group, json!([{"op": "remove", "path": "members", "value": members(4)}])).await,
        app.patch(&group, json!([{"op": "replace", "value": {"members": members(4)}}])).await,
    ];
    for refused in refused {
        assert_eq!(verdict(&refused), (400, Some("tooMany")));
        assert_eq!(refused.body["detail"], expected);
    }
    assert_eq!(app.get(&group).await.body["members"].as_array().unwrap().len(), 3);
    assert_eq!(app.get("/Groups").await.body["totalResults"], 1);
}

#[tokio::test]
async fn a_resource_is_as_large_as_is_set_and_no_larger_also_by_many_small_changes() {
    let app = narrow().await;
    let user = |name: &str, title: usize| json!({"userName": name, "title": "x".repeat(title)});
    // What is kept: {"active":true,"title":"…","userName":"ann"}
    let ann = app.post("/Users", user("ann", 200 - 45)).await;
    assert_eq!(ann.status, 201);
    let expected = "expected a resource of at most 200 bytes";
    let refused = app.post("/Users", user("bob", 200)).await;
    assert_eq!((verdict(&refused), &refused.body["detail"]), ((400, Some("tooMany")), &json!(expected)));
    let ann = format!("/Users/{}", ann.id());
    let refused = app.patch(&ann, json!([{"op": "add", "path": "nickName", "value": "x"}])).await;
    assert_eq!((verdict(&refused), &refused.body["detail"]), ((400, Some("tooMany")), &json!(expected)));
    let after = app.get(&ann).await.body;
    assert_eq!((&after["meta"]["version"], after.get("nickName")), (&json!("W/\"1\""), None));
}

#[tokio::test]
async fn limits_that_no_rfc_has_a_place_for_are_advertised_where_that_is_set_and_described_by_their_schema() {
    let urn = "urn:scim-tekton:params:scim:schemas:extension:limits:2.0:ServiceProviderConfig";
    let shown = IdpSettings { advertise_limits: true, requests_per_second: 25, ..IdpSettings::default() };
    let settings = Settings { idps: BTreeMap::from([("okta".into(), shown)]), ..Settings::default() };
    let app = App::with(Recorder::default(), settings).await;
    let config = app.get("/ServiceProviderConfig").await.body;
    let core = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
    assert_eq!(config["schemas"], json!([core, urn]));
    let expected = json!({
        "maxBodySize": 1_048_576, "maxResourceSize": 262_144, "maxMembers": 20_000, "requestsPerSecond": 25,
        "patch": {"maxOperations": 1_000}, "filter": {"maxLength": 4_096, "maxDepth": 32},
    });
    assert_eq!(config[urn], expected);
    let schema = app.get(&format!("/Schemas/{urn}")).await;
    assert_eq!(schema.status, StatusCode::OK);
    let attributes = schema.body["attributes"].as_array().unwrap();
    for attribute in attributes {
        assert_eq!(attribute["mutability"], "readOnly", "{attribute}");
        let shown = &config[urn][attribute["name"].as_str().unwrap()];
        for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
            assert!(shown[sub["name"].as_str().unwrap()].is_u64(), "{sub}");
        }
    }
    assert_eq!(attributes.len(), expected.as_object().unwrap().len());
    // Who isn't asked to be shown them sees a configuration as the RFCs have it.
    let other = app.call_as_other("GET", "/ServiceProviderConfig", None).await.body;
    assert_eq!((&other["schemas"], other.get(urn)), (&json!([core]), None));
    assert_eq!(app.call_as_other("GET", &format!("/Schemas/{urn}"), None).await.status, StatusCode::NOT_FOUND);
    assert!(!app.call_as_other("GET", "/Schemas", None).await.body.to_string().contains(urn));
}

#[tokio::test]
async fn a_filter_is_as_long_and_as_deep_as_is_set_and_no_more_also_in_a_path() {
    let app = narrow().await;
    let ann = format!("/Users/{}", app.user("ann").await);
    let search = async |filter: &str| app.post("/Users/.search", json!({"filter": filter})).await;
    let long = |bytes: usize| format!("userName eq \"{}\"", "x".repeat(bytes - 14));
    let deep = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
    for (good, bad, detail) in [
        (long(60), long(61), "expected at most 60 bytes"),
        (deep(3), deep(4), "expected a nesting of at most 3 at position 5"),
    ] {
        assert_eq!(verdict(&search(&good).await), (200, None), "{good}");
        let refused = search(&bad).await;
        assert_eq!(verdict(&refused), (400, Some("invalidFilter")), "{bad}");
        assert_eq!(refused.body["detail"], detail);
        let refused = app.get(&format!("/Users?filter={}", bad.replace(' ', "%20").replace('"', "%22"))).await;
        assert_eq!(verdict(&refused), (400, Some("invalidFilter")));
    }
    let path = |value: usize| format!("emails[value eq \"{}\"].type", "x".repeat(value - 24));
    for (bytes, expected) in [(60, (200, None)), (61, (400, Some("invalidPath")))] {
        let add = json!([{"op": "add", "path": path(bytes), "value": "work"}]);
        assert_eq!(verdict(&app.patch(&ann, add).await), expected);
        // The same as a key, which is read as a path.
        let add = json!([{"op": "add", "value": {path(bytes): "work"}}]);
        assert_eq!(verdict(&app.patch(&ann, add).await), expected);
    }
}

/// Filters are walked on the stack: the largest that may be set must fit.
#[tokio::test]
async fn the_longest_and_the_deepest_filter_that_can_be_set_are_answered() {
    let text = identity::Limits { filter_length: 16 * 1024, filter_depth: 64, ..identity::Limits::default() };
    let limits = Limits { text, ..Limits::default() };
    let app = App::with(Recorder::default(), Settings { limits, ..Settings::default() }).await;
    app.user("ann").await;
    let long = vec!["ims pr"; 16 * 1024 / 10].join(" or ");
    let deep = format!("{}ims pr{}", "not(".repeat(64), ")".repeat(64));
    for filter in [long, deep] {
        let answer = app.post("/Users/.search", json!({"filter": filter})).await;
        assert_eq!((answer.status.as_u16(), &answer.body["totalResults"]), (200, &json!(0)));
    }
}

#[tokio::test]
async fn a_page_is_as_large_as_is_set_and_that_is_advertised() {
    let app = narrow().await;
    for n in 0..5 {
        app.user(&format!("u{n}")).await;
    }
    for (query, shown) in [("", 2), ("?count=3", 3), ("?count=4", 3), ("?cursor=", 2), ("?cursor=&count=4", 3)] {
        let page = app.get(&format!("/Users{query}")).await.body;
        assert_eq!((&page["itemsPerPage"], &page["totalResults"]), (&json!(shown), &json!(5)), "{query}");
    }
    let refused = app.get("/Users?cursor=&count=0").await;
    assert_eq!(verdict(&refused), (400, Some("invalidCount")));
    assert_eq!(refused.body["detail"], "expected count to be an integer between 1 and 3");
    let config = app.get("/ServiceProviderConfig").await.body;
    assert_eq!(config["filter"]["maxResults"], 3);
    let sizes = |config: &Value| (config["defaultPageSize"].clone(), config["maxPageSize"].clone());
    assert_eq!(sizes(&config["pagination"]), (json!(2), json!(3)));
}

#[tokio::test]
async fn an_idp_that_sends_too_much_is_told_when_to_come_back_and_nothing_of_it_is_stored() {
    let app = app(2).await;
    for name in ["ann", "bob"] {
        assert_eq!(app.post("/Users", json!({"userName": name})).await.status, StatusCode::CREATED);
    }
    let refused = app.post("/Users", json!({"userName": "cid"})).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.body["status"], "429");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("at most 2 requests a second from okta"), "{detail}");
    // Another IdP has its own allowance, and sees who is there: nobody of theirs.
    let other = app.call_as_other("GET", "/Users", None).await;
    assert_eq!((other.status, &other.body["totalResults"]), (StatusCode::OK, &json!(0)));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let users = app.get("/Users").await;
    assert_eq!((users.status, &users.body["totalResults"]), (StatusCode::OK, &json!(2)));
}

#[tokio::test]
async fn the_allowance_is_the_idp_s_and_not_the_token_s() {
    let app = app(1).await;
    assert_eq!(app.get("/Users").await.status, StatusCode::OK);
    // As after `idp token create`.
    app.tokens.reload(&*app.store).await.unwrap();
    assert_eq!(app.get("/Users").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_token_s_last_use_is_written_once_for_many_requests() {
    let app = app(0).await;
    let before = app.store.tokens().await.unwrap();
    assert!(before.iter().all(|token| token.last_used_at.is_none()));
    app.tokens.write_use(&*app.store).await.unwrap();
    assert_eq!(app.store.tokens().await.unwrap(), before);
    app.get("/Users").await;
    app.get("/Users").await;
    app.tokens.write_use(&*app.store).await.unwrap();
    let after = app.store.tokens().await.unwrap();
    let used: Vec<_> = after.iter().map(|token| (token.idp.as_str(), token.last_used_at.is_some())).collect();
    assert_eq!(used, [("okta", true), ("entra", false)]);
}

#[tokio::test]
async fn one_bulk_of_an_idp_runs_at_a_time_also_when_its_caller_has_gone() {
    let gate = Some(tokio::sync::Semaphore::new(0));
    let app = App::with(Recorder { gate, ..Recorder::default() }, Settings::default()).await;
    let nothing = || json!({"Operations": []});
    let ann = json!({"Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ann"}}]});
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(50), app.post("/Bulk", ann)).await;
    assert!(gave_up.is_err());
    // As after `idp token create`: a second token is no second Bulk.
    app.tokens.reload(&*app.store).await.unwrap();
    let refused = app.post("/Bulk", nothing()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((refused.header("retry-after"), &refused.body["status"]), ("1", &json!("429")));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("one Bulk request at a time from okta"), "{detail}");
    let mut unreadable = app.request("POST", "/Bulk", None, &[]);
    *unreadable.body_mut() = "{".into();
    assert_eq!(app.send(unreadable).await.status, StatusCode::TOO_MANY_REQUESTS, "nothing of it is parsed");
    assert_eq!(app.get("/Users").await.status, StatusCode::OK);
    assert_eq!(app.call_as_other("POST", "/Bulk", Some(nothing())).await.status, StatusCode::OK);

    app.enforced.gate.as_ref().unwrap().add_permits(9);
    app.state.writes().close();
    app.state.writes().wait().await;
    for _ in 0..2 {
        assert_eq!(app.post("/Bulk", nothing()).await.status, StatusCode::OK);
    }
}
