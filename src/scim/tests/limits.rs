//! What one identity provider may take of us.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;

use super::app::{App, Recorder};
use crate::{
    scim::{IdpSettings, Settings},
    store::Store as _,
};

async fn app(requests_per_second: u32) -> App {
    let okta = IdpSettings { requests_per_second, ..IdpSettings::default() };
    let settings = Settings { idps: BTreeMap::from([("okta".into(), okta)]), ..Settings::default() };
    App::with(Recorder::default(), settings).await
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
