//! Agents: draft-wzdk-scim-agent-resource-00, and what clients of draft-abbey-scim-agent-extension-00 send.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::{Answer, App, Recorder};
use crate::scim::Settings;

const URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

async fn app() -> App {
    App::with(Recorder::default(), Settings { agents: true, ..Settings::default() }).await
}

async fn agent(app: &App, name: &str, owners: &[&str]) -> Answer {
    let owners: Vec<_> = owners.iter().map(|id| json!({"value": id})).collect();
    let made = app.post("/Agents", json!({"schemas": [URN], "agentUserName": name, "owners": owners})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made
}

fn owners(answer: &Answer) -> Vec<&str> {
    answer.body["owners"]
        .as_array()
        .map_or(vec![], |owners| owners.iter().map(|owner| owner["value"].as_str().unwrap()).collect())
}

fn refused(answer: &Answer, scim_type: &str) {
    assert_eq!(
        (answer.status, &answer.body["scimType"]),
        (StatusCode::BAD_REQUEST, &json!(scim_type)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn where_agents_are_off_nothing_says_that_there_are_such() {
    let app = App::new().await;
    for (method, path) in [
        ("GET", "/Agents"),
        ("POST", "/Agents"),
        ("GET", "/Agents/7"),
        ("POST", "/Agents/.search"),
        ("GET", "/ResourceTypes/Agent"),
        ("GET", &format!("/Schemas/{URN}")),
    ] {
        let answer = app.call(method, path, (method == "POST").then(|| json!({"agentUserName": "bot"}))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{method} {path}");
    }
    for path in ["/Schemas", "/ResourceTypes"] {
        assert!(!app.get(path).await.body.to_string().contains("Agent"), "{path}");
    }
    let bulk = json!({"Operations": [
        {"method": "POST", "bulkId": "a", "path": "/Agents", "data": {"agentUserName": "bot"}},
    ]});
    assert_eq!(app.post("/Bulk", bulk).await.body["Operations"][0]["status"], "400");
    assert_eq!(app.post("/.search", json!({"filter": "agentUserName pr"})).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn where_agents_are_on_discovery_tells_of_them() {
    let app = app().await;
    let kind = app.get("/ResourceTypes/Agent").await.body;
    assert_eq!((&kind["endpoint"], &kind["schema"]), (&json!("/Agents"), &json!(URN)));
    let schema = app.get(&format!("/Schemas/{URN}")).await.body;
    let owners = schema["attributes"].as_array().unwrap().iter().find(|one| one["name"] == "owners").unwrap();
    assert_eq!(owners["subAttributes"][1]["referenceTypes"], json!(["User"]));
    let group = app.get("/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group").await.body;
    assert!(group.to_string().contains(r#""canonicalValues":["User","Group","Agent"]"#), "{group}");
    assert_eq!(app.get("/Schemas").await.body["totalResults"], 6, "and that of the tests");
}

#[tokio::test]
async fn an_agent_has_owners_and_is_found_and_changed_like_anything_else() {
    let app = app().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let made = agent(&app, "release-bot", &[&alice]).await;
    let base = "https://scim.example.com/scim/v2";
    assert_eq!(made.header("location"), format!("{base}/Agents/{}", made.id()));
    assert_eq!(made.body["owners"], json!([{"value": alice, "$ref": format!("{base}/Users/{alice}")}]));
    assert_eq!((&made.body["active"], &made.body["meta"]["resourceType"]), (&json!(true), &json!("Agent")));

    let path = format!("/Agents/{}", made.id());
    let added =
        app.patch(&path, json!([{"op": "add", "path": "owners", "value": [{"value": bob}, {"value": alice}]}])).await;
    assert_eq!(owners(&added), [alice.as_str(), bob.as_str()]);
    for filter in [
        "agentUserName eq \"RELEASE-bot\"".to_owned(),
        format!("owners.value eq \"{bob}\""),
        format!("owners[value eq \"{bob}\"] and active eq true"),
    ] {
        let found = app.post("/Agents/.search", json!({"filter": filter})).await;
        assert_eq!(found.body["totalResults"], 1, "{filter}: {}", found.body);
    }
    let nobody = app.post("/Agents/.search", json!({"filter": "agentUserName eq \"other\""})).await;
    assert_eq!(nobody.body["totalResults"], 0);
    assert_eq!(app.get("/Agents?count=0").await.body["totalResults"], 1);
    assert_eq!(app.get("/Users?count=0").await.body["totalResults"], 2, "an Agent is no User");

    // As Entra takes members away, and as Okta does.
    let away =
        json!([{"op": "Remove", "path": "owners", "value": [{"$ref": format!("{base}/Users/{bob}"), "value": bob}]}]);
    assert_eq!(owners(&app.patch(&path, away).await), [alice.as_str()]);
    app.patch(&path, json!([{"op": "add", "path": "owners", "value": [{"value": bob}]}])).await;
    let away = json!([{"op": "remove", "path": format!("owners[value eq \"{alice}\"]")}]);
    assert_eq!(owners(&app.patch(&path, away).await), [bob.as_str()]);
    refused(
        &app.patch(&path, json!([{"op": "remove", "path": "owners", "value": [{"value": "bob"}]}])).await,
        "invalidValue",
    );

    // GET, modify, PUT.
    let mut whole = app.get(&path).await.body;
    whole["displayName"] = json!("Release bot");
    let put = app.call("PUT", &path, Some(whole)).await;
    assert_eq!(
        (put.status, owners(&put), &put.body["displayName"]),
        (StatusCode::OK, vec![bob.as_str()], &json!("Release bot"))
    );
    assert_eq!(app.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get("/Agents").await.body["totalResults"], 0);
}

#[tokio::test]
async fn an_owner_is_a_user_of_the_same_identity_provider() {
    let app = app().await;
    let alice = app.user("alice").await;
    let group = app.group("deployers", &[]).await;
    let bot = agent(&app, "bot", &[&alice]).await;
    let foreign = app.call_as_other("POST", "/Users", Some(json!({"userName": "mallory"}))).await.id();
    let nobody = Uuid::nil().to_string();
    let path = format!("/Agents/{}", bot.id());
    for odd in [&group, &bot.id(), &foreign, &nobody, "alice", "", "*"] {
        let owners = json!([{"value": alice}, {"value": odd}]);
        if !odd.is_empty() {
            refused(&app.post("/Agents", json!({"agentUserName": "x", "owners": owners})).await, "invalidValue");
            refused(&app.patch(&path, json!([{"op": "add", "path": "owners", "value": owners}])).await, "invalidValue");
        }
        let put = json!({"agentUserName": "bot", "owners": [{"value": odd, "$ref": "https://x/Users/7"}]});
        refused(&app.call("PUT", &path, Some(put)).await, "invalidValue");
    }
    assert_eq!(app.get("/Agents").await.body["totalResults"], 1, "nothing of a bad request is stored");
    assert_eq!(owners(&app.get(&path).await), [alice.as_str()]);
    for (method, body) in [("GET", Value::Null), ("DELETE", Value::Null), ("PUT", json!({"agentUserName": "b"}))] {
        let answer = app.call_as_other(method, &path, Some(body)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
}

#[tokio::test]
async fn a_client_of_the_older_draft_names_an_agent_by_name() {
    let app = app().await;
    let sent = json!({"schemas": [URN], "name": "clippy", "displayName": "Clippy", "active": true});
    let made = app.post("/Agents", sent.clone()).await;
    assert_eq!((made.status, &made.body["agentUserName"]), (StatusCode::CREATED, &json!("clippy")));
    let again = app.post("/Agents", sent).await;
    assert_eq!((again.status, &again.body["scimType"]), (StatusCode::CONFLICT, &json!("uniqueness")));
    assert!(again.body["detail"].as_str().unwrap().contains("agentUserName"), "{}", again.body);
    assert_eq!(app.get("/Agents?filter=name%20eq%20%22clippy%22").await.body["totalResults"], 1);
    refused(&app.post("/Agents", json!({"displayName": "no name"})).await, "invalidValue");
    // A user may be called so, too.
    assert_eq!(app.post("/Users", json!({"userName": "clippy"})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_agent_is_a_member_of_groups() {
    let app = app().await;
    let bot = agent(&app, "bot", &[]).await.id();
    let group = app.group("deployers", &[&bot]).await;
    let members = app.get(&format!("/Groups/{group}?attributes=members,members.display")).await.body["members"].clone();
    assert_eq!((&members[0]["type"], &members[0]["display"]), (&json!("Agent"), &json!("bot")), "{members}");
    assert!(members[0]["$ref"].as_str().unwrap().ends_with(&format!("/Agents/{bot}")));
    let groups = app.get(&format!("/Agents/{bot}")).await.body["groups"].clone();
    assert_eq!(groups[0]["value"], json!(group));
}

#[tokio::test]
async fn a_user_who_is_deleted_owns_nothing_any_more() {
    let app = app().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let bot = agent(&app, "bot", &[&alice, &bob]).await;
    let path = format!("/Agents/{}", bot.id());
    app.delete(&format!("/Users/{alice}")).await;
    let after = app.get(&path).await;
    assert_eq!(owners(&after), [bob.as_str()]);
    assert_ne!(after.body["meta"]["version"], bot.body["meta"]["version"]);
    app.delete(&format!("/Users/{bob}")).await;
    assert_eq!(app.get(&path).await.body.get("owners"), None);
}

#[tokio::test]
async fn a_bulk_request_makes_an_owner_and_what_they_own() {
    let app = app().await;
    let bulk = json!({"Operations": [
        {"method": "POST", "bulkId": "bot", "path": "/Agents",
         "data": {"agentUserName": "bot", "owners": [{"value": "bulkId:alice"}]}},
        {"method": "POST", "bulkId": "alice", "path": "/Users", "data": {"userName": "alice"}},
    ]});
    let answer = app.post("/Bulk", bulk).await;
    let statuses: Vec<_> = answer.body["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["201", "201"], "{}", answer.body);
    let alice = app.get("/Users").await.body["Resources"][0]["id"].clone();
    assert_eq!(app.get("/Agents").await.body["Resources"][0]["owners"][0]["value"], alice);
}

#[tokio::test]
async fn who_is_revived_answers_for_no_agent_of_before() {
    let app = app().await;
    let (alice, bob) = (app.user("alice").await, app.user("bob").await);
    let bot = agent(&app, "bot", &[&alice, &bob]).await;
    app.patch(&format!("/Users/{alice}"), json!([{"op": "replace", "path": "active", "value": false}])).await;
    let revived = app.post("/Users", json!({"userName": "alice", "externalId": "ext-alice"})).await;
    assert_eq!((revived.status, revived.id()), (StatusCode::CREATED, alice));
    assert_eq!(owners(&app.get(&format!("/Agents/{}", bot.id())).await), [bob.as_str()]);
}
