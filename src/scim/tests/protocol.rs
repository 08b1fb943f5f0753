//! Authentication, errors, discovery, pages.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::app::{App, Recorder};
use crate::{
    scim::{IdpSettings, Limits, Settings},
    store::Store,
};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

#[tokio::test]
async fn nobody_comes_in_without_a_live_token() {
    let app = App::new().await;
    for header in [None, Some(""), Some("Bearer x"), Some("Basic eDp5"), Some("Bearer scimidp_")] {
        let mut request = app.request("GET", "/Users", None, &[]);
        match header {
            None => request.headers_mut().remove("authorization"),
            Some(value) => request.headers_mut().insert("authorization", value.parse().unwrap()),
        };
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.body["status"]), (401, &json!("401")), "{header:?}");
        assert_eq!(answer.body["schemas"], json!([ERROR]));
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let okta = app.store.tokens().await.unwrap().into_iter().find(|token| token.idp.as_str() == "okta").unwrap();
    app.store.revoke_token(&okta.id).await.unwrap();
    assert_eq!(app.get("/Users").await.status, 200, "until the table is reloaded");
    app.state.tokens.reload(&*app.store).await.unwrap();
    assert_eq!(app.get("/Users").await.status, 401);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_scims_own_form() {
    let app = App::new().await;
    let deep = format!("{}title pr{}", "(".repeat(10_000), ")".repeat(10_000));
    for (method, path, body, status, scim_type) in [
        ("POST", "/Users/.search", Some(json!({"filter": deep})), 400, Some("invalidFilter")),
        ("GET", &format!("/Users?filter={}", "(".repeat(10_000)), None, 400, Some("invalidFilter")),
        ("GET", "/Nothing", None, 404, None),
        ("POST", "", Some(json!({})), 405, None),
        ("DELETE", "/", None, 405, None),
        ("PATCH", "/Users", Some(json!({})), 405, None),
        ("GET", "/Bulk", None, 405, None),
        ("GET", "/Me", None, 501, None),
        ("GET", "/Users/x", None, 404, None),
        ("GET", "/Users?filter=shoeSize%20eq%207", None, 400, Some("invalidFilter")),
        ("GET", "/Users?count=many", None, 400, Some("invalidValue")),
        ("POST", "/Users", Some(json!([])), 400, Some("invalidSyntax")),
        ("POST", "/Users", Some(json!({"userName": "a\nb"})), 400, Some("invalidValue")),
        ("GET", "/Schemas?filter=id%20pr", None, 403, None),
        ("GET", "/Schemas/urn:x", None, 404, None),
    ] {
        let answer = app.call(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.body["schemas"], json!([ERROR]), "{method} {path}");
        assert_eq!(answer.body["status"], status.to_string());
        assert_eq!(answer.body.get("scimType").and_then(|one| one.as_str()), scim_type, "{method} {path}");
        assert!(answer.body["detail"].is_string());
        assert_eq!(answer.header("content-type"), "application/scim+json");
    }
}

#[tokio::test]
async fn a_filter_that_came_out_empty_or_as_no_text_is_refused_and_shows_nobody() {
    let app = App::new().await;
    app.user("alice").await;
    for query in ["filter=", "filter=%20", "Filter=", "filter=userName%20pr&filter=title%20pr"] {
        let answer = app.get(&format!("/Users?{query}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidFilter")), "{query}");
    }
    for filter in [json!(""), json!(" "), json!({}), json!(true), json!(7), json!(["userName pr"])] {
        for path in ["/Users/.search", "/.search"] {
            let answer = app.post(path, json!({"filter": filter})).await;
            assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidFilter")), "{filter}");
        }
    }
    for body in [json!({"count": true}), json!({"startIndex": []}), json!({"attributes": [7]}), json!({"sortBy": 7})] {
        let answer = app.post("/Users/.search", body.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidValue")), "{body}");
    }
    let unassigned = json!({"filter": null, "count": null, "cursor": null, "shoeSize": true});
    assert_eq!(app.post("/Users/.search", unassigned).await.body["totalResults"], 1);
}

