//! Agents: alive while they and one of those who answer for them are active, and entitled to what both are.

use serde_json::json;

use super::*;
use crate::{
    api::{GrantPhase, RevocationReason as Reason},
    audit::Kind,
    policy,
    store::{Revocations, sql::conn::params},
};

fn bot(name: &str, owners: &[ResourceId]) -> Edit {
    let owners: Vec<_> = owners.iter().map(|id| json!({"value": id.to_string()})).collect();
    let agent = json!({ "agentUserName": name, "active": true, "owners": owners });
    Edit { attributes: attributes(&agent), ..Edit::default() }
}

impl World {
    pub async fn agent(&self, name: &str, owners: &[ResourceId]) -> ResourceId {
        self.store.create(&okta(), ResourceKind::Agent, bot(name, owners)).await.unwrap().resource.id
    }

    pub async fn own(&self, agent: ResourceId, owners: &[ResourceId]) -> Provisioned {
        let owners = bot("", owners).attributes["owners"].clone();
        self.set(ResourceKind::Agent, agent, "owners", owners).await
    }

    async fn active(&self, kind: ResourceKind, id: ResourceId, is: bool) -> Revocations {
        self.set(kind, id, "active", json!(is)).await.revocations
    }
}

fn named(agent: &str) -> SubjectRef {
    SubjectRef::AgentName(okta(), agent.into())
}

fn ended(revocations: &Revocations) -> Vec<(&str, Reason)> {
    let mut runs: Vec<_> = revocations.runs.iter().map(|(run, reason)| (run.uid.as_str(), *reason)).collect();
    runs.sort_by_key(|(uid, _)| *uid);
    runs
}

/// A bot of Alice and Bob with a Grant in the run `r`, under a policy that names the bot and the group `deployers`, which
/// holds both.
async fn deploying() -> (World, [ResourceId; 4], GrantRecord) {
    let world = World::new().await;
    let (alice, bob) = (world.user("alice").await, world.user("bob").await);
    let deployers = world.group("deployers", &[alice, bob]).await;
    let bot = world.agent("release-bot", &[alice, bob]).await;
    world.run("r", bot, &[named("release-bot"), in_group("deployers")]).await;
    let grant = world.grant("r", "deploy").await;
    (world, [alice, bob, deployers, bot], grant)
}

#[tokio::test]
async fn the_last_active_owner_gone_ends_the_agents_runs_and_grants_in_the_same_transaction() {
    let (world, [alice, bob, _, bot], grant) = deploying().await;
    assert!(world.active(ResourceKind::User, alice, false).await.is_empty(), "bob still answers for it");
    let (epoch, audited) = (world.epoch().await, world.audit_seq().await);
    let gone = world.set(ResourceKind::User, bob, "active", json!(false)).await;
    assert_eq!(ended(&gone.revocations), [("r", Reason::OwnerGone)]);
    assert_eq!(gone.revocations.grants.iter().map(|grant| grant.id).collect::<Vec<_>>(), [grant.id]);
    assert!(world.epoch().await > epoch, "what was judged before is judged again");
    let stored = world.stored(grant.id).await;
    assert_eq!((stored.phase, stored.reason), (GrantPhase::Revoking, Some(Reason::OwnerGone)));
    let rows = world.store.audit_rows(audited, usize::MAX).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.entry.kind, row.entry.user)).collect();
    let expected =
        [(Kind::UserDeactivated, Some(bob)), (Kind::RunEnded, Some(bot)), (Kind::RevocationAsked, Some(bot))];
    assert_eq!(told, expected);
    // Whoever asks again waits for the same.
    let again = world.active(ResourceKind::User, bob, false).await;
    assert_eq!(again.grants.iter().map(|grant| grant.id).collect::<Vec<_>>(), [grant.id]);
    // It starts nothing more, until somebody answers for it.
    assert_eq!(world.decide(bot, "t", "e").await, DecisionOutcome::NotActive);
    world.active(ResourceKind::User, alice, true).await;
    world.run("next", bot, &[named("release-bot"), in_group("deployers")]).await;
}

