//! The life of a user.

use serde_json::json;

use super::app::{App, Recorder};
use crate::scim::Settings;

#[tokio::test]
async fn oktas_life_cycle() {
    let app = App::new().await;
    let filter = "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";
    let none = app.get(filter).await;
    assert_eq!((none.status.as_u16(), &none.body["totalResults"]), (200, &json!(0)));
    assert_eq!(none.body["Resources"], json!([]));

    let created = app
        .post(
            "/Users",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "test.user@okta.local",
                "name": {"givenName": "Test", "familyName": "User"}, "externalId": "00ujl29u0le5T6Aj10h7",
                "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
                "groups": [], "password": "1mz050nq", "active": true,
            }),
        )
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("content-type"), "application/scim+json");
    let path = format!("/Users/{}", created.id());
    assert_eq!(created.header("location"), format!("https://scim.example.com/scim/v2{path}"));
    assert_eq!(created.header("etag"), created.body["meta"]["version"].as_str().unwrap());
    assert!(!created.body.to_string().contains("1mz050nq"));

    assert_eq!(app.get(filter).await.body["Resources"][0], created.body);
    assert_eq!(app.get(&path).await.body, created.body);

    let mut changed = created.body.clone();
    changed["title"] = "Boss".into();
    let put = app.call("PUT", &path, Some(changed)).await;
    assert_eq!((put.status.as_u16(), &put.body["title"]), (200, &json!("Boss")));

    let off = app.patch(&path, json!([{"op": "replace", "value": {"active": false}}])).await;
    assert_eq!((off.status.as_u16(), &off.body["active"]), (200, &json!(false)));
    assert_eq!(app.get(&path).await.status, 200);

    assert_eq!(app.delete(&path).await.status, 204);
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(app.delete(&path).await.status, 404);
}

#[tokio::test]
async fn entras_probe_finds_nothing_and_that_is_no_error() {
    let app = App::new().await;
    let probe = "/Users?filter=userName+eq+%22AzureAD_Test-bdd952ba-be0b-47d4-b4c9-be5afee16d2d%22";
    let answer = app.get(probe).await;
    assert_eq!((answer.status.as_u16(), &answer.body["totalResults"]), (200, &json!(0)));
    assert_eq!(app.get("/Users/AzureAD_Test").await.status, 404);
    let unquoted = app.get("/Users?filter=externalId%20eq%20jyoung").await;
    assert_eq!(unquoted.status, 200);
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict() {
    let app = App::new().await;
    app.user("alice").await;
    let again = app.post("/Users", json!({"userName": "ALICE", "externalId": "ext-alice"})).await;
    assert_eq!((again.status.as_u16(), &again.body["scimType"]), (409, &json!("uniqueness")));
}

#[tokio::test]
async fn an_inactive_user_assigned_anew_is_the_same_user_without_old_groups() {
    let app = App::new().await;
    let id = app.user("alice").await;
    let group = app.group("deployers", &[&id]).await;
    app.patch(&format!("/Users/{id}"), json!([{"op": "replace", "value": {"active": false}}])).await;

    let other = app.post("/Users", json!({"userName": "alice", "externalId": "another"})).await;
    assert_eq!(other.status, 409);
    let nameless = app.post("/Users", json!({"userName": "alice"})).await;
    assert_eq!(nameless.status, 409);

    let revived = app.post("/Users", json!({"userName": "alice", "externalId": "ext-alice", "title": "new"})).await;
    assert_eq!((revived.status.as_u16(), revived.id()), (201, id));
    assert_eq!((&revived.body["active"], &revived.body["title"]), (&json!(true), &json!("new")));
    assert_eq!(revived.body.get("groups"), None);
    assert_eq!(app.get(&format!("/Groups/{group}")).await.body.get("members"), None);
}

#[tokio::test]
async fn whoever_comes_back_under_another_name_is_known_by_their_external_id() {
    let app = App::new().await;
    let id = app.user("alice").await;
    app.user("bob").await;
    let group = app.group("deployers", &[&id]).await;
    let renamed = |name: &str| json!({"userName": name, "externalId": "ext-alice"});
    assert_eq!(app.post("/Users", renamed("alice2")).await.status, 409, "alice is active");
    app.patch(&format!("/Users/{id}"), json!([{"op": "replace", "value": {"active": false}}])).await;

    // Bob's name is bob's, and who is refused is as they were.
    let before = app.get(&format!("/Users/{id}")).await.body;
    let taken = app.post("/Users", renamed("bob")).await;
    assert_eq!((taken.status.as_u16(), &taken.body["scimType"]), (409, &json!("uniqueness")));
    assert_eq!(app.get(&format!("/Users/{id}")).await.body, before);
    assert_eq!(before["groups"][0]["value"], json!(group));

    let revived = app.post("/Users", renamed("alice2")).await;
    assert_eq!((revived.status.as_u16(), revived.id()), (201, id));
    assert_eq!((&revived.body["active"], &revived.body["userName"]), (&json!(true), &json!("alice2")));
    assert_eq!(revived.body.get("groups"), None);
    assert_eq!(app.post("/Users", json!({"userName": "alice"})).await.status, 201, "the old name is free");
}

#[tokio::test]
async fn a_change_is_enforced_before_the_answer_and_again_when_it_is_asked_for_again() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("alice").await);
    assert_eq!(app.enforced.seen.lock().unwrap().len(), 1);
    let off = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    app.patch(&path, off.clone()).await;
    {
        let seen = app.enforced.seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        assert!(!seen[1].resource.active());
    }
    let again = app.patch(&path, off).await;
    assert_eq!(again.status, 200);
    // A process before this one may have died over it.
    assert_eq!(app.enforced.seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nothing() {
    let gate = tokio::sync::Semaphore::new(1);
    let app = App::with(Recorder { gate: Some(gate), ..Recorder::default() }, Settings::default()).await;
    let id = app.user("alice").await;
    let path = format!("/Users/{id}");
    let call = app.delete(&path);
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(300), call).await;
    assert!(gave_up.is_err(), "the deletion waits for its enforcement");
    app.enforced.gate.as_ref().unwrap().add_permits(1);
    app.state.writes().close();
    app.state.writes().wait().await;
    assert_eq!(app.enforced.seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn if_match_guards_a_change() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("alice").await);
    let etag = app.get(&path).await.header("etag").to_owned();
    let body = json!({"Operations": [{"op": "add", "path": "title", "value": "x"}]});
    let change = |tag: &str| app.request("PATCH", &path, Some(body.clone()), &[("if-match", tag)]);
    assert_eq!(app.send(change("W/\"999\"")).await.status, 412);
    assert_eq!(app.send(change(&etag)).await.status, 200);
    assert_eq!(app.send(change(&etag)).await.status, 412);
    assert_eq!(app.send(app.request("DELETE", &path, None, &[("if-match", &etag)])).await.status, 412);
    let etag = app.get(&path).await.header("etag").to_owned();
    for tags in [etag.as_str(), "*", &format!("\"x\", {etag}")] {
        let unchanged = app.send(app.request("GET", &path, None, &[("if-none-match", tags)])).await;
        assert_eq!((unchanged.status.as_u16(), unchanged.header("etag")), (304, etag.as_str()), "{tags}");
        let unless = app.request("PATCH", &path, Some(body.clone()), &[("if-none-match", tags)]);
        assert_eq!(app.send(unless).await.status, 412, "{tags}");
    }
    assert_eq!(app.send(app.request("GET", &path, None, &[("if-none-match", "\"x\"")])).await.status, 200);
    assert_eq!(app.send(app.request("GET", &path, None, &[("if-match", "W/\"999\"")])).await.status, 412);
    assert_eq!(app.send(app.request("GET", &path, None, &[("if-match", &etag)])).await.status, 200);
    let both = [("if-match", "W/\"999\""), ("if-none-match", etag.as_str())];
    assert_eq!(app.send(app.request("GET", &path, None, &both)).await.status, 412);
    assert_eq!(app.send(change("*")).await.status, 200);
    assert_eq!(app.send(app.request("DELETE", &path, None, &[("if-match", &etag)])).await.status, 204);
}