#[tokio::test]
async fn of_two_values_for_one_name_neither_is_taken() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("alice").await);
    let (parts, _) = app.request("PATCH", &path, None, &[]).into_parts();
    let body = r#"{"Operations": [{"op": "replace", "value": {"active": false, "active": true}}]}"#;
    let answer = app.send(Request::from_parts(parts, Body::from(body))).await;
    assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidSyntax")));
    assert!(answer.body["detail"].as_str().unwrap().contains("\"active\" is stated twice"), "{}", answer.body);
    assert_eq!(app.get(&path).await.header("etag"), "W/\"1\"");
}

#[tokio::test]
async fn bodies_have_a_type_a_size_and_a_syntax() {
    let app = App::new().await;
    let body = Some(json!({"userName": "a"}));
    let xml = app.request("POST", "/Users", body.clone(), &[("content-type", "application/xml")]);
    assert_eq!(app.send(xml).await.status, 415);
    let plain = app.request("POST", "/Users", body, &[("content-type", "application/json; charset=utf-8")]);
    assert_eq!(app.send(plain).await.status, 201);
    let with = |body: Body| {
        let (parts, _) = app.request("POST", "/Users", None, &[]).into_parts();
        Request::from_parts(parts, body)
    };
    assert_eq!(app.send(with(Body::from(vec![b' '; Limits::default().max_body + 1]))).await.status, 413);
    let broken = app.send(with(Body::from("{\"userName\": \"hunter2"))).await;
    assert_eq!((broken.status.as_u16(), &broken.body["scimType"]), (400, &json!("invalidSyntax")));
    assert!(!broken.body.to_string().contains("hunter2"));
    assert_eq!(app.send(with(Body::from("[".repeat(10_000)))).await.status, 400);
}

#[tokio::test]
async fn the_server_says_what_it_can_do() {
    let app = App::new().await;
    let mut open = app.request("GET", "/ServiceProviderConfig", None, &[]);
    open.headers_mut().remove("authorization");
    assert_eq!(app.send(open).await.body["patch"]["supported"], true);
    let wrong = app.request("GET", "/ServiceProviderConfig", None, &[("authorization", "Bearer x")]);
    assert_eq!(app.send(wrong).await.status, 401);
    assert_eq!(app.get("/Schemas").await.body["totalResults"], 5, "four, and that of the tests");
    assert_eq!(app.get("/ResourceTypes").await.body["totalResults"], 2);
    for path in ["/ResourceTypes/User", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"] {
        let found = app.get(path).await;
        assert_eq!(found.status, 200, "{path}");
        assert_eq!(found.body["meta"]["location"], format!("https://scim.example.com/scim/v2{path}"));
    }
}

#[tokio::test]
async fn pages_are_as_asked_and_hold_everyone_once() {
    let app = App::new().await;
    for n in 0..7 {
        app.user(&format!("u{n}")).await;
    }
    let mut seen = Vec::new();
    for start in [1, 4, 7] {
        let page = app.get(&format!("/Users?startIndex={start}&count=3&attributes=userName")).await.body;
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(7), &json!(start)));
        let found = page["Resources"].as_array().unwrap();
        assert_eq!(page["itemsPerPage"], found.len());
        seen.extend(found.iter().map(|one| one["userName"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
    let none = app.get("/Users?startIndex=-5&count=0").await.body;
    assert_eq!((&none["totalResults"], &none["itemsPerPage"], &none["startIndex"]), (&json!(7), &json!(0), &json!(1)));
    let beyond = app.get("/Users?startIndex=100").await.body;
    assert_eq!((&beyond["totalResults"], &beyond["itemsPerPage"]), (&json!(7), &json!(0)));
    app.group("g0", &[]).await;
    let all = app.post("/.search", json!({"startIndex": 7, "count": 5})).await.body;
    let names: Vec<_> =
        all["Resources"].as_array().unwrap().iter().map(|one| one["meta"]["resourceType"].as_str()).collect();
    assert_eq!((&all["totalResults"], names), (&json!(8), vec![Some("User"), Some("Group")]));
    for root in ["", "/"] {
        assert_eq!(app.get(&format!("{root}?startIndex=7&count=5")).await.body, all, "the root by GET");
    }
    let users = app.post("/.search", json!({"filter": "userName sw \"u\"", "count": 2})).await.body;
    assert_eq!((&users["totalResults"], &users["itemsPerPage"]), (&json!(7), &json!(2)));
    assert_eq!(app.post("/.search", json!({"filter": "shoeSize pr"})).await.status, 400);
    let search = json!({"filter": "userName eq \"u3\"", "attributes": ["userName"], "startIndex": 1, "count": 10});
    let found = app.post("/Users/.search", search).await.body;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["userName"]), (&json!(1), &json!("u3")));
}

