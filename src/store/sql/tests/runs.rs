//! Runs: what ends them, and whom a change of groups reaches.

use serde_json::json;

use super::*;
use crate::{
    api::{GrantPhase, RevocationReason as Reason},
    audit::Kind,
    store::Revocations,
};

/// Uids of runs, with the reasons.
type Told<'a, R> = Vec<(&'a str, R)>;

/// Runs to cancel, and runs whose Grants are to be revoked.
fn told(revocations: &Revocations) -> (Told<'_, Reason>, Told<'_, Option<Reason>>) {
    let runs = revocations.runs.iter().map(|(run, reason)| (run.uid.as_str(), *reason)).collect();
    (runs, revocations.grants.iter().map(|grant| (grant.run_uid.as_str(), grant.reason)).collect())
}

#[tokio::test]
async fn a_person_who_is_deactivated_loses_every_grant_in_the_same_transaction() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    for (uid, user) in [("a1", alice), ("a2", alice), ("b", bob)] {
        world.run(uid, user, &[SubjectRef::UserId(user)]).await;
        world.grant(uid, "deploy").await;
    }
    let pending = world.pending("a1", "other").await;
    let before = world.audit_seq().await;
    let done = world.set(ResourceKind::User, alice, "active", json!(false)).await;
    assert_eq!(done.revocations.grants.len(), 3);
    assert!(done.revocations.grants.iter().all(|grant| grant.phase == GrantPhase::Revoking
        && grant.reason == Some(Reason::UserDeactivated)
        && grant.asked_at == Some(world.now())));
    assert_eq!(done.revocations.runs.len(), 2);
    assert_eq!(world.stored(pending.id).await.phase, GrantPhase::Revoking);
    let kinds = world.audited(before).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::RevocationAsked).count(), 3);
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::RunEnded).count(), 2);
    let live = world.store.live_runs().await.unwrap();
    let live: Vec<_> = live.iter().map(|run| (run.uid.as_str(), run.cancel_pending)).collect();
    assert_eq!(live, [("a1", true), ("a2", true), ("b", false)], "what Tekton has not been told is still live");
    for uid in ["a1", "a2", "a1"] {
        world.store.run_cancel_done(uid).await.unwrap();
    }
    assert_eq!(world.store.live_runs().await.unwrap().len(), 1);
    assert_eq!(world.audited(before).await.iter().filter(|kind| **kind == Kind::RunCancelled).count(), 2);
    let done = world.store.delete(&okta(), ResourceKind::User, bob).await.unwrap();
    assert_eq!(told(&done.revocations), (vec![("b", Reason::UserDeleted)], vec![("b", Some(Reason::UserDeleted))]));
}

#[tokio::test]
async fn a_loss_through_nested_groups_reaches_those_who_have_no_other_way() {
    let world = World::new().await;
    let [a, b, c] = [world.user("a").await, world.user("b").await, world.user("c").await];
    let leaf = world.group("leaf", &[a, b]).await;
    let mid = world.group("mid", &[leaf, c]).await;
    let top = world.group("top", &[mid]).await;
    world.group("side", &[b]).await;
    for (uid, user) in [("a", a), ("b", b), ("c", c)] {
        world.run(uid, user, &[in_group("TOP"), in_group("side")]).await;
        world.grant(uid, "deploy").await;
    }
    let done = world.members(mid, MemberOp::Remove(vec![leaf])).await.unwrap();
    assert_eq!(told(&done.revocations), (vec![("a", Reason::GroupLost)], vec![("a", Some(Reason::GroupLost))]));
    let done = world.store.delete(&okta(), ResourceKind::Group, top).await.unwrap();
    assert_eq!(told(&done.revocations).0, [("c", Reason::GroupLost)]);
    let side = world.directory.lock().unwrap().group_by_name(&okta(), "side").unwrap().id;
    let done = world.set(ResourceKind::Group, side, "displayName", json!("SIDE")).await;
    assert!(done.revocations.is_empty(), "case alone is no other name");
    let done = world.set(ResourceKind::Group, side, "displayName", json!("aside")).await;
    assert_eq!(told(&done.revocations).0, [("b", Reason::GroupLost)]);
}

#[tokio::test]
async fn a_cycle_of_groups_ends_and_is_judged_right() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let one = world.group("one", &[alice]).await;
    let two = world.group("two", &[one]).await;
    world.members(one, MemberOp::Add(vec![two, one])).await.unwrap();
    world.run("r", alice, &[in_group("two")]).await;
    let done = world.members(one, MemberOp::Remove(vec![two])).await.unwrap();
    assert!(done.revocations.is_empty());
    let done = world.members(two, MemberOp::Remove(vec![one])).await.unwrap();
    assert_eq!(told(&done.revocations).0, [("r", Reason::GroupLost)]);
}

