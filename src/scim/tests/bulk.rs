//! Many requests in one (RFC 7644 §3.7).

use serde_json::{Value, json};

use super::app::{Answer, App, Recorder};
use crate::{config::Bulk, scim::Settings};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

impl App {
    async fn bulk(&self, operations: Value) -> Answer {
        self.post("/Bulk", json!({"Operations": operations})).await
    }
}

fn statuses(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    answer.body["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect()
}

fn id(operation: &Value) -> String {
    operation["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn members(group: &Value) -> Vec<&str> {
    group["members"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_operation_is_answered_as_its_single_request_would_be() {
    let app = App::new().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let answer = app
        .bulk(json!([
            {"method": "POST", "path": "/Users", "bulkId": "q", "data": {"userName": "carl", "password": "hunter2"}},
            {"method": "PUT", "path": format!("/Users/{alice}"), "data": {"userName": "alice", "title": "Boss"}},
            {"method": "PATCH", "path": format!("/Users/{bob}"), "version": "W/\"1\"",
             "data": {"Operations": [{"op": "replace", "value": {"active": false}}]}},
            {"method": "DELETE", "path": format!("/Users/{alice}"), "version": "W/\"2\""},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["201", "200", "204", "204"]);
    let done = answer.body["Operations"].as_array().unwrap();
    let expected = json!({
        "method": "POST", "bulkId": "q", "status": "201", "version": "W/\"1\"",
        "location": format!("https://scim.example.com/scim/v2/Users/{}", id(&done[0])),
    });
    assert_eq!(done[0], expected);
    assert_eq!((&done[1]["version"], id(&done[1])), (&json!("W/\"2\""), alice.clone()));
    assert_eq!((&done[2]["version"], id(&done[3])), (&json!("W/\"2\""), alice.clone()));
    assert_eq!(app.get(&format!("/Users/{alice}")).await.status, 404);
    assert_eq!(app.get(&format!("/Users/{bob}")).await.body["active"], false);
    assert_eq!(app.get(&format!("/Users/{}", id(&done[0]))).await.body["userName"], "carl");
}

#[tokio::test]
async fn what_one_refers_to_is_made_before_it_wherever_it_stands() {
    let app = App::new().await;
    let answer = app
        .bulk(json!([
            {"method": "PATCH", "path": "/Groups/bulkId:g", "data": {"Operations": [
                {"op": "remove", "path": "members[value eq \"bulkId:b\"]"},
                {"op": "add", "path": "externalId", "value": "x"},
            ]}},
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "g",
                "members": [{"value": "bulkId:a", "$ref": "../Users/bulkId:a"}, {"value": "bulkId:b"}]}},
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "a",
                ENTERPRISE: {"manager": {"value": "bulkId:b"}}}},
            {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "b"}},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["204", "201", "201", "201"]);
    let [_, group, a, b] = answer.body["Operations"].as_array().unwrap().as_slice() else { panic!("four") };
    let (group, a, b) = (id(group), id(a), id(b));
    let shown = app.get(&format!("/Groups/{group}")).await.body;
    assert_eq!((members(&shown), &shown["externalId"]), (vec![a.as_str()], &json!("x")));
    assert_eq!(app.get(&format!("/Users/{a}")).await.body[ENTERPRISE]["manager"]["value"], json!(b));
}

#[tokio::test]
async fn a_circle_of_references_is_closed() {
    let app = App::new().await;
    let answer = app
        .bulk(json!([
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "g",
                "members": [{"value": "bulkId:u"}, {"type": "Group", "value": "bulkId:h"}]}},
            {"method": "POST", "path": "/Groups", "bulkId": "h", "data": {"displayName": "h",
                "members": [{"value": "bulkId:u"}, {"type": "Group", "value": "bulkId:g"}]}},
            {"method": "POST", "path": "/Users", "bulkId": "u", "data": {"userName": "u",
                ENTERPRISE: {"department": "d", "manager": {"value": "bulkId:u"}}}},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["201", "201", "201"]);
    let [g, h, u] = answer.body["Operations"].as_array().unwrap().as_slice() else { panic!("three") };
    let (g, h, user) = (id(g), id(h), id(u));
    for (group, other) in [(&g, &h), (&h, &g)] {
        let shown = app.get(&format!("/Groups/{group}")).await;
        let mut expected = [user.as_str(), other.as_str()];
        expected.sort_unstable();
        let mut found = members(&shown.body);
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let shown = app.get(&format!("/Users/{user}")).await;
    assert_eq!(shown.body[ENTERPRISE], json!({"department": "d", "manager": {"value": user}}));
    assert_eq!(u["version"], shown.header("etag"), "the version that is told is the last");
}

#[tokio::test]
async fn an_operation_that_fails_says_why_and_takes_no_other_with_it_but_those_that_need_it() {
    let app = App::new().await;
    let alice = app.user("alice").await;
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "dup", "data": {"userName": "ALICE"}},
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "g", "members": [{"value": "bulkId:dup"}]}},
        {"method": "PATCH", "path": format!("/Users/{alice}"), "version": "W/\"9\"", "data": {"Operations": [{"op": "replace", "value": {"active": false}}]}},
        {"method": "POST", "path": "/Users", "data": {"userName": "b", "manager": "bulkId:nobody"}},
        {"method": "DELETE", "path": "/Users/x"},
        {"method": "GET", "path": "/Users"},
        {"method": "PUT", "path": "/Users", "data": {}},
        {"method": "POST", "path": "/Bulk", "data": {}},
        {"method": "POST", "path": "/Users", "data": {}},
        7,
        {"method": "POST", "path": "/Users", "data": {"userName": "bob"}},
    ]);
    let answer = app.bulk(operations.clone()).await;
    let expected = ["409", "409", "412", "400", "404", "400", "400", "400", "400", "400", "201"];
    assert_eq!(statuses(&answer), expected);
    let done = answer.body["Operations"].as_array().unwrap();
    for (one, status) in done.iter().zip(expected).take(10) {
        assert_eq!(one["response"]["status"], status);
        assert!(one["response"]["detail"].is_string());
    }
    assert_eq!(done[0]["response"]["scimType"], "uniqueness");
    assert_eq!((done[0].get("location"), id(&done[2])), (None, alice));
    assert_eq!(app.get("/Groups").await.body["totalResults"], 0);
    assert_eq!(app.get("/Users").await.body["totalResults"], 2);

    let app = App::new().await;
    app.user("alice").await;
    let stopped = app.post("/Bulk", json!({"failOnErrors": 3, "Operations": operations})).await;
    assert_eq!(statuses(&stopped), ["409", "409", "404"], "the rest was not tried: here nobody has that id");
    assert_eq!(app.get("/Users").await.body["totalResults"], 1);
}

