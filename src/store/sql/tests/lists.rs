//! Lists, tokens, and what the Directory is loaded from.

use serde_json::json;

use super::*;
use crate::{
    identity::{AttrPath, CompareOp, Filter, Relation, Resource},
    store::{ListQuery, Page, Start},
};

fn compare(name: &str, op: CompareOp, value: &str) -> Filter {
    Filter::Compare(AttrPath { schema: None, name: name.into(), sub: None }, op, json!(value))
}

async fn list(world: &World, kind: ResourceKind, filter: Option<Filter>, index: usize, count: usize) -> Page {
    world
        .store
        .list(&ListQuery { idp: okta(), kind, filter, start: Start::Index(index), count, related: false })
        .await
        .unwrap()
}

fn names(page: &Page) -> Vec<&str> {
    page.resources.iter().map(Resource::name).collect()
}

#[tokio::test]
async fn a_list_is_in_the_order_of_creation_and_pages_cover_it() {
    let world = World::new().await;
    for name in ["zoe", "alice", "mia", "bob"] {
        world.user(name).await;
    }
    world.group("deployers", &[]).await;
    let page = list(&world, ResourceKind::User, None, 1, 2).await;
    assert_eq!((page.total.unwrap(), names(&page)), (4, vec!["zoe", "alice"]));
    let page = list(&world, ResourceKind::User, None, 3, 10).await;
    assert_eq!((page.total.unwrap(), names(&page)), (4, vec!["mia", "bob"]));
    let page = list(&world, ResourceKind::User, None, 1, 0).await;
    assert_eq!((page.total.unwrap(), names(&page)), (4, vec![]));
    let zoe = list(&world, ResourceKind::User, None, 1, 1).await.resources[0].id;
    world.store.delete(&okta(), ResourceKind::User, zoe).await.unwrap();
    assert_eq!(list(&world, ResourceKind::User, None, 9, 9).await, Page { total: Some(3), ..Page::default() });
    assert_eq!(list(&world, ResourceKind::Group, None, 1, 9).await.total, Some(1));
}

#[tokio::test]
async fn an_indexed_filter_finds_the_one() {
    let world = World::new().await;
    let edit = Edit { external_id: Some("00u1".into()), ..user("Alice") };
    let alice = world.store.create(&okta(), ResourceKind::User, edit).await.unwrap().resource;
    world.user("bob").await;
    let deployers = world.group("Deployers", &[alice.id]).await;
    for filter in [
        compare("userName", CompareOp::Eq, "aLiCe"),
        compare("externalId", CompareOp::Eq, "00u1"),
        compare("id", CompareOp::Eq, &alice.id.to_string()),
    ] {
        let page = list(&world, ResourceKind::User, Some(filter), 1, 10).await;
        assert_eq!(page, Page { total: Some(1), resources: vec![alice.clone()], ..Page::default() });
    }
    let page = list(&world, ResourceKind::Group, Some(compare("displayName", CompareOp::Eq, "deployers")), 1, 10).await;
    assert_eq!((page.total.unwrap(), page.resources[0].id), (1, deployers));
    for (name, value) in [("userName", "nobody"), ("id", "not a uuid"), ("externalId", "00U1")] {
        let page = list(&world, ResourceKind::User, Some(compare(name, CompareOp::Eq, value)), 1, 10).await;
        assert_eq!(page, Page { total: Some(0), ..Page::default() }, "{name}");
    }
}

#[tokio::test]
async fn another_filter_reads_all_and_pages_what_matches() {
    let world = World::new().await;
    let fill = |tx: &mut super::super::Tx<'_>| {
        for n in 0..1200 {
            super::super::resources::create(tx, &okta(), ResourceKind::User, user(&format!("u{n}")))?;
        }
        Ok(())
    };
    world.store.write(fill).await.unwrap();
    let filter = compare("userName", CompareOp::Sw, "u11");
    let page = list(&world, ResourceKind::User, Some(filter.clone()), 100, 5).await;
    assert_eq!((page.total.unwrap(), names(&page)), (111, vec!["u1188", "u1189", "u1190", "u1191", "u1192"]));
    let filter = Filter::And(Box::new(filter), Box::new(compare("userName", CompareOp::Eq, "u11")));
    assert_eq!(list(&world, ResourceKind::User, Some(filter), 1, 5).await.total, Some(1));
}

#[tokio::test]
async fn a_filter_on_members_sees_them() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    world.group("empty", &[]).await;
    world.group("both", &[alice, bob]).await;
    world.group("one", &[bob]).await;
    let path = AttrPath { schema: None, name: "members".into(), sub: Some("value".into()) };
    let filter = Filter::Compare(path, CompareOp::Eq, json!(bob.to_string()));
    let page = list(&world, ResourceKind::Group, Some(filter), 1, 10).await;
    assert_eq!((page.total.unwrap(), names(&page)), (2, vec!["both", "one"]));
}

