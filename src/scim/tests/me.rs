//! `/Me`, with tokens of people.

use serde_json::{Value, json};

use super::{
    app::{Answer, App},
    jwt::{app, send},
};
use crate::scim::MeBy;

fn by(claim: &str, attribute: &'static str) -> MeBy {
    MeBy { claim: claim.into(), attribute }
}

/// Claims that change a provisioner's token into alice's, by any client.
fn alice() -> Value {
    json!({"azp": "portal", "sid": "s", "sub": "ext-alice", "preferred_username": "Alice", "oid": "ext-alice"})
}

async fn me(app: &App, token: &str) -> Answer {
    send(app, "GET", "/Me", token).await
}

#[tokio::test]
async fn a_person_reads_who_they_are() {
    for (claim, attribute) in [("sub", "externalId"), ("oid", "externalId"), ("preferred_username", "userName")] {
        let (app, issuer) = app(Some(by(claim, attribute))).await;
        let (id, _) = (app.user("alice").await, app.user("bob").await);
        // Of another identity provider.
        app.call_as_other("POST", "/Users", Some(json!({"userName": "alice", "externalId": "ext-alice"}))).await;
        let token = issuer.token(&alice());
        let found = me(&app, &token).await;
        let there = app.get(&format!("/Users/{id}")).await;
        assert_eq!((found.status.as_u16(), &found.body), (200, &there.body), "by {claim}");
        let permanent = format!("https://scim.example.com/scim/v2/Users/{id}");
        assert_eq!(
            (found.header("location"), &found.body["meta"]["location"]),
            (permanent.as_str(), &json!(permanent))
        );
        assert_eq!(found.header("etag"), there.header("etag"));
        let projected = send(&app, "GET", "/Me?attributes=userName", &token).await.body;
        assert_eq!((&projected["userName"], projected.get("externalId")), (&json!("alice"), None));
        let without = send(&app, "GET", "/Me?excludedAttributes=userName", &token).await.body;
        assert_eq!((without.get("userName"), &without["externalId"]), (None, &json!("ext-alice")));
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("if-none-match", found.header("etag"))];
        assert_eq!(app.send(app.request("GET", "/Me", None, &headers)).await.status, 304);
    }
}

#[tokio::test]
async fn a_person_may_do_nothing_else() {
    let (app, issuer) = app(Some(by("sub", "externalId"))).await;
    let id = app.user("alice").await;
    // Also by the client that provisions.
    for token in [issuer.token(&alice()), issuer.token(&json!({"sid": "s", "sub": "ext-alice"}))] {
        assert_eq!(me(&app, &token).await.status, 200);
        for (method, path) in [
            ("GET", format!("/Users/{id}")),
            ("PUT", format!("/Users/{id}")),
            ("PATCH", format!("/Users/{id}")),
            ("DELETE", format!("/Users/{id}")),
            ("GET", "/Users".into()),
            ("POST", "/Users".into()),
            ("POST", "/Users/.search".into()),
            ("POST", "/.search".into()),
            ("POST", "/Groups".into()),
            ("POST", "/Bulk".into()),
            ("GET", "/Schemas".into()),
            ("GET", "/ResourceTypes".into()),
            ("GET", "/ServiceProviderConfig".into()),
            ("POST", "/Me".into()),
            ("PUT", "/Me".into()),
            ("PATCH", "/Me".into()),
            ("DELETE", "/Me".into()),
        ] {
            let answer = send(&app, method, &path, &token).await;
            assert_eq!((answer.status.as_u16(), &answer.body["status"]), (403, &json!("403")), "{method} {path}");
            let challenge = answer.header("www-authenticate").contains("insufficient_scope");
            assert_eq!(challenge, path != "/Me", "{method} {path}");
        }
    }
    assert_eq!(app.get(&format!("/Users/{id}")).await.status, 200);
}

#[tokio::test]
async fn who_is_inactive_has_no_token_and_who_is_not_there_is_nobody() {
    let (app, issuer) = app(Some(by("sub", "externalId"))).await;
    let (id, token) = (app.user("alice").await, issuer.token(&alice()));
    assert_eq!(me(&app, &token).await.status, 200);
    let set = |active| json!([{"op": "replace", "path": "active", "value": active}]);
    app.patch(&format!("/Users/{id}"), set(false)).await;
    let gone = me(&app, &token).await;
    assert_eq!((gone.status.as_u16(), gone.header("www-authenticate").contains("invalid_token")), (401, true));
    app.patch(&format!("/Users/{id}"), set(true)).await;
    assert_eq!(me(&app, &token).await.status, 200);
    app.delete(&format!("/Users/{id}")).await;
    assert_eq!(me(&app, &token).await.status, 404);
    // Another's id, name or externalId in the wrong place is nobody's either.
    let bob = app.user("bob").await;
    for sub in [bob.as_str(), "bob", "EXT-BOB", "ext-bob\" or userName pr or userName eq \"", "*"] {
        let mut claims = alice();
        claims["sub"] = json!(sub);
        assert_eq!(me(&app, &issuer.token(&claims)).await.status, 404, "{sub}");
    }
}

#[tokio::test]
async fn an_identity_provider_is_nobody_and_without_people_there_is_no_such_endpoint() {
    let (with, issuer) = app(Some(by("sub", "externalId"))).await;
    for answer in [with.get("/Me").await, me(&with, &issuer.token(&json!({}))).await] {
        assert_eq!((answer.status.as_u16(), &answer.body["status"]), (501, &json!("501")));
        assert!(answer.body["detail"].as_str().unwrap().contains("expected a person's"), "{}", answer.body);
    }
    assert_eq!(me(&with, "x").await.status, 401);
    let mut nobody = with.request("GET", "/Me", None, &[]);
    nobody.headers_mut().remove("authorization");
    assert_eq!(with.send(nobody).await.status, 401);
    let (without, issuer) = app(None).await;
    without.user("alice").await;
    assert_eq!(me(&without, &issuer.token(&alice())).await.status, 501);
    assert_eq!(send(&without, "GET", "/Users", &issuer.token(&alice())).await.status, 401);
}

#[tokio::test]
async fn people_take_nothing_of_what_provisioning_may_send() {
    let (app, issuer) = super::jwt::app_limited(Some(by("sub", "externalId")), 5).await;
    app.user("alice").await;
    let token = issuer.token(&alice());
    let mut last = 0;
    for _ in 0..20 {
        last = me(&app, &token).await.status.as_u16();
    }
    assert_eq!(last, 429);
    assert_eq!(app.get("/Users").await.status, 200);
}