#[tokio::test]
async fn a_circle_that_cannot_be_closed_leaves_nothing_of_who_opened_it() {
    let app = App::new().await;
    let answer = app
        .bulk(json!([
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"members": [{"value": "bulkId:h"}]}},
            {"method": "POST", "path": "/Groups", "bulkId": "h", "data": {"displayName": "h", "members": [{"value": "bulkId:g"}]}},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["400", "409"]);
    assert_eq!(app.get("/Groups").await.body["totalResults"], 0);
}

#[tokio::test]
async fn when_enough_has_failed_a_circle_that_is_open_leaves_nothing_and_the_rest_is_not_tried() {
    let app = App::new().await;
    let group = |id: &str, name: Value, other: &str| {
        let data = json!({"displayName": name, "members": [{"value": format!("bulkId:{other}")}]});
        json!({"method": "POST", "path": "/Groups", "bulkId": id, "data": data})
    };
    let user = json!({"method": "POST", "path": "/Users", "bulkId": "u", "data": {"userName": "u"}});
    let send = async |fail_on_errors: usize, operations: Value| {
        app.post("/Bulk", json!({"failOnErrors": fail_on_errors, "Operations": operations})).await
    };
    // The second is created first, without the first, which can't be.
    let open = json!([group("g", json!(null), "h"), group("h", json!("h"), "g"), user]);
    assert_eq!(statuses(&send(1, open.clone()).await), ["400", "409"]);
    let never_begun = json!([{"method": "DELETE", "path": "/Users/x"}, open[0], open[1], open[2]]);
    assert_eq!(statuses(&send(1, never_begun).await), ["404"]);
    assert_eq!(app.post("/.search", json!({})).await.body["totalResults"], 0);
    let closed =
        json!([{"method": "DELETE", "path": "/Users/x"}, group("g", json!("g"), "h"), group("h", json!("h"), "g")]);
    assert_eq!(statuses(&send(2, closed).await), ["404", "201", "201"]);
    for group in app.get("/Groups").await.body["Resources"].as_array().unwrap() {
        assert_eq!(members(group).len(), 1);
    }
}

#[tokio::test]
async fn who_was_there_before_a_circle_that_cannot_be_closed_is_there_after_it() {
    for (created_active, sent_active) in [(true, true), (false, false)] {
        let app = App::new().await;
        app.user("alice").await;
        let bob = json!({"userName": "bob", "externalId": "e", "active": created_active});
        let id = app.post("/Users", bob).await.id();
        if created_active {
            app.patch(&format!("/Users/{id}"), json!([{"op": "replace", "path": "active", "value": false}])).await;
        }
        let manager = |name: &str| json!({"manager": {"value": format!("bulkId:{name}")}});
        let answer = app
            .bulk(json!([
                {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "alice",
                    ENTERPRISE: manager("b")}},
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bob", "externalId": "e",
                    "active": sent_active, ENTERPRISE: manager("a")}},
            ]))
            .await;
        assert_eq!(statuses(&answer), ["409", "409"]);
        let found = app.get(&format!("/Users/{id}")).await;
        assert_eq!((found.status.as_u16(), &found.body["active"]), (200, &json!(false)));
    }
}