#[tokio::test]
async fn an_idp_has_at_most_two_live_tokens() {
    let world = World::new().await;
    let directory = || world.directory.lock().unwrap().idps().iter().cloned().collect::<Vec<_>>();
    assert_eq!(directory(), [okta()]);
    let soon = world.now() + Duration::minutes(1);
    let second = world.store.create_token(&okta(), SecretHash::of("2"), Some(soon)).await.unwrap();
    assert_eq!(second.id, "okta-2");
    let error = world.store.create_token(&okta(), SecretHash::of("3"), None).await.unwrap_err();
    assert!(matches!(&error, StoreError::Limit(_)) && error.to_string().contains("revoke one"), "{error}");
    world.pass(Duration::minutes(1));
    let third = world.store.create_token(&okta(), SecretHash::of("3"), None).await.unwrap();
    world.store.create_token(&okta(), SecretHash::of("4"), None).await.unwrap_err();
    let revoked = world.store.revoke_token(&third.id).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(world.now()));
    world.pass(Duration::minutes(1));
    assert_eq!(world.store.revoke_token(&third.id).await.unwrap(), revoked, "once revoked, it stays so");
    world.store.create_token(&okta(), SecretHash::of("4"), None).await.unwrap();
    assert!(matches!(world.store.revoke_token("okta-9").await, Err(StoreError::NotFound(_))));
    let tokens = world.store.tokens().await.unwrap();
    assert_eq!(
        tokens.iter().map(|token| token.id.as_str()).collect::<Vec<_>>(),
        ["okta-1", "okta-2", "okta-3", "okta-4"]
    );
    assert_eq!(tokens[2], revoked);
    assert_eq!(tokens[1].hash, Some(SecretHash::of("2")));
    assert!(!serde_json::to_string(&tokens).unwrap().contains("hash"));
}

#[tokio::test]
async fn a_page_comes_with_the_relations_of_each_if_they_are_asked_for() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    world.group("none", &[]).await;
    let inner = world.group("inner", &[bob, alice]).await;
    world.group("outer", &[inner, bob]).await;
    for (kind, related) in [(ResourceKind::User, true), (ResourceKind::Group, true), (ResourceKind::User, false)] {
        let query = ListQuery { idp: okta(), kind, filter: None, start: Start::Index(1), count: 10, related };
        let page = world.store.list(&query).await.unwrap();
        let mut relations = Vec::new();
        for resource in page.resources.iter().filter(|_| related) {
            relations.push(match kind {
                ResourceKind::User | ResourceKind::Agent => world.store.groups_of(resource.id).await.unwrap(),
                ResourceKind::Group => world.store.members(resource.id).await.unwrap(),
            });
        }
        assert_eq!(page.relations, relations);
        let joined = |all: &Vec<Relation>| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(" ");
        let names: Vec<_> = relations.iter().map(joined).collect();
        let expected: &[&str] = match kind {
            ResourceKind::User | ResourceKind::Agent => &["inner", "inner outer"],
            ResourceKind::Group => &["", "alice bob", "bob inner"],
        };
        assert_eq!(names, if related { expected } else { &[] });
    }
}

#[tokio::test]
async fn users_who_were_there_before_the_index_of_addresses_are_found_by_it() {
    let world = World::new().await;
    for name in ["x", "y", "z"] {
        world.user(name).await;
    }
    let alice = world.user("alice").await;
    let emails = json!([{ "value": "Alice@Example.com" }, { "value": "alice@example.com" }, { "value": "a@b.c" }]);
    world.set(ResourceKind::User, alice, "emails", emails).await;
    let as_it_was = |tx: &mut Tx<'_>| {
        tx.prepare_cached("DELETE FROM emails")?.execute(params![])?;
        tx.prepare_cached("UPDATE meta SET value = 0 WHERE key = 'emails_noted'")?.execute(params![])?;
        Ok(())
    };
    world.store.write(as_it_was).await.unwrap();
    let World { store, url, dir, .. } = world;
    drop(store);
    let again = World { dir, ..World::open(url).await.unwrap() };
    for address in ["ALICE@example.com", "A@b.c"] {
        assert_eq!(having(&again, address).await, ["alice"]);
    }
}

#[tokio::test]
async fn addresses_that_were_taken_away_can_be_given_again() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let (both, none) = (json!([{ "value": "a@x.org" }, { "value": "b@x.org" }]), json!([]));
    for (emails, holders) in [(&both, &["alice"][..]), (&none, &[]), (&both, &["alice"])] {
        world.set(ResourceKind::User, alice, "emails", emails.clone()).await;
        for address in ["a@x.org", "b@x.org"] {
            assert_eq!(having(&world, address).await, holders, "{emails}");
        }
    }
}

/// Names of those who have an address.
async fn having(world: &World, address: &str) -> Vec<String> {
    let path = AttrPath { schema: None, name: "emails".into(), sub: Some("value".into()) };
    let filter = Filter::Compare(path, CompareOp::Eq, json!(address));
    names(&list(world, ResourceKind::User, Some(filter), 1, 10).await).into_iter().map(str::to_owned).collect()
}
