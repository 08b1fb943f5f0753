//! The Directory beside one that is as simple as can be: plain lists, and every question answered by reading all.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::identity::{Resource, ResourceId, ResourceKind, fold};

/// What a simple Directory holds: each user's name and account, each group's name, each membership.
#[derive(Clone, Default)]
struct Plain {
    users: BTreeMap<ResourceId, (String, Option<u64>)>,
    groups: BTreeMap<ResourceId, String>,
    edges: BTreeSet<(ResourceId, ResourceId)>,
}

impl Plain {
    fn reached(
        &self,
        start: ResourceId,
        edge: impl Fn(&(ResourceId, ResourceId)) -> (ResourceId, ResourceId),
    ) -> BTreeSet<ResourceId> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![start];
        while let Some(at) = todo.pop() {
            for (from, to) in self.edges.iter().map(&edge) {
                if from == at && seen.insert(to) {
                    todo.push(to);
                }
            }
        }
        seen
    }
}

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn id(kind: ResourceKind, number: usize) -> ResourceId {
    let kind = u128::from(kind == ResourceKind::Group) << 64;
    ResourceId(Uuid::from_u128(kind + u128::try_from(number).unwrap() + 1))
}

fn resource(id: ResourceId, kind: ResourceKind, name: &str, account: Option<u64>) -> Change {
    let attribute = if kind == ResourceKind::User { "userName" } else { "displayName" };
    let mut attributes = json!({attribute: name, "active": true});
    if let Some(account) = account {
        attributes["githubId"] = json!(account.to_string());
    }
    Change::Put(Box::new(Resource {
        id,
        idp: "okta".into(),
        kind,
        external_id: None,
        attributes: attributes.as_object().cloned().unwrap(),
        version: 1,
        created: DateTime::UNIX_EPOCH,
        last_modified: DateTime::UNIX_EPOCH,
    }))
}

fn authority() -> LinkAuthority {
    let (host, idp, attribute) = ("github.com".into(), "okta".into(), "githubId".into());
    LinkAuthority { host, idp, schema: String::new(), attribute }
}

/// A change, made to the plain one, too.
fn change(plain: &mut Plain, chance: &mut Chance) -> Change {
    let kind = if chance.below(3) == 0 { ResourceKind::Group } else { ResourceKind::User };
    let at = id(kind, chance.below(12));
    match (chance.below(10), kind) {
        (0, _) => {
            plain.users.remove(&at);
            plain.groups.remove(&at);
            plain.edges.retain(|(group, member)| *group != at && *member != at);
            Change::Deleted(kind, at)
        }
        (1..5, ResourceKind::User) => {
            // Names move from one to another, as they may once the other has let go.
            let name = format!("User-{}", chance.below(40));
            let taken = plain.users.iter().any(|(other, (taken, _))| *other != at && *taken == name);
            let name = if taken { format!("user {}", at.0) } else { name };
            let account = (chance.below(2) == 0).then(|| u64::try_from(chance.below(5)).unwrap());
            plain.users.insert(at, (name.clone(), account));
            resource(at, kind, &name, account)
        }
        (1..5, ResourceKind::Group) => {
            let name = format!("Group {}", at.0);
            plain.groups.insert(at, name.clone());
            resource(at, kind, &name, None)
        }
        _ => {
            let there: Vec<_> = plain.users.keys().chain(plain.groups.keys()).copied().collect();
            let group = id(ResourceKind::Group, chance.below(12));
            if there.is_empty() || !plain.groups.contains_key(&group) {
                return Change::Idp("okta".into());
            }
            let mut some = || (0..chance.below(4)).map(|_| there[chance.below(there.len())]).collect::<BTreeSet<_>>();
            let (added, removed) = (some(), some());
            let removed: Vec<_> = removed.difference(&added).copied().collect();
            plain.edges.retain(|(of, member)| *of != group || !removed.contains(member));
            plain.edges.extend(added.iter().map(|member| (group, *member)));
            Change::Members { group, added: added.into_iter().collect(), removed }
        }
    }
}

fn same(plain: &Plain, directory: &Directory) {
    let okta = "okta".into();
    assert_eq!(directory.users().map(|user| user.id).collect::<BTreeSet<_>>(), plain.users.keys().copied().collect());
    assert_eq!(
        directory.groups().map(|group| group.id).collect::<BTreeSet<_>>(),
        plain.groups.keys().copied().collect()
    );
    for number in 0..12 {
        for kind in [ResourceKind::User, ResourceKind::Group] {
            let at = id(kind, number);
            assert_eq!(directory.groups_of(at), plain.reached(at, |(group, member)| (*member, *group)));
        }
        let group = id(ResourceKind::Group, number);
        let mut below = plain.reached(group, |edge| *edge);
        below.retain(|member| plain.users.contains_key(member));
        assert_eq!(directory.users_in(group).map(|user| user.id).collect::<BTreeSet<_>>(), below);
        let called = directory.group(group).map(|group| group.display_name.to_string());
        assert_eq!(called.as_ref(), plain.groups.get(&group));
    }
    for number in 0..40 {
        let name = format!("user-{number}");
        let wanted = plain.users.iter().find(|(_, (called, _))| fold(called) == name).map(|(id, _)| *id);
        assert_eq!(directory.user_by_name(&okta, &name.to_uppercase()).map(|user| user.id), wanted);
        assert!(directory.user_by_name(&"entra".into(), &name).is_none());
    }
    for account in 0..5 {
        let wanted = plain.users.iter().filter(|(_, (_, claimed))| *claimed == Some(account)).map(|(id, _)| *id);
        let found: BTreeSet<_> = directory.linked("github.com", account).map(|user| user.id).collect();
        assert_eq!(found, wanted.collect());
        assert_eq!(directory.linked("gitlab.com", account).count(), 0);
    }
}

