//! A leaver whose access was going already: what was asked for earlier is waited for, too (G2).

use serde_json::json;

use super::*;
use crate::{
    api::{GrantPhase, Receipt, RevocationReason as Reason},
    audit::Kind,
    store::Revocations,
};

fn grants(revocations: &Revocations) -> Vec<(&str, Option<Reason>)> {
    revocations.grants.iter().map(|grant| (grant.task.as_str(), grant.reason)).collect()
}

fn runs(revocations: &Revocations) -> Vec<(&str, Reason)> {
    revocations.runs.iter().map(|(run, reason)| (run.uid.as_str(), *reason)).collect()
}

/// Alice in the group `deployers`, with a Grant `one` in the run `r`.
async fn deployer() -> (World, ResourceId, ResourceId, GrantRecord) {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let deployers = world.group("deployers", &[alice]).await;
    world.run("r", alice, &[in_group("deployers")]).await;
    let one = world.grant("r", "one").await;
    (world, alice, deployers, one)
}

#[tokio::test]
async fn g2_a_deactivation_waits_for_what_the_loss_of_a_group_has_asked_for() {
    let (world, alice, deployers, one) = deployer().await;
    let failed = world.pending("r", "failed").await;
    world.store.fail_grant(failed.id, "no such role").await.unwrap();
    world.run("other", alice, &[SubjectRef::UserId(alice)]).await;
    world.grant("other", "two").await;
    let lost = world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap().revocations;
    assert_eq!(grants(&lost), [("failed", None), ("one", Some(Reason::GroupLost))], "what failed may live as well");
    let asked = world.stored(one.id).await;
    world.pass(Duration::seconds(1));
    let before = world.audit_seq().await;
    let gone = world.set(ResourceKind::User, alice, "active", json!(false)).await.revocations;
    let mut found = grants(&gone);
    found.sort_by_key(|(task, _)| *task);
    let expected = [("failed", None), ("one", Some(Reason::GroupLost)), ("two", Some(Reason::UserDeactivated))];
    assert_eq!(found, expected);
    assert_eq!(world.stored(one.id).await, asked, "it keeps its first reason and its first moment");
    let kinds = world.audited(before).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::RevocationAsked).count(), 1, "only `two` is asked for anew");
    // Whoever gave up waiting and asks again waits for the same; what is done is not told again.
    world.store.record_receipt(one.id, &Receipt::default(), true).await.unwrap();
    world.store.record_receipt(failed.id, &Receipt::default(), true).await.unwrap();
    let again = world.set(ResourceKind::User, alice, "active", json!(false)).await;
    assert!(!again.changed);
    assert_eq!(grants(&again.revocations), [("two", Some(Reason::UserDeactivated))]);
    assert_eq!(runs(&again.revocations), []);
    let deleted = world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(grants(&deleted.revocations), [("two", Some(Reason::UserDeactivated))]);
}

#[tokio::test]
async fn g2_a_loss_of_a_group_waits_for_what_the_end_of_a_run_has_asked_for() {
    let (world, alice, deployers, one) = deployer().await;
    let top = world.group("top", &[deployers]).await;
    let bob = world.user("bob").await;
    world.store.run_ended("r", Reason::RunFinished).await.unwrap();
    // Alice has no live run any more, and is found below a nested group nevertheless.
    let lost = world.members(top, MemberOp::Remove(vec![deployers])).await.unwrap().revocations;
    assert_eq!((grants(&lost), runs(&lost)), (vec![("one", Some(Reason::RunFinished))], vec![]));
    let lost = world.members(deployers, MemberOp::Replace(vec![bob])).await.unwrap().revocations;
    assert_eq!(grants(&lost), [("one", Some(Reason::RunFinished))]);
    world.store.record_receipt(one.id, &Receipt::default(), true).await.unwrap();
    assert_eq!(world.stored(one.id).await.phase, GrantPhase::Revoked);
    world.members(deployers, MemberOp::Add(vec![alice])).await.unwrap();
    let lost = world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap().revocations;
    assert!(lost.is_empty(), "what is dead is not waited for");
}

#[tokio::test]
async fn g2_a_leavers_runs_that_ended_for_less_are_ended_as_a_leavers() {
    let (world, alice, deployers, _) = deployer().await;
    let bob = world.user("bob").await;
    for (uid, user) in [("old", alice), ("finished", alice), ("stopped", alice), ("bobs", bob)] {
        world.run(uid, user, &[SubjectRef::UserId(user)]).await;
    }
    world.store.run_ended("old", Reason::Manual).await.unwrap();
    world.pass(Duration::minutes(61));
    world.store.run_ended("finished", Reason::RunFinished).await.unwrap();
    world.store.run_ended("stopped", Reason::Manual).await.unwrap();
    world.store.run_ended("bobs", Reason::Manual).await.unwrap();
    world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap();
    for uid in ["old", "r", "stopped", "bobs"] {
        world.store.run_cancel_done(uid).await.unwrap();
    }
    let ended_at = world.now();
    world.pass(Duration::minutes(59));
    let before = world.audit_seq().await;
    let gone = world.set(ResourceKind::User, alice, "active", json!(false)).await.revocations;
    let mut found = runs(&gone);
    found.sort_by_key(|(uid, _)| *uid);
    assert_eq!(found, [("r", Reason::UserDeactivated), ("stopped", Reason::UserDeactivated)]);
    let pending = world.store.runs_to_cancel().await.unwrap();
    assert_eq!(pending.len(), 2, "found again after a restart, with the reason that deletes pods");
    assert!(pending.iter().all(|run| run.ended_reason == Some(Reason::UserDeactivated)));
    assert!(pending.iter().all(|run| run.ended_at == Some(ended_at)), "its end stays where it was");
    let kinds = world.audited(before).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::RunEnded).count(), 2);
    let deleted = world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(runs(&deleted.revocations), [], "a leaver's runs are ended as such once");
}
