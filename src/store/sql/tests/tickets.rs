//! Decisions, tickets, redemptions (G4, G6).

use serde_json::json;

use super::*;
use crate::audit::Kind;

async fn refused(world: &World, request: RedeemRequest) -> String {
    match world.store.redeem(request).await.unwrap() {
        Redemption::Refused(sentence) => sentence,
        Redemption::Redeemed(run) => panic!("{run:?}"),
    }
}

#[tokio::test]
async fn g6_a_decision_is_recorded_with_its_audit_row() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let before = world.audit_seq().await;
    assert_eq!(world.decide(alice, "t", "e").await, DecisionOutcome::Recorded);
    let record = world.store.decision("decision-t").await.unwrap().unwrap();
    assert!(record.allowed);
    assert_eq!((record.at, record.user, record.policy), (world.now(), Some(alice), Some(policy())));
    let mut denied = decision(world.now(), alice, "u", "e");
    (denied.allowed, denied.code, denied.reason_code) = (false, 7, "NotEntitled".into());
    assert_eq!(world.store.record_decision(denied).await.unwrap(), DecisionOutcome::Recorded);
    assert_eq!(world.audited(before).await, [Kind::DecisionAllowed, Kind::DecisionDenied]);
    let sentence = refused(&world, request(world.now(), "run", "u", &[])).await;
    assert!(sentence.contains("no ticket of ours"), "a denial leaves no ticket: {sentence}");
    assert_eq!(world.store.decision("nothing").await.unwrap(), None);
}

#[tokio::test]
async fn a_decision_for_a_person_who_is_gone_is_recorded_as_a_denial() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    world.set(ResourceKind::User, alice, "active", json!(false)).await;
    world.store.delete(&okta(), ResourceKind::User, bob).await.unwrap();
    for (user, ticket) in [(alice, "a"), (bob, "b")] {
        assert_eq!(world.decide(user, ticket, ticket).await, DecisionOutcome::NotActive);
        let record = world.store.decision(&format!("decision-{ticket}")).await.unwrap().unwrap();
        assert!(!record.allowed);
        assert_eq!((record.code, record.reason_code.as_str()), (7, "NotActive"));
        assert!(refused(&world, request(world.now(), "run", ticket, &[])).await.contains("no ticket of ours"));
    }
}

#[tokio::test]
async fn g4_a_redelivered_event_gets_a_new_ticket_until_one_is_spent() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let me = [SubjectRef::UserId(alice)];
    for ticket in ["t1", "t2"] {
        assert_eq!(world.decide(alice, ticket, "event").await, DecisionOutcome::Recorded);
    }
    world.store.redeem(request(world.now(), "run", "t2", &me)).await.unwrap();
    let sentence = refused(&world, request(world.now(), "other", "t1", &me)).await;
    assert!(sentence.contains("prod/run-run"), "{sentence}");
    assert_eq!(world.decide(alice, "t3", "event").await, DecisionOutcome::Spent("prod/run-run".into()));
    let record = world.store.decision("decision-t3").await.unwrap().unwrap();
    assert_eq!((record.code, record.reason_code.as_str()), (6, "Spent"));
    // The run's end frees nothing.
    world.store.run_ended("run", crate::api::RevocationReason::RunFinished).await.unwrap();
    assert_eq!(world.decide(alice, "t4", "event").await, DecisionOutcome::Spent("prod/run-run".into()));
}

#[tokio::test]
async fn g4_a_ticket_is_redeemed_once_and_again_only_by_the_same_run() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let deployers = world.group("Deployers", &[alice]).await;
    let before = world.audit_seq().await;
    let run = world.run("uid", alice, &[in_group("deployers")]).await;
    assert_eq!((run.user, run.user_name.as_str(), run.path().as_str()), (alice, "alice", "prod/run-uid"));
    assert_eq!(run.not_after(), world.now() + Duration::hours(1));
    assert_eq!(world.store.run("uid").await.unwrap(), Some(run.clone()));
    // The same run asks again, even when it would not be redeemed any more.
    world.pass(Duration::hours(3));
    world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap();
    match world.store.redeem(request(world.now(), "uid", "uid", &[])).await.unwrap() {
        Redemption::Redeemed(again) => assert!(again.ended_at.is_some() && again.uid == run.uid),
        Redemption::Refused(sentence) => panic!("{sentence}"),
    }
    let copied = refused(&world, request(world.now(), "copy", "uid", &[])).await;
    assert!(copied.contains("prod/run-uid") || copied.contains("ticket ended"), "{copied}");
    assert_eq!(world.audited(before).await[..2], [Kind::DecisionAllowed, Kind::Redeemed]);
}

#[tokio::test]
async fn g4_each_refusal_says_what_happened_and_is_audited_once_a_run() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let me = [SubjectRef::UserId(alice)];
    world.decide(alice, "t", "e").await;
    let good = || request(world.now(), "uid", "t", &me);
    let cases: Vec<(&str, RedeemRequest)> = vec![
        ("no ticket of ours", RedeemRequest { ticket: None, ..good() }),
        ("no ticket of ours", RedeemRequest { ticket: Some(SecretHash::of("guessed")), ..good() }),
        ("namespace prod, not for test", RedeemRequest { namespace: "test".into(), ..good() }),
        ("ticket ended", RedeemRequest { created_at: world.now() + Duration::seconds(301), ..good() }),
        ("AccessPolicy deploy", RedeemRequest { policies: BTreeMap::new(), ..good() }),
        ("pipeline is not deploy", {
            let mut request = good();
            request.policies.get_mut("policy").unwrap().misfit = Some("the pipeline is not deploy".into());
            request
        }),
        ("not a subject", request(world.now(), "uid", "t", &[in_group("deployers")])),
        ("had to start by", RedeemRequest { created_at: world.now() - Duration::seconds(3601), ..good() }),
    ];
    let before = world.audit_seq().await;
    for (n, (expected, request)) in cases.into_iter().enumerate() {
        let request = RedeemRequest { uid: format!("uid-{n}"), ..request };
        for _ in 0..2 {
            let sentence = refused(&world, request.clone()).await;
            assert!(sentence.contains(expected), "{sentence:?} does not say {expected:?}");
        }
    }
    assert_eq!(world.audited(before).await, [Kind::RedemptionRefused; 8]);
    assert!(world.store.live_runs().await.unwrap().is_empty());
    world.set(ResourceKind::User, alice, "active", json!(false)).await;
    assert!(refused(&world, good()).await.contains("not active"));
    // A refusal spends nothing: the ticket's own run still starts.
    world.set(ResourceKind::User, alice, "active", json!(true)).await;
    assert!(matches!(world.store.redeem(good()).await.unwrap(), Redemption::Redeemed(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g4_of_many_runs_with_one_ticket_one_wins() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    world.decide(alice, "t", "e").await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50 {
        let store = world.store.clone();
        let request = request(world.now(), &format!("uid-{n}"), "t", &[SubjectRef::UserId(alice)]);
        tasks.spawn(async move { matches!(store.redeem(request).await.unwrap(), Redemption::Redeemed(_)) });
    }
    let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!((won, world.store.live_runs().await.unwrap().len()), (1, 1));
    world.audited(0).await;
}