#[test]
fn whatever_changes_it_says_what_reading_all_says() {
    let (mut memberships, mut deleted) = (0, 0);
    for seed in 0..60 {
        let (mut plain, mut chance) = (Plain::default(), Chance(seed));
        let mut directory = Directory::new(vec![authority()]);
        let mut older = Vec::new();
        for step in 0..150 {
            if step % 10 == 0 {
                older.push((plain.clone(), directory.clone()));
            }
            let next = change(&mut plain, &mut chance);
            deleted += usize::from(matches!(next, Change::Deleted(..)));
            directory.apply(step, [&next]);
        }
        same(&plain, &directory);
        memberships += plain.edges.len();
        // Who reads an older one is not disturbed.
        for (plain, directory) in &older {
            same(plain, directory);
        }
    }
    assert!(memberships > 300 && deleted > 300, "{memberships} memberships, {deleted} deletions: too few");
}

#[test]
fn built_as_a_whole_it_says_what_it_says_by_changes_and_goes_on_from_there() {
    let mut memberships = 0;
    for seed in 0..40 {
        let (mut plain, mut chance) = (Plain::default(), Chance(seed));
        for _ in 0..150 {
            change(&mut plain, &mut chance);
        }
        let part = |change, at| {
            let Change::Put(resource) = change else { panic!("a resource") };
            let groups = plain.edges.iter().filter(|(_, member)| *member == at).map(|(group, _)| *group);
            Part::Resource(resource, groups.collect())
        };
        let users = plain
            .users
            .iter()
            .map(|(at, (name, account))| part(resource(*at, ResourceKind::User, name, *account), *at));
        let groups = plain.groups.iter().map(|(at, name)| part(resource(*at, ResourceKind::Group, name, None), *at));
        let mut parts: Vec<_> = users.chain(groups).collect();
        for last in (1..parts.len()).rev() {
            parts.swap(last, chance.below(last + 1));
        }
        memberships += plain.edges.len();
        let mut builder = Builder::new(vec![authority()]);
        builder.add(7, parts);
        let mut directory = builder.finish();
        assert_eq!(directory.seq(), 7);
        same(&plain, &directory);
        for step in 0..50 {
            directory.apply(step, [&change(&mut plain, &mut chance)]);
        }
        same(&plain, &directory);
    }
    assert!(memberships > 200, "{memberships} memberships: too few");
}

#[test]
fn it_names_the_attributes_that_it_looks_at() {
    let elsewhere = LinkAuthority { schema: "urn:a:b".into(), attribute: "gitlab".into(), ..authority() };
    let builder = Builder::new(vec![authority(), elsewhere]);
    assert_eq!(
        builder.attributes(),
        ["userName", "displayName", "active", "agentUserName", "owners", "githubId", "urn:a:b"]
    );
}

#[test]
fn a_place_is_given_again_and_nothing_of_before_stands_there() {
    let mut directory = Directory::default();
    let (group, first, second) = (id(ResourceKind::Group, 0), id(ResourceKind::User, 1), id(ResourceKind::User, 2));
    let put_group = resource(group, ResourceKind::Group, "all", None);
    let join = Change::Members { group, added: vec![first], removed: Vec::new() };
    directory.apply(1, [&put_group, &resource(first, ResourceKind::User, "first", None), &join]);
    assert_eq!(directory.users_in(group).count(), 1);
    let before = directory.clone();
    directory
        .apply(2, [&Change::Deleted(ResourceKind::User, first), &resource(second, ResourceKind::User, "second", None)]);
    assert!(directory.groups_of(second).is_empty());
    assert_eq!(directory.users_in(group).count(), 0);
    assert!(directory.user_by_name(&"okta".into(), "first").is_none());
    assert_eq!(before.users_in(group).map(|user| &*user.user_name).collect::<Vec<_>>(), ["first"]);
}

#[test]
fn an_agent_says_the_same_built_as_it_does_by_changes() {
    let (owner, bot, group) = (id(ResourceKind::User, 0), id(ResourceKind::User, 1), id(ResourceKind::Group, 0));
    let Change::Put(mut agent) = resource(bot, ResourceKind::Agent, "", Some(7)) else { panic!("a resource") };
    agent.attributes.insert("agentUserName".into(), json!("Bot"));
    agent.attributes.insert("owners".into(), json!([{ "value": owner.to_string() }]));
    let puts = [
        Change::Put(agent),
        resource(owner, ResourceKind::User, "owner", None),
        resource(group, ResourceKind::Group, "bots", None),
    ];
    let mut by_changes = Directory::new(vec![authority()]);
    by_changes.apply(1, &puts);
    by_changes.apply(2, [&Change::Members { group, added: vec![bot], removed: Vec::new() }]);
    let mut builder = Builder::new(vec![authority()]);
    let parts = puts.map(|put| match put {
        Change::Put(one) if one.id == bot => Part::Resource(one, vec![group]),
        Change::Put(one) => Part::Resource(one, Vec::new()),
        _ => panic!("a resource"),
    });
    builder.add(2, parts);
    for directory in [by_changes, builder.finish()] {
        let agent = directory.agent_by_name(&"okta".into(), "bot").unwrap();
        assert_eq!((agent.who.id, agent.who.active, &*agent.owners), (bot, true, &[owner][..]));
        assert_eq!(directory.active_owners(agent).map(|owner| &*owner.user_name).collect::<Vec<_>>(), ["owner"]);
        assert_eq!(directory.groups_of(bot), BTreeSet::from([group]));
        assert!(directory.user(bot).is_none() && directory.user_by_name(&"okta".into(), "bot").is_none());
    }
}
