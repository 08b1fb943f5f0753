//! The attacks on events of DESIGN §8, each by its name there.

use serde_json::{Value, json};

use super::{fixture::*, *};
use crate::{identity::ResourceKind, store::DecisionOutcome};

fn denied(world: &World, request: &InterceptorRequest, reason: Reason) -> String {
    let (found, sentence) = world.why(request);
    assert_eq!(found, reason, "{sentence}");
    sentence
}

#[test]
fn forged_interceptor_request_straight_to_our_port() {
    let mut forged = push();
    forged.header.remove("X-Hub-Signature-256");
    denied(&World::new(), &forged, Reason::NoSignature);
    denied(&World::new(), &InterceptorRequest::default(), Reason::NoPolicyParam);
}

#[test]
fn wrong_or_missing_signature() {
    let with = |signature: &str| {
        let mut request = push();
        request.header.insert("X-Hub-Signature-256".into(), vec![signature.into()]);
        request
    };
    denied(&World::new(), &with(&sign(PUSH, "guessed")), Reason::WrongSignature);
    denied(&World::new(), &with("sha256=00"), Reason::MalformedSignature);
    denied(&World::new(), &with(""), Reason::MalformedSignature);
    let mut changed = push();
    changed.body = changed.body.replace("583231", "7");
    denied(&World::new(), &changed, Reason::WrongSignature);
}

#[test]
fn a_source_whose_secret_is_missing_or_empty_denies_even_a_signature_with_the_empty_secret() {
    let mut world = World::new();
    let source = world.catalog.source("github-acme").unwrap().object.clone();
    world.catalog.put_event_source(&source, Ok(vec!["".into()]));
    let mut request = push();
    request.header.insert("X-Hub-Signature-256".into(), vec![sign(PUSH, "")]);
    denied(&world, &request, Reason::SourceNotReady);
    world.catalog.put_event_source(&source, Err("there is no Secret github-webhook".into()));
    assert!(denied(&world, &push(), Reason::SourceNotReady).contains("no Secret github-webhook"));
}

#[tokio::test]
async fn replayed_webhook_also_under_another_triggers_name() {
    let spent = World::new().served(|| Ok(DecisionOutcome::Spent("prod/deploy-x1".into())));
    let answer = spent.answer(&push()).await;
    assert_eq!(answer["continue"], false);
    assert!(answer["status"]["message"].as_str().unwrap().contains("already started PipelineRun prod/deploy-x1"));

    let mut world = World::new();
    world.trigger("prod", "other", "deploy-prod");
    let served = world.served(|| Ok(DecisionOutcome::Recorded));
    let mut redelivered = push();
    redelivered.header.insert("X-Github-Delivery".into(), vec!["another-id".into()]);
    for request in [push(), redelivered, at_trigger(push(), "namespaces/prod/triggers/other")] {
        assert_eq!(served.answer(&request).await["continue"], true);
    }
    // A trigger that never got this event has a spend of its own; one that does not exist has none.
    let spends: Vec<_> =
        served.store.decisions.lock().unwrap().iter().map(|d| d.ticket.as_ref().unwrap().spend_key).collect();
    assert!(spends[0] == spends[1] && spends[0] != spends[2]);
    let unknown = served.answer(&at_trigger(push(), "namespaces/prod/triggers/made-up")).await;
    assert_eq!(unknown["status"]["code"], 16);
}

#[test]
fn a_trigger_id_of_another_namespace() {
    let mut world = World::new();
    denied(&world, &at_trigger(push(), "namespaces/test/triggers/push"), Reason::UnknownTrigger);
    // The tenant of `test` may name a trigger and a param as they like: the policy is looked up in their namespace.
    world.trigger("test", "push", "deploy-prod");
    denied(&world, &at_trigger(push(), "namespaces/test/triggers/push"), Reason::UnknownPolicy);
    denied(&world, &at_trigger(push(), "namespaces/prod/triggerGroups/push"), Reason::TriggerGroup);
}

#[test]
fn a_source_of_another_namespace() {
    let mut world = World::new();
    world.trigger("test", "push", "deploy-prod");
    world.policy("test", "deploy-prod", |_| {});
    denied(&world, &at_trigger(push(), "namespaces/test/triggers/push"), Reason::SourceNotForNamespace);
}