#[tokio::test]
async fn who_was_changed_while_a_circle_was_open_stays_as_they_are() {
    let app = App::new().await;
    // Both are one person: the second is created first, and the first finds them inactive.
    let same = |active: bool, manager: &str| json!({"userName": "x", "externalId": "e", "active": active, ENTERPRISE: {"manager": {"value": manager}}});
    let answer = app
        .bulk(json!([
            {"method": "POST", "path": "/Users", "bulkId": "u", "data": same(true, "bulkId:v")},
            {"method": "POST", "path": "/Users", "bulkId": "v", "data": same(false, "bulkId:u")},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["201", "412"]);
    let found = app.get(&format!("/Users/{}", id(&answer.body["Operations"][0]))).await;
    assert_eq!((found.status.as_u16(), &found.body["active"]), (200, &json!(true)));
}

#[tokio::test]
async fn the_closing_of_a_circle_undoes_no_operation_of_its_request() {
    let app = App::new().await;
    let answer = app
        .bulk(json!([
            {"method": "PATCH", "path": "/Users/bulkId:u",
             "data": {"Operations": [{"op": "replace", "value": {"active": false}}]}},
            {"method": "POST", "path": "/Users", "bulkId": "u", "data": {"userName": "u", "active": true,
                ENTERPRISE: {"manager": {"value": "bulkId:u"}}}},
        ]))
        .await;
    assert_eq!(statuses(&answer), ["204", "201"]);
    let id = id(&answer.body["Operations"][1]);
    let user = app.get(&format!("/Users/{id}")).await.body;
    assert_eq!((&user["active"], &user[ENTERPRISE]["manager"]["value"]), (&json!(false), &json!(id)));
}

#[tokio::test]
async fn a_request_that_holds_too_much_or_says_nothing_clear_is_refused_as_a_whole() {
    let bulk = Bulk { max_operations: 2, max_payload_size: 300 };
    let app = App::with(Recorder::default(), Settings { bulk, ..Settings::default() }).await;
    let user = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": name}});
    let sized = |bytes: usize| {
        let empty = json!({"Operations": [], "pad": ""}).to_string().len();
        json!({"Operations": [], "pad": "x".repeat(bytes - empty)})
    };
    assert_eq!(app.post("/Bulk", sized(300)).await.status, 200);
    for (body, status) in [
        (json!({"Operations": [user("a"), user("b"), user("c")]}), 413),
        (sized(301), 413),
        (json!({"Operations": [user("a"), user("a")]}), 400),
        (json!({"Operations": [user("a")], "failOnErrors": 0}), 400),
        (json!({"Operations": [user("a")], "failOnErrors": "1"}), 400),
        (json!({"Operations": [user("a")], "operations": []}), 400),
        (json!({"Operations": {}}), 400),
        (json!({}), 400),
        (json!([]), 400),
    ] {
        let answer = app.post("/Bulk", body.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["status"]), (status, &json!(status.to_string())), "{body}");
    }
    assert_eq!(app.get("/Users").await.body["totalResults"], 0);
    assert_eq!(statuses(&app.bulk(json!([user("a"), user("b")])).await), ["201", "201"]);
    assert_eq!(statuses(&app.bulk(json!([])).await), Vec::<&str>::new());
    let config = app.get("/ServiceProviderConfig").await.body;
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 2, "maxPayloadSize": 300}));
    let other = app.call_as_other("POST", "/Bulk", Some(json!({"Operations": [user("a")]}))).await;
    assert_eq!(statuses(&other), ["201"], "each identity provider has its own people");
}

fn leavers(ids: &[String]) -> Value {
    let off = json!({"Operations": [{"op": "replace", "value": {"active": false}}]});
    ids.iter().map(|id| json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": off})).collect()
}

#[tokio::test]
async fn a_bulk_is_answered_after_all_that_it_takes_away_is_gone_and_not_before() {
    let app =
        App::with(Recorder { gate: Some(tokio::sync::Semaphore::new(2)), ..Recorder::default() }, Settings::default())
            .await;
    let ids = [app.user("alice").await, app.user("bob").await];
    let call = app.bulk(leavers(&ids));
    tokio::pin!(call);
    let early = tokio::time::timeout(std::time::Duration::from_millis(500), &mut call).await;
    assert!(early.is_err(), "it waits for its enforcement");
    for id in &ids {
        assert_eq!(app.get(&format!("/Users/{id}")).await.body["active"], false, "both are stored meanwhile");
    }
    app.enforced.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(statuses(&call.await), ["204", "204"]);
    // Once, for all of it: what both changed is followed together.
    let seen = app.enforced.seen.lock().unwrap();
    assert_eq!((seen.len(), seen[2].changes.len(), seen[2].changed), (3, 2, true));
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_no_operation() {
    let app =
        App::with(Recorder { gate: Some(tokio::sync::Semaphore::new(2)), ..Recorder::default() }, Settings::default())
            .await;
    let ids = [app.user("alice").await, app.user("bob").await];
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(1), app.bulk(leavers(&ids))).await;
    assert!(gave_up.is_err());
    app.enforced.gate.as_ref().unwrap().add_permits(9);
    app.state.writes().close();
    app.state.writes().wait().await;
    for id in &ids {
        assert_eq!(app.get(&format!("/Users/{id}")).await.body["active"], false);
    }
}