#[tokio::test]
async fn over_several_types_an_attribute_has_no_value_where_a_type_lacks_it() {
    let app = App::new().await;
    app.user("ada").await;
    app.user("bob").await;
    app.group("devs", &[]).await;
    for (filter, names) in [
        (r#"displayName eq "devs" or userName eq "bob""#, &["bob", "devs"][..]),
        (r#"urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq "devs" and id pr"#, &["devs"]),
        (r#"not (userName eq "bob")"#, &["ada", "devs"]),
        (r#"userName ne "bob""#, &["ada", "devs"]),
        ("userName eq null", &["devs"]),
        ("userName pr and meta.created pr", &["ada", "bob"]),
        (r#"emails[type eq "work"] or members pr"#, &[]),
    ] {
        let found = app.post("/.search", json!({"filter": filter})).await.body;
        let name = |one: &serde_json::Value| one.get("userName").unwrap_or(&one["displayName"]).clone();
        let found: Vec<_> = found["Resources"].as_array().unwrap().iter().map(name).collect();
        assert_eq!(found, names, "{filter}");
    }
    for wrong in [r#"displayName eq "devs" or shoeSize eq 7"#, r#"active eq "maybe" or displayName pr"#] {
        assert_eq!(app.post("/.search", json!({"filter": wrong})).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn what_a_client_refuses_is_left_out_of_what_the_server_says_of_itself() {
    let okta = IdpSettings { omit: vec!["sort"], ..IdpSettings::default() };
    let app =
        App::with(Recorder::default(), Settings { idps: [("okta".into(), okta)].into(), ..Settings::default() }).await;
    let entra = app.call_as_other("GET", "/ServiceProviderConfig", None).await.body;
    let mut okta = app.get("/ServiceProviderConfig").await.body;
    assert_eq!((okta.get("sort"), entra.get("sort").is_some()), (None, true));
    okta["sort"] = entra["sort"].clone();
    assert_eq!(okta, entra, "nothing else is");
}

#[tokio::test]
async fn a_client_that_has_no_user_without_a_password_is_told_of_one_that_is_dropped() {
    let okta = IdpSettings { advertise_password: true, ..IdpSettings::default() };
    let app =
        App::with(Recorder::default(), Settings { idps: [("okta".into(), okta)].into(), ..Settings::default() }).await;
    let user = "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User";
    for path in [user, "/Schemas"] {
        assert!(!app.call_as_other("GET", path, None).await.body.to_string().contains("password"), "{path}");
        let shown = app.get(path).await.body.to_string();
        assert_eq!(shown.matches("\"password\"").count(), 1, "{path}: of the User alone");
    }
    let shown = app.get(user).await.body;
    let password = shown["attributes"].as_array().unwrap().last().unwrap();
    assert_eq!((&password["mutability"], &password["returned"]), (&json!("writeOnly"), &json!("never")));
    let sent = json!({"userName": "ada", "password": "s3cret"});
    assert_eq!(app.post("/Users", sent).await.body.get("password"), None);
    assert_eq!(app.get("/Users?filter=password%20pr").await.status, 400, "it is in no table");
}