#[test]
fn github_enterprises_id_7_for_github_coms_id_7() {
    let mut world = World::new();
    world.source("ghe", "ghe.example.com", &["prod"]);
    world.policy("prod", "deploy-prod", |spec| spec["source"] = "ghe".into());
    let at = |host: &str| {
        push_with(|body| {
            body["sender"]["id"] = 7.into();
            body["repository"]["html_url"] = format!("https://{host}/acme/shop").into();
        })
    };
    // Alice's 7 is github.com's.
    denied(&world, &at("ghe.example.com"), Reason::NoLink);
    // And where one secret was given to both hosts, the Enterprise's event does not pass for one of github.com.
    world.policy("prod", "deploy-prod", |_| {});
    denied(&world, &at("ghe.example.com"), Reason::WrongHost);
    assert!(world.decide(&at("github.com")).allowed());
}

#[test]
fn login_renamed_and_reused() {
    let world = World::new();
    let reused = push_with(|body| {
        body["sender"]["id"] = 999.into();
    });
    assert!(denied(&world, &reused, Reason::NoLink).contains("999"));
    let renamed = push_with(|body| {
        body["sender"]["login"] = "robert".into();
        body["pusher"]["name"] = "robert".into();
    });
    assert_eq!(world.decide(&renamed).user.unwrap().id, id(BOB));
}

#[test]
fn commit_author_spoofed() {
    let mut world = World::new();
    world.policy("prod", "deploy-prod", |spec| {
        spec["subjects"] = json!([{ "user": { "userName": "alice@example.com" } }]);
    });
    let spoofed = push_with(|body| {
        let alice = json!({ "name": "Alice", "email": "alice@example.com", "username": "alice-dev", "id": 7 });
        body["head_commit"]["author"] = alice.clone();
        body["commits"][0]["author"] = alice.clone();
        body["commits"][0]["committer"] = alice;
        body["pusher"]["email"] = "alice@example.com".into();
    });
    let judgement = world.decide(&spoofed);
    assert_eq!((judgement.reason, judgement.user.unwrap().id), (Reason::NotEntitled, id(BOB)));
}

#[test]
fn event_type_in_the_header_is_not_the_bodys() {
    let world = World::new();
    let mut request = push();
    request.header.insert("X-Github-Event".into(), vec!["release".into()]);
    denied(&world, &request, Reason::EventTypeMismatch);
    request.header.insert("X-Github-Event".into(), vec![]);
    denied(&world, &request, Reason::EventTypeMismatch);
    let created = push_with(|body| body["ref_type"] = "branch".into());
    assert!(!world.decide(&created).allowed());
}

#[test]
fn a_bot_with_a_persons_name() {
    let bot = push_with(|body| body["sender"]["type"] = "Bot".into());
    assert!(denied(&World::new(), &bot, Reason::Bot).contains("Agent"));
    let organisation = push_with(|body| body["sender"]["type"] = "Organization".into());
    denied(&World::new(), &organisation, Reason::Bot);
}

/// `release-bot` with Bob's account, owned by these; Bob has another account now.
fn with_a_bot(owners: &[u128]) -> World {
    let mut world = World::new();
    world.change(&[person(BOB, "bob@example.com", true, 8), bot(owners, true)]);
    world.policy("prod", "deploy-prod", |spec| {
        spec["subjects"] =
            json!([{ "agent": { "name": "Release-Bot" } }, { "group": { "idp": "okta", "displayName": "deployers" } }]);
    });
    world
}

fn bot(owners: &[u128], active: bool) -> crate::directory::Change {
    let owners: Vec<_> = owners.iter().map(|owner| json!({ "value": id(*owner).to_string() })).collect();
    let link = json!({ "githubId": "583231" });
    let attributes = json!({ "agentUserName": "release-bot", "active": active, "owners": owners, SCHEMA: link });
    resource(ResourceKind::Agent, "okta", 30, attributes)
}

#[test]
fn a_bot_acts_as_the_agent_that_is_linked_to_its_account() {
    let mut world = with_a_bot(&[ALICE]);
    let pushed = push_with(|body| body["sender"]["type"] = "Bot".into());
    for push in [&pushed, &push()] {
        let judgement = world.decide(push);
        assert!(judgement.allowed(), "{}", judgement.sentence);
        assert_eq!(judgement.user.unwrap().id, id(30));
        assert!(judgement.trace.iter().any(|step| step.found == "alice@example.com answers for it"));
    }
    let organisation = push_with(|body| body["sender"]["type"] = "Organization".into());
    denied(&world, &organisation, Reason::Bot);
    world.change(&[bot(&[ALICE], false)]);
    denied(&world, &pushed, Reason::Inactive);
    // A person beside it claims the account.
    world.change(&[person(BOB, "bob@example.com", true, 583_231)]);
    denied(&world, &pushed, Reason::AmbiguousIdentity);
}