#[tokio::test]
async fn a_group_that_was_read_with_someone_who_is_deleted_since_is_read_anew() {
    let app = App::new().await;
    let alice = app.user("alice").await;
    let group = format!("/Groups/{}", app.group("deployers", &[&alice]).await);
    let etag = app.get(&group).await.header("etag").to_owned();
    app.delete(&format!("/Users/{alice}")).await;
    let again = app.send(app.request("GET", &group, None, &[("if-none-match", &etag)])).await;
    assert_eq!((again.status.as_u16(), again.body.get("members")), (200, None));
    let late = json!({"displayName": "deployers", "members": []});
    assert_eq!(app.send(app.request("PUT", &group, Some(late), &[("if-match", &etag)])).await.status, 412);
}

#[tokio::test]
async fn a_moment_that_was_shown_finds_what_it_was_shown_of_and_is_not_after_itself() {
    let app = App::new().await;
    for name in ["a", "b", "c"] {
        let shown = app.get(&format!("/Users/{}", app.user(name).await)).await.body;
        for attribute in ["created", "lastModified"] {
            let at = shown["meta"][attribute].as_str().unwrap();
            for (op, found) in [("eq", true), ("ge", true), ("gt", false), ("lt", false)] {
                let filter = format!("userName eq \"{name}\" and meta.{attribute} {op} \"{at}\"");
                let answer = app.post("/Users/.search", json!({"filter": filter})).await;
                assert_eq!(answer.body["totalResults"], usize::from(found), "{filter}");
            }
        }
    }
}

/// A deletion that was asked for by version must not take with it what came in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_deletion_and_a_change_of_the_same_version_one_happens() {
    let app = App::new().await;
    for n in 0..30 {
        let path = format!("/Users/{}", app.user(&format!("u{n}")).await);
        let tag = [("if-match", "W/\"1\"")];
        let title = json!({"Operations": [{"op": "add", "path": "title", "value": "x"}]});
        let change = app.request("PATCH", &path, Some(title), &tag);
        let (changed, deleted) = tokio::join!(app.send(change), app.send(app.request("DELETE", &path, None, &tag)));
        let both = (changed.status.as_u16(), deleted.status.as_u16());
        assert!(matches!(both, (200, 412) | (404, 204)), "{both:?}");
    }
}

#[tokio::test]
async fn an_answer_is_as_small_as_the_caller_wants() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("alice").await);
    let body = json!({"Operations": [{"op": "add", "path": "title", "value": "x"}]});
    for preference in ["return=minimal", "return=\"minimal\"; x=y, wait=1"] {
        let minimal = app.request("PATCH", &path, Some(body.clone()), &[("prefer", preference)]);
        let minimal = app.send(minimal).await;
        assert_eq!((minimal.status.as_u16(), minimal.header("preference-applied")), (204, "return=minimal"));
    }
    let only = app.get(&format!("{path}?attributes=userName")).await;
    assert_eq!(only.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "schemas", "userName"]);
}
