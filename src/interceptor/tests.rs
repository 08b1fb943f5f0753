//! The interceptor as its callers see it.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{fixture::*, *};
use crate::{
    store::{DecisionOutcome, StoreError},
    ticket,
};

#[tokio::test]
async fn an_entitled_push_goes_on_with_a_ticket_that_was_recorded() {
    let served = World::new().served(|| Ok(DecisionOutcome::Recorded));
    let mut answer = served.answer(&push()).await;
    let decisions = served.store.decisions.lock().unwrap();
    let [decision] = &decisions[..] else { panic!("one write") };
    let scim = answer["extensions"]["scim"].as_object_mut().unwrap();
    let ticket = scim.remove("ticket").unwrap();
    let recorded = decision.ticket.as_ref().unwrap();
    assert_eq!(ticket::ticket_hash(ticket.as_str().unwrap()), Some(recorded.hash));
    assert_eq!(recorded.expires_at, now() + chrono::Duration::minutes(5));
    assert_eq!(scim.remove("decisionId").unwrap(), decision.id);
    assert_eq!(
        answer,
        json!({
            "continue": true, "status": {},
            "extensions": { "scim": {
                "userId": id(BOB), "userName": "bob@example.com", "displayName": "bob@example.com",
                "groups": ["Deployers"], "serviceAccountName": "deployer", "policy": "deploy-prod"
            } }
        })
    );
    assert!(decision.allowed && decision.trace.iter().all(|step| step.ok));
    assert_eq!((decision.user, decision.namespace.as_str()), (Some(id(BOB)), "prod"));
    assert_eq!(decision.policy.as_ref().unwrap().generation, Some(3));
    let event = serde_json::to_value(&decision.event).unwrap();
    assert_eq!(
        event,
        json!({
            "source": "github-acme", "host": "github.com", "event": "push", "trust": "member", "eventId": "event-1",
            "actorId": 583_231, "repository": "acme/shop", "repositoryId": 186_853_002, "gitRef": "refs/heads/main",
            "sha": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"
        })
    );
    assert!(served.told.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_denial_after_the_signature_is_recorded_and_told_in_full() {
    let mut world = World::new();
    world.policy("prod", "deploy-prod", |spec| {
        spec["subjects"] = json!([{ "group": { "displayName": "Admins" } }, { "user": { "userName": "Carol" } }]);
    });
    let served = world.served(|| Ok(DecisionOutcome::Recorded));
    let answer = served.answer(&push()).await;
    let sentence = "bob@example.com (bob-dev) is no subject of policy deploy-prod, which lets these start its pipelines: \
                    group admins of okta, user carol of okta; ask whoever runs that group to add you";
    assert_eq!(answer, json!({ "continue": false, "status": { "code": 7, "message": sentence } }));
    let decisions = served.store.decisions.lock().unwrap();
    assert_eq!((decisions[0].reason_code.as_str(), decisions[0].reason.as_str()), ("NotEntitled", sentence));
    assert!(decisions[0].ticket.is_none());
    let last = decisions[0].trace.last().unwrap();
    assert_eq!((last.check.as_str(), last.ok), ("subject", false));
    let told = served.told.0.lock().unwrap();
    assert_eq!(
        told[..],
        [Denied {
            decision_id: decisions[0].id.clone(),
            namespace: "prod".into(),
            trigger_kind: TriggerKind::Trigger,
            trigger_name: "push".into(),
            reason: Reason::NotEntitled,
            sentence: sentence.into(),
        }]
    );
}

#[tokio::test]
async fn a_store_that_fails_denies_and_lets_no_ticket_out() {
    let served = World::new().served(|| Err(StoreError::Failed("disk full at /secret/path".into())));
    let answer = served.answer(&push()).await;
    assert_eq!((&answer["continue"], &answer["status"]["code"]), (&json!(false), &json!(14)));
    assert!(answer.get("extensions").is_none() && !answer.to_string().contains("disk"));
}

#[tokio::test]
async fn a_person_who_is_inactive_where_only_the_store_knows_is_denied() {
    let served = World::new().served(|| Ok(DecisionOutcome::NotActive));
    let answer = served.answer(&push()).await;
    assert_eq!((&answer["continue"], &answer["status"]["code"]), (&json!(false), &json!(7)));
    assert_eq!(served.told.0.lock().unwrap()[0].reason, Reason::Inactive);
}

#[tokio::test]
async fn attack_old_backup_restored_people_of_an_idp_in_doubt_are_denied_and_explain_says_why() {
    let sentence =
        "the identity provider okta has not been confirmed since a backup was restored: ask the platform team";
    let mut world = World::new();
    world.change(&[crate::directory::Change::Confirmed("okta".into(), false)]);
    assert_eq!(world.why(&push()), (Reason::IdpNotConfirmed, sentence.into()));
    let last = world.decide(&push()).trace.pop().unwrap();
    assert_eq!((last.check.as_str(), last.ok, last.found.as_str()), ("identity provider", false, sentence));
    world.change(&[crate::directory::Change::Confirmed("okta".into(), true)]);
    assert_eq!(world.why(&push()).0, Reason::Allowed);
    // Where only the store knows yet.
    let served = World::new().served(|| Ok(DecisionOutcome::Unconfirmed("okta".into())));
    let answer = served.answer(&push()).await;
    assert_eq!(answer, json!({ "continue": false, "status": { "code": 7, "message": sentence } }));
}

#[test]
fn who_is_inactive_uncovered_or_out_of_the_policys_events_is_denied_with_the_reason() {
    let mut world = World::new();
    world.change(&[person(BOB, "bob@example.com", false, 583_231)]);
    assert_eq!(world.why(&push()), (Reason::Inactive, "bob@example.com is not active at okta".into()));

    let world = World::new();
    let (reason, sentence) = world.why(&push_with(|body| body["repository"]["owner"]["id"] = 666.into()));
    assert_eq!(reason, Reason::RepositoryNotCovered);
    assert!(sentence.starts_with("acme/shop belongs to account 666"), "{sentence}");
    assert_eq!(world.why(&push_with(|body| body["deleted"] = true.into())).0, Reason::RefDeleted);

    let mut world = World::new();
    world.policy("prod", "deploy-prod", |spec| spec["events"] = json!([{ "types": ["release"] }]));
    assert_eq!(world.why(&push()).0, Reason::EventNotInPolicy);
    world.policy("prod", "deploy-prod", |spec| spec["events"] = json!([]));
    assert_eq!(world.why(&push()).0, Reason::Allowed);
}

#[test]
fn a_policy_that_we_cannot_honour_wholly_allows_nothing() {
    for (field, value) in
        [("mode", json!("Audit")), ("events", json!([{ "when": "true" }])), ("ambient", json!("Accept"))]
    {
        let mut world = World::new();
        world.policy("prod", "deploy-prod", |spec| spec[field] = value);
        assert_eq!(world.why(&push()).0, Reason::PolicyNotHonoured, "{field}");
    }
    let mut world = World::new();
    world.change(&[crate::directory::Change::Idp("entra".into())]);
    assert!(world.decide(&push()).allowed());
    world.policy("prod", "deploy-prod", |spec| spec["subjects"] = json!([{ "group": { "displayName": "deployers" } }]));
    assert_eq!(world.why(&push()).0, Reason::PolicyNotHonoured);
}

#[test]
fn explain_shows_what_the_caller_is_not_told() {
    let world = World::new();
    let mut request = push();
    request.header.clear();
    let request = serde_json::to_vec(&request).unwrap();
    let judgement = explain(&world.directory, &world.catalog, &world.settings, &request, now()).unwrap();
    assert!(!judgement.authenticated && judgement.sentence.contains("has no X-Hub-Signature-256"));
    let steps: Vec<_> = judgement.trace.iter().map(|step| (step.check.as_str(), step.ok)).collect();
    let expected =
        [("policy param", true), ("trigger", true), ("policy", true), ("source", true), ("signature", false)];
    assert_eq!(steps, expected);
    assert!(explain(&world.directory, &world.catalog, &world.settings, b"[1", now()).is_err());
}

#[test]
fn the_fixture_is_a_full_push_event() {
    assert!(PUSH.len() > 8 * 1024);
    assert!(World::new().decide(&push()).allowed());
}

#[tokio::test]
async fn over_http_every_post_is_answered_200_and_nothing_else_is_a_method() {
    let served = World::new().served(|| Ok(DecisionOutcome::Recorded));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router(served.state)).await });
    let ask = async |head: &str, body: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        let _ = stream.write_all(body).await;
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let request = serde_json::to_vec(&push()).unwrap();
    for path in ["/", "/a/b"] {
        let answer = ask(&format!("POST {path}"), &request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""continue":true"#), "{answer}");
    }
    let answer = ask("POST /", b"{\"body\": 1}").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("expected an InterceptorRequest"), "{answer}");
    let answer = ask("POST /", &vec![b' '; 9 * 1024 * 1024]).await;
    assert!(answer.is_empty() || answer.contains("expected an InterceptorRequest"), "{answer}");
    assert!(ask("GET /", b"").await.starts_with("HTTP/1.1 405"));
    task.abort();
}
