//! A Grant's life: compare-and-set, epochs, receipts (G1, G6).

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    api::{GrantPhase, Receipt, RevocationReason as Reason},
    audit::Kind,
    store::GrantSelect,
};

async fn with_run() -> (World, ResourceId, ResourceId) {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let deployers = world.group("deployers", &[alice]).await;
    world.run("r", alice, &[in_group("deployers")]).await;
    (world, alice, deployers)
}

#[tokio::test]
async fn g6_a_grant_is_pending_then_active_each_audited_before_it_is_seen() {
    let (world, alice, _) = with_run().await;
    let before = world.audit_seq().await;
    let pending = world.pending("r", "deploy").await;
    assert_eq!(
        (pending.phase, pending.user, pending.not_after),
        (GrantPhase::Pending, alice, world.now() + Duration::hours(1))
    );
    let again = world.store.begin_grant(new_grant("r", "deploy")).await.unwrap();
    assert!(matches!(again, Begun::Existing(grant) if grant == pending));
    let active = match world.store.activate_grant(pending.id, issued(world.now())).await.unwrap() {
        Activated::Active(grant) => grant,
        Activated::Revoking(grant) => panic!("{grant:?}"),
    };
    assert_eq!((active.phase, active.issued_at), (GrantPhase::Active, Some(world.now())));
    assert_eq!(active.facts["serviceAccount"], "grant-1");
    assert_eq!(world.stored(pending.id).await, active);
    assert_eq!(world.audited(before).await, [Kind::GrantPending, Kind::GrantIssued]);
    let twice = world.store.activate_grant(pending.id, issued(world.now())).await;
    assert!(matches!(twice, Err(StoreError::Limit(_))), "a second credential would escape its revocation");
}

#[tokio::test]
async fn g1_no_grant_begins_for_a_run_that_may_not_have_one() {
    let (world, alice, deployers) = with_run().await;
    let refused = async |run: &str| match world.store.begin_grant(new_grant(run, "deploy")).await.unwrap() {
        Begun::Refused(sentence) => sentence,
        other => panic!("{other:?}"),
    };
    assert!(refused("unknown").await.contains("no ticket of ours"));
    world.pass(Duration::hours(1));
    assert!(refused("r").await.contains("authority ended at"));
    world.pass(Duration::hours(-1));
    world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap();
    assert!(refused("r").await.contains("GroupLost"));
}

#[tokio::test]
async fn g1_an_intent_that_comes_while_a_grant_is_issued_is_not_overtaken() {
    let (world, alice, deployers) = with_run().await;
    let pending = world.pending("r", "deploy").await;
    let done = world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap();
    assert_eq!(done.revocations.grants[0].id, pending.id);
    match world.store.activate_grant(pending.id, issued(world.now())).await.unwrap() {
        Activated::Revoking(grant) => assert_eq!(grant.reason, Some(Reason::GroupLost)),
        Activated::Active(grant) => panic!("{grant:?}"),
    }
}