#[test]
fn an_agent_for_which_nobody_answers() {
    for owners in [&[][..], &[77], &[DEPLOYERS], &[30]] {
        assert!(denied(&with_a_bot(owners), &push(), Reason::OwnerGone).contains("nobody answers"));
    }
    let mut world = with_a_bot(&[ALICE, BOB]);
    world.change(&[person(ALICE, "alice@example.com", false, 7)]);
    assert!(world.decide(&push()).allowed());
    world.change(&[person(BOB, "bob@example.com", false, 8)]);
    denied(&world, &push(), Reason::OwnerGone);
}

#[test]
fn an_agent_of_an_owner_who_may_not_do_it_themselves() {
    let mut world = with_a_bot(&[ALICE]);
    world.change(&[crate::directory::Change::Members {
        group: id(DEPLOYERS),
        added: vec![id(30)],
        removed: vec![id(ALICE)],
    }]);
    assert!(denied(&world, &push(), Reason::NotEntitled).contains("none of its active owners"));
    // And the other way round: what an owner may, their bot may not for that alone.
    let mut world = with_a_bot(&[ALICE]);
    world.policy("prod", "deploy-prod", |_| {});
    assert!(denied(&world, &push(), Reason::NotEntitled).contains("is no subject"));
}

#[test]
fn a_push_by_a_deploy_key_which_hosts_show_as_its_creators() {
    for pusher in ["deploy-key", "none", ""] {
        let request = push_with(|body| body["pusher"] = json!({ "name": pusher }));
        assert!(denied(&World::new(), &request, Reason::DeployKey).contains("deploy key"));
    }
    let request = push_with(|body| body["pusher"] = Value::Null);
    assert!(!World::new().decide(&request).allowed());
}

#[test]
fn ambiguous_match() {
    let mut world = World::new();
    world.change(&[person(3, "mallory@example.com", true, 583_231)]);
    denied(&world, &push(), Reason::AmbiguousIdentity);
    // A leaver's number is nobody's while they hold it, whoever else claims it.
    world.change(&[person(3, "mallory@example.com", false, 583_231)]);
    denied(&world, &push(), Reason::AmbiguousIdentity);
    world.change(&[crate::directory::Change::Deleted(ResourceKind::User, id(3))]);
    assert!(world.decide(&push()).allowed());
}

#[test]
fn an_idp_that_is_no_authority_claims_a_github_number() {
    let mut world = World::new();
    world.change(&[crate::directory::Change::Idp("entra".into())]);
    let attributes = json!({ "userName": "mallory", "urn:okta:acme:1.0:user:custom": { "githubId": "583231" } });
    world.change(&[resource(ResourceKind::User, "entra", 4, attributes)]);
    assert_eq!(world.decide(&push()).user.unwrap().id, id(BOB));
}

#[test]
fn nested_group_cycles() {
    let mut world = World::new();
    world.change(&group(DEPLOYERS + 1, "A", &[BOB, DEPLOYERS + 2]));
    world.change(&group(DEPLOYERS + 2, "B", &[DEPLOYERS + 1]));
    world.policy("prod", "deploy-prod", |spec| spec["subjects"] = json!([{ "group": { "displayName": "b" } }]));
    assert!(world.decide(&push()).allowed());
    world.policy("prod", "deploy-prod", |spec| spec["subjects"] = json!([{ "group": { "displayName": "c" } }]));
    denied(&world, &push(), Reason::NotEntitled);
}

#[tokio::test]
async fn whoever_does_not_sign_learns_nothing_and_stores_nothing() {
    let served = World::new().served(|| panic!("nothing is recorded"));
    let mut unsigned = push();
    unsigned.header.clear();
    let mut unknown_policy = push();
    unknown_policy.interceptor_params.insert("policy".into(), "other".into());
    let strangers =
        [unsigned, unknown_policy, at_trigger(push(), "namespaces/x/triggers/y"), InterceptorRequest::default()];
    let mut answers = vec![];
    for request in &strangers {
        for _ in 0..20 {
            answers.push(served.answer(request).await);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["status"]["code"], 16);
    assert!(served.told.0.lock().unwrap().is_empty());
    let reasons: Vec<_> = served.store.rows.lock().unwrap().iter().map(|row| row.detail["reason"].clone()).collect();
    assert_eq!(reasons, ["NoSignature", "TriggerNamesAnotherPolicy", "UnknownTrigger", "NoPolicyParam"]);
}

#[test]
fn log_injection_by_user_name() {
    let mut world = World::new();
    world.change(&[person(BOB, "bob\n2026 allowed", true, 583_231)]);
    world.policy("prod", "deploy-prod", |spec| spec["subjects"] = json!([{ "group": { "displayName": "none" } }]));
    assert!(!denied(&world, &push(), Reason::NotEntitled).contains('\n'));
}