#[tokio::test]
async fn each_way_to_lose_the_last_owner_is_the_end() {
    for (way, reason) in [
        ("deactivated", Reason::OwnerGone),
        ("deleted", Reason::OwnerGone),
        ("taken from it", Reason::OwnerGone),
        ("replaced by one who is inactive", Reason::OwnerGone),
        ("itself deactivated", Reason::UserDeactivated),
        ("itself deleted", Reason::UserDeleted),
    ] {
        let (world, [alice, bob, _, bot], grant) = deploying().await;
        world.own(bot, &[alice]).await;
        let revocations = match way {
            "deactivated" => world.active(ResourceKind::User, alice, false).await,
            "deleted" => world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap().revocations,
            "taken from it" => world.own(bot, &[]).await.revocations,
            "replaced by one who is inactive" => {
                world.active(ResourceKind::User, bob, false).await;
                world.own(bot, &[bob]).await.revocations
            }
            "itself deactivated" => world.active(ResourceKind::Agent, bot, false).await,
            _ => world.store.delete(&okta(), ResourceKind::Agent, bot).await.unwrap().revocations,
        };
        assert_eq!(ended(&revocations), [("r", reason)], "{way}");
        assert_eq!(world.stored(grant.id).await.reason, Some(reason), "{way}");
    }
}

#[tokio::test]
async fn an_agent_loses_what_the_last_of_its_owners_loses() {
    let (world, [alice, bob, deployers, bot], grant) = deploying().await;
    let lost = world.members(deployers, MemberOp::Remove(vec![alice])).await.unwrap().revocations;
    assert!(lost.is_empty(), "bob may still do it");
    // Bob has no run of his own: the Agent is found by him nevertheless.
    let top = world.group("top", &[deployers]).await;
    let lost = world.members(deployers, MemberOp::Replace(vec![])).await.unwrap().revocations;
    assert_eq!(ended(&lost), [("r", Reason::GroupLost)]);
    assert_eq!(world.stored(grant.id).await.reason, Some(Reason::GroupLost));

    world.members(deployers, MemberOp::Add(vec![bob])).await.unwrap();
    world.run("nested", bot, &[named("release-bot"), in_group("top")]).await;
    let lost = world.members(top, MemberOp::Remove(vec![deployers])).await.unwrap().revocations;
    assert_eq!(ended(&lost), [("nested", Reason::GroupLost)], "through the groups above its owner");
    world.members(top, MemberOp::Add(vec![deployers])).await.unwrap();
    world.run("deleted", bot, &[named("release-bot"), in_group("top")]).await;
    let lost = world.store.delete(&okta(), ResourceKind::Group, top).await.unwrap().revocations;
    assert_eq!(ended(&lost), [("deleted", Reason::GroupLost)]);
}

#[tokio::test]
async fn an_agent_loses_what_it_may_not_itself_and_a_user_of_its_name_is_another() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let bot = world.agent("release-bot", &[alice]).await;
    let namesake = world.user("release-bot").await;
    let user = SubjectRef::UserName(okta(), "release-bot".into());
    let alices = SubjectRef::UserId(alice);
    world.run("r", bot, &[named("release-bot"), alices.clone()]).await;
    for (ticket, who, subjects) in [
        ("a", bot, vec![user.clone(), alices.clone()]),
        ("b", bot, vec![SubjectRef::UserId(bot), alices.clone()]),
        ("c", bot, vec![named("release-bot")]),
        ("d", bot, vec![alices]),
        ("e", namesake, vec![named("release-bot")]),
    ] {
        let directory = world.directory.lock().unwrap().clone();
        assert!(policy::matching(&directory, who, &subjects).is_empty(), "{subjects:?}");
        assert_eq!(world.decide(who, ticket, ticket).await, DecisionOutcome::Recorded);
        let refused = world.store.redeem(request(world.now(), ticket, ticket, &subjects)).await.unwrap();
        assert!(matches!(refused, Redemption::Refused(_)), "{subjects:?}");
    }
    let renamed = world.set(ResourceKind::Agent, bot, "agentUserName", json!("other-bot")).await.revocations;
    assert_eq!(ended(&renamed), [("r", Reason::GroupLost)]);
}

#[tokio::test]
async fn agents_are_there_again_after_a_restart_with_their_owners() {
    let (world, [alice, bob, _, bot], _) = deploying().await;
    world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    let directory = loaded(&world.store).await.unwrap();
    for directory in [directory, world.directory.lock().unwrap().clone()] {
        let agent = directory.agent_by_name(&okta(), "Release-Bot").unwrap();
        assert_eq!((agent.who.id, &*agent.owners), (bot, &[bob][..]));
        assert_eq!(directory.active_owners(agent).map(|owner| owner.id).collect::<Vec<_>>(), [bob]);
        assert!(directory.user(bot).is_none() && directory.user_by_name(&okta(), "release-bot").is_none());
    }
    let rows = world.store.read(|conn| {
        let mut select = conn.prepare_cached("SELECT count(*), (SELECT agents FROM idps) FROM owners")?;
        Ok(select.query_row(params![], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?)
    });
    assert_eq!(rows.await.unwrap(), (1, 1));
}