#[tokio::test]
async fn g1_when_the_epoch_has_moved_the_entitlement_is_judged_again() {
    let (world, ..) = with_run().await;
    let other = world.user("other").await;
    let pending = world.pending("r", "deploy").await;
    world.set(ResourceKind::User, other, "active", json!(false)).await;
    match world.store.activate_grant(pending.id, issued(world.now())).await.unwrap() {
        Activated::Active(grant) => assert_eq!(grant.epoch, pending.epoch + 1),
        Activated::Revoking(grant) => panic!("{grant:?}"),
    }
    // As another replica would leave it: the membership gone, the intent not recorded.
    let second = world.pending("r", "second").await;
    let slip = |tx: &mut super::super::Tx<'_>| {
        tx.prepare_cached("DELETE FROM members")?.execute(params![])?;
        tx.raise_epoch()
    };
    world.store.write(slip).await.unwrap();
    match world.store.activate_grant(second.id, issued(world.now())).await.unwrap() {
        Activated::Revoking(grant) => {
            assert_eq!((grant.phase, grant.reason), (GrantPhase::Revoking, Some(Reason::GroupLost)));
        }
        Activated::Active(grant) => panic!("{grant:?}"),
    }
    let run = world.store.run("r").await.unwrap().unwrap();
    assert!(run.cancel_pending, "what is lost is lost to the whole run");
    assert_eq!(
        world.store.grants(&GrantSelect { phases: vec![GrantPhase::Active], ..GrantSelect::default() }).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn g1_a_renewal_needs_the_entitlement_and_time_left() {
    let (world, ..) = with_run().await;
    let grant = world.grant("r", "deploy").await;
    let later = world.now() + Duration::minutes(25);
    match world.store.renew_grant(grant.id, later).await.unwrap() {
        Activated::Active(renewed) => assert_eq!((renewed.renewals, renewed.expires_at), (1, Some(later))),
        Activated::Revoking(grant) => panic!("{grant:?}"),
    }
    let pending = world.pending("r", "pending").await;
    assert!(matches!(world.store.renew_grant(pending.id, later).await, Err(StoreError::Limit(_))));
    world.pass(Duration::hours(1));
    match world.store.renew_grant(grant.id, later).await.unwrap() {
        Activated::Revoking(grant) => assert_eq!(grant.reason, Some(Reason::Expired)),
        Activated::Active(grant) => panic!("{grant:?}"),
    }
    assert_eq!(world.stored(pending.id).await.phase, GrantPhase::Pending);
    assert!(matches!(
        world.store.activate_grant(pending.id, issued(world.now())).await.unwrap(),
        Activated::Revoking(_)
    ));
}

#[tokio::test]
async fn a_grant_fails_only_while_it_is_pending() {
    let (world, ..) = with_run().await;
    let [failing, active] = [world.pending("r", "failing").await, world.grant("r", "active").await];
    for grant in [&failing, &active] {
        world.store.fail_grant(grant.id, "the API server refused the role").await.unwrap();
    }
    let failed = world.stored(failing.id).await;
    assert_eq!(
        (failed.phase, failed.failure.as_deref()),
        (GrantPhase::Failed, Some("the API server refused the role"))
    );
    assert_eq!(world.stored(active.id).await.phase, GrantPhase::Active);
    assert!(matches!(
        world.store.activate_grant(failing.id, issued(world.now())).await.unwrap(),
        Activated::Revoking(_)
    ));
    assert!(matches!(world.store.begin_grant(new_grant("r", "failing")).await.unwrap(), Begun::Existing(_)));
    assert!(world.store.revoke_grant(failing.id, Reason::Manual).await.unwrap().is_empty());
    world.store.record_receipt(failing.id, &Receipt::default(), true).await.unwrap();
    let cleaned = world.stored(failing.id).await;
    assert_eq!((cleaned.phase, cleaned.revoked_at), (GrantPhase::Failed, Some(world.now())));
}

#[tokio::test]
async fn a_revocation_is_asked_done_and_keeps_its_first_reason() {
    let (world, ..) = with_run().await;
    let [one, two] = [world.grant("r", "one").await, world.grant("r", "two").await];
    let asked = world.store.revoke_grant(one.id, Reason::Manual).await.unwrap();
    assert_eq!((asked.grants.len(), asked.runs.len()), (1, 0), "one Grant, not its run");
    assert!(world.store.revoke_grant(one.id, Reason::Expired).await.unwrap().is_empty());
    assert_eq!(world.stored(two.id).await.phase, GrantPhase::Active);
    let before = world.audit_seq().await;
    let receipt = Receipt { asked: "t0".into(), rbac_gone: Some("t1".into()), ..Receipt::default() };
    world.store.record_receipt(one.id, &receipt, false).await.unwrap();
    assert_eq!(world.stored(one.id).await.phase, GrantPhase::Revoking);
    let rest = Receipt { refused: BTreeMap::from([("10.0.0.1:6443".into(), "t2".into())]), ..Receipt::default() };
    world.store.record_receipt(one.id, &rest, true).await.unwrap();
    let revoked = world.stored(one.id).await;
    assert_eq!(
        (revoked.phase, revoked.reason, revoked.revoked_at),
        (GrantPhase::Revoked, Some(Reason::Manual), Some(world.now()))
    );
    assert_eq!(revoked.receipt, Some(Receipt { refused: rest.refused.clone(), ..receipt }));
    // What follows the answer is appended.
    world
        .store
        .record_receipt(one.id, &Receipt { pods_gone: Some("t3".into()), ..Receipt::default() }, true)
        .await
        .unwrap();
    assert_eq!(world.stored(one.id).await.receipt.unwrap().pods_gone.as_deref(), Some("t3"));
    assert_eq!(world.audited(before).await, [Kind::Revoked]);
    world.store.record_receipt(two.id, &rest, true).await.unwrap();
    assert_eq!(world.stored(two.id).await.phase, GrantPhase::Active, "only what is Revoking can be Revoked");
    let unknown = GrantId(Uuid::new_v4());
    assert!(matches!(world.store.revoke_grant(unknown, Reason::Manual).await, Err(StoreError::NotFound(_))));
    assert!(matches!(world.store.record_receipt(unknown, &rest, true).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn what_is_unproven_is_told_anew_by_each_report_and_nothing_is_once_all_is_done() {
    let (world, ..) = with_run().await;
    let one = world.grant("r", "one").await;
    world.store.revoke_grant(one.id, Reason::Manual).await.unwrap();
    let unproven = |what: &[&str]| Receipt {
        unproven: what.iter().map(|what| ((*what).into(), "timed out".into())).collect(),
        ..Receipt::default()
    };
    let record = async |receipt: Receipt, done: bool| {
        world.store.record_receipt(one.id, &receipt, done).await.unwrap();
        world.stored(one.id).await.receipt.unwrap()
    };
    record(unproven(&["roleBindings"]), false).await;
    let read = record(unproven(&["secret", "10.0.0.1:6443"]), false).await;
    assert_eq!(read, unproven(&["secret", "10.0.0.1:6443"]));
    let appended = Receipt { run_cancelled: Some("t1".into()), ..read.clone() };
    assert_eq!(record(appended.clone(), false).await, appended);
    assert!(record(unproven(&[]), true).await.unproven.is_empty());
    // Read before it was done, appended after.
    let late = record(Receipt { pods_gone: Some("t2".into()), ..read }, false).await;
    assert_eq!((late.unproven.len(), late.pods_gone.as_deref()), (0, Some("t2")));
}

#[tokio::test]
async fn grants_are_selected_by_what_they_belong_to() {
    let (world, alice, _) = with_run().await;
    let [one, two] = [world.grant("r", "one").await, world.pending("r", "two").await];
    let ids = async |select: GrantSelect| {
        world.store.grants(&select).await.unwrap().into_iter().map(|grant| grant.task).collect::<Vec<_>>()
    };
    let any = GrantSelect::default;
    let mut all = ids(any()).await;
    all.sort();
    assert_eq!(all, [one.task.clone(), two.task.clone()]);
    assert_eq!(ids(GrantSelect { phases: vec![GrantPhase::Pending, GrantPhase::Failed], ..any() }).await, [two.task]);
    assert_eq!(ids(GrantSelect { user: Some(alice), phases: vec![GrantPhase::Active], ..any() }).await, [one.task]);
    assert_eq!(ids(GrantSelect { user: Some(ResourceId(Uuid::nil())), ..any() }).await.len(), 0);
    assert_eq!(
        ids(GrantSelect { run_uid: Some("r".into()), policy_uid: Some("policy".into()), ..any() }).await.len(),
        2
    );
    assert_eq!(ids(GrantSelect { template_uid: Some("template".into()), ..any() }).await.len(), 2);
    assert_eq!(ids(GrantSelect { template_uid: Some("other".into()), ..any() }).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g1_activation_and_deactivation_race_to_one_of_two_ends() {
    for round in 0..20 {
        let world = World::new().await;
        let alice = world.user("alice").await;
        world.run("r", alice, &[SubjectRef::UserId(alice)]).await;
        let pending = world.pending("r", "deploy").await;
        let (now, id) = (world.now(), pending.id);
        let activations: Vec<_> = (0..3)
            .map(|_| {
                let store = world.store.clone();
                tokio::spawn(async move { store.activate_grant(id, issued(now)).await })
            })
            .collect();
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let done = world.set(ResourceKind::User, alice, "active", json!(false)).await;
        let mut active = 0;
        for activation in activations {
            active += usize::from(matches!(activation.await.unwrap(), Ok(Activated::Active(_))));
        }
        assert!(active <= 1, "issued twice");
        assert_eq!(done.revocations.grants.len(), 1, "the deactivation finds it, whoever came first");
        assert_eq!(world.stored(id).await.phase, GrantPhase::Revoking);
    }
}