#[tokio::test]
async fn a_rename_takes_from_subjects_by_name_and_not_from_those_by_id() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let group = world.group("deployers", &[alice]).await;
    world.run("by-user-name", alice, &[SubjectRef::UserName(okta(), "Alice".into())]).await;
    world.run("by-user-id", alice, &[SubjectRef::UserId(alice)]).await;
    world.run("by-group-id", alice, &[SubjectRef::GroupId(group)]).await;
    let done = world.set(ResourceKind::User, alice, "userName", json!("alicia")).await;
    assert_eq!(told(&done.revocations).0, [("by-user-name", Reason::GroupLost)]);
    let done = world.set(ResourceKind::Group, group, "displayName", json!("others")).await;
    assert!(done.revocations.is_empty());
    let done = world.members(group, MemberOp::Replace(vec![])).await.unwrap();
    assert_eq!(told(&done.revocations).0, [("by-group-id", Reason::GroupLost)]);
}

#[tokio::test]
async fn a_runs_end_revokes_its_grants_and_is_told_once() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    world.run("r", alice, &[SubjectRef::UserId(alice)]).await;
    world.grant("r", "deploy").await;
    let before = world.audit_seq().await;
    let ended = world.store.run_ended("r", Reason::RunFinished).await.unwrap();
    assert_eq!(told(&ended), (vec![], vec![("r", Some(Reason::RunFinished))]));
    assert!(world.store.run_ended("r", Reason::RunDeleted).await.unwrap().is_empty());
    assert!(world.store.run_ended("unknown", Reason::RunFinished).await.unwrap().is_empty());
    let run = world.store.run("r").await.unwrap().unwrap();
    assert_eq!((run.ended_at, run.ended_reason), (Some(world.now()), Some(Reason::RunFinished)));
    assert!(!run.cancel_pending);
    assert_eq!(world.audited(before).await, [Kind::RunEnded, Kind::RevocationAsked]);
    world.run("s", alice, &[SubjectRef::UserId(alice)]).await;
    assert_eq!(told(&world.store.run_ended("s", Reason::Manual).await.unwrap()).0, [("s", Reason::Manual)]);
}

#[tokio::test]
async fn a_policys_change_is_judged_once_a_generation() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    let both = [SubjectRef::UserId(alice), SubjectRef::UserId(bob)];
    for (uid, user) in [("a", alice), ("b", bob)] {
        world.run(uid, user, &both).await;
        world.grant(uid, "deploy").await;
    }
    let facts = |generation, subjects: &[SubjectRef]| PolicyFacts { subjects: subjects.to_vec(), generation };
    let same = world.store.policy_changed("policy", Some(&facts(1, &[]))).await.unwrap();
    assert!(same.is_empty(), "this generation is known");
    let other = world.store.policy_changed("other", None).await.unwrap();
    assert!(other.is_empty());
    let changed = world.store.policy_changed("policy", Some(&facts(2, &both[..1]))).await.unwrap();
    assert_eq!(told(&changed), (vec![("b", Reason::PolicyChanged)], vec![("b", Some(Reason::PolicyChanged))]));
    // The new subjects are what the run stands on from now on.
    world.store.policy_changed("policy", Some(&facts(3, &[in_group("late")]))).await.unwrap();
    assert_eq!(world.store.run("a").await.unwrap().unwrap().ended_reason, Some(Reason::PolicyChanged));
    world.run("c", alice, &both).await;
    let gone = world.store.policy_changed("policy", None).await.unwrap();
    assert_eq!(told(&gone).0, [("c", Reason::PolicyChanged)]);
}

#[tokio::test]
async fn a_start_moves_the_end_of_authority_unless_it_came_too_late() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    for uid in ["soon", "late"] {
        world.run(uid, alice, &[SubjectRef::UserId(alice)]).await;
    }
    let start = world.now() + Duration::minutes(59);
    world.store.run_started("soon", start).await.unwrap();
    world.store.run_started("soon", start + Duration::minutes(1)).await.unwrap();
    assert_eq!(world.store.run("soon").await.unwrap().unwrap().not_after(), start + Duration::hours(2));
    world.store.run_started("late", world.now() + Duration::minutes(61)).await.unwrap();
    assert_eq!(world.store.run("late").await.unwrap().unwrap().not_after(), world.now() + Duration::hours(1));
    assert!(matches!(world.store.run_started("none", start).await, Err(StoreError::NotFound(_))));
}
