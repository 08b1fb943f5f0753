//! What SCIM writes do: resources, names, members, what the feed and the audit log tell.

use serde_json::json;

use super::*;
use crate::{audit::Kind, identity::ScimError, identity::ScimType};

#[tokio::test]
async fn a_created_user_is_stored_published_and_audited_without_its_name() {
    let world = World::new().await;
    let before = world.audit_seq().await;
    let edit = Edit { external_id: Some("00u1".into()), ..user("Alice@Example.com") };
    let done = world.store.create(&okta(), ResourceKind::User, edit).await.unwrap();
    assert!(done.changed && done.revocations.is_empty());
    assert_eq!(done.resource.version, 1);
    assert_eq!(done.resource.created, world.now());
    assert_eq!(world.store.get(&okta(), ResourceKind::User, done.resource.id).await.unwrap(), done.resource);
    let directory = world.directory.lock().unwrap().clone();
    assert_eq!(directory.seq(), done.seq);
    assert_eq!(directory.user_by_name(&okta(), "alice@example.COM").unwrap().id, done.resource.id);
    let rows = world.store.audit_rows(before, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].entry.kind, rows[0].entry.user), (Kind::UserCreated, Some(done.resource.id)));
    assert!(!serde_json::to_string(&rows).unwrap().to_lowercase().contains("alice"));
}

#[tokio::test]
async fn names_are_unique_without_case_and_external_ids_with_it_within_an_idp_and_kind() {
    let world = World::new().await;
    let with = |name: &str, external: &str| Edit { external_id: Some(external.into()), ..user(name) };
    world.store.create(&okta(), ResourceKind::User, with("Alice", "x")).await.unwrap();
    let bob = world.store.create(&okta(), ResourceKind::User, with("bob", "X")).await.unwrap().resource.id;
    let taken = |error| match error {
        StoreError::Uniqueness { kind, attribute, value } => (kind, attribute, value),
        other => panic!("{other:?}"),
    };
    let error = world.store.create(&okta(), ResourceKind::User, with("aLICE", "y")).await.unwrap_err();
    assert_eq!(taken(error), ("User", "userName", "aLICE".into()));
    let error = world.store.create(&okta(), ResourceKind::User, with("carol", "x")).await.unwrap_err();
    assert_eq!(taken(error), ("User", "externalId", "x".into()));
    let rename = |edit: &mut Edit| drop(edit.attributes.insert("userName".into(), json!("ALICE")));
    let error = world.change(ResourceKind::User, bob, rename).await.unwrap_err();
    assert_eq!(taken(error), ("User", "userName", "ALICE".into()));
    world.group("Alice", &[]).await;
    let error = world.store.create(&okta(), ResourceKind::Group, group("alice")).await.unwrap_err();
    assert_eq!(taken(error), ("Group", "displayName", "alice".into()));
    let entra = IdpName::from("entra");
    world.store.create_token(&entra, SecretHash::of("entra"), None).await.unwrap();
    world.store.create(&entra, ResourceKind::User, with("Alice", "x")).await.unwrap();
}

#[tokio::test]
async fn an_idp_sees_and_touches_only_its_own() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let deployers = world.group("deployers", &[alice]).await;
    let entra = IdpName::from("entra");
    let unknown = world.store.create(&entra, ResourceKind::User, user("x")).await.unwrap_err();
    assert!(matches!(unknown, StoreError::NotFound(_)), "{unknown}");
    world.store.create_token(&entra, SecretHash::of("entra"), None).await.unwrap();
    let missing = |error| assert!(matches!(error, StoreError::NotFound(_)), "{error}");
    missing(world.store.get(&entra, ResourceKind::User, alice).await.unwrap_err());
    missing(world.store.get(&okta(), ResourceKind::Group, alice).await.unwrap_err());
    missing(world.store.delete(&entra, ResourceKind::Group, deployers).await.unwrap_err());
    missing(world.store.edit(&entra, ResourceKind::User, alice, Box::new(|_| Ok(user("mallory")))).await.unwrap_err());
    let theirs = Edit { members: vec![MemberOp::Add(vec![alice])], ..group("theirs") };
    let error = world.store.create(&entra, ResourceKind::Group, theirs).await.unwrap_err();
    assert!(matches!(&error, StoreError::UnknownMember(id) if *id == alice.to_string()), "{error}");
    // What failed left nothing behind.
    assert!(world.directory.lock().unwrap().group_by_name(&entra, "theirs").is_none());
    world.store.create(&entra, ResourceKind::Group, group("theirs")).await.unwrap();
}

#[tokio::test]
async fn an_edit_that_states_what_is_so_already_changes_nothing() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let deployers = world.group("deployers", &[alice]).await;
    let (audited, seq) = (world.audit_seq().await, world.directory.lock().unwrap().seq());
    let same = world.set(ResourceKind::User, alice, "active", json!(true)).await;
    assert!(!same.changed && same.changes.is_empty());
    assert_eq!((same.seq, same.resource.version), (seq, 1));
    for op in
        [MemberOp::Add(vec![alice]), MemberOp::Replace(vec![alice]), MemberOp::Remove(vec![ResourceId(Uuid::nil())])]
    {
        let same = world.members(deployers, op).await.unwrap();
        assert!(!same.changed && same.changes.is_empty());
    }
    let there_and_back =
        move |edit: &mut Edit| edit.members = vec![MemberOp::Remove(vec![alice]), MemberOp::Add(vec![alice])];
    assert!(!world.change(ResourceKind::Group, deployers, there_and_back).await.unwrap().changed);
    assert_eq!(world.audit_seq().await, audited);
    assert_eq!(world.directory.lock().unwrap().seq(), seq);
}

#[tokio::test]
async fn a_refused_edit_is_the_callers_error_and_changes_nothing() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let refuse = Box::new(|_: &_| Err(ScimError::bad(ScimType::Mutability, "id is read-only")));
    let error = world.store.edit(&okta(), ResourceKind::User, alice, refuse).await.unwrap_err();
    assert_eq!(error.to_string(), "id is read-only");
    assert_eq!(world.store.get(&okta(), ResourceKind::User, alice).await.unwrap().version, 1);
}

#[tokio::test]
async fn deactivation_and_change_are_told_apart() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let (before, epoch) = (world.audit_seq().await, world.epoch().await);
    world.pass(Duration::seconds(5));
    let done = world.set(ResourceKind::User, alice, "active", json!(false)).await;
    assert_eq!((done.resource.version, done.resource.last_modified), (2, world.now()));
    assert!(!world.directory.lock().unwrap().user(alice).unwrap().active);
    assert_eq!(world.epoch().await, epoch + 1);
    world.set(ResourceKind::User, alice, "active", json!(true)).await;
    world.set(ResourceKind::User, alice, "title", json!("Engineer")).await;
    assert_eq!(world.epoch().await, epoch + 1, "nothing else took entitlement away");
    let kinds = [Kind::UserDeactivated, Kind::UserActivated, Kind::UserChanged];
    assert_eq!(world.audited(before).await, kinds);
    world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(world.epoch().await, epoch + 2);
    assert!(world.directory.lock().unwrap().user(alice).is_none());
    assert!(matches!(world.store.get(&okta(), ResourceKind::User, alice).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn members_are_deltas_in_the_order_they_are_stated() {
    let world = World::new().await;
    let [a, b, c] = [world.user("a").await, world.user("b").await, world.user("c").await];
    let inner = world.group("inner", &[a]).await;
    let outer = world.group("outer", &[b, inner]).await;
    let ops = vec![
        MemberOp::Add(vec![c, c]),
        MemberOp::Remove(vec![b]),
        MemberOp::Add(vec![b]),
        MemberOp::Remove(vec![inner]),
    ];
    let done = world.change(ResourceKind::Group, outer, move |edit| edit.members = ops).await.unwrap();
    assert_eq!(done.changes, [Change::Members { group: outer, added: vec![c], removed: vec![inner] }]);
    let names = |records: Vec<crate::identity::Relation>| {
        records.into_iter().map(|record| (record.kind, record.name)).collect::<Vec<_>>()
    };
    let now = names(world.store.members(outer).await.unwrap());
    assert_eq!(now, [(ResourceKind::User, "b".into()), (ResourceKind::User, "c".into())]);
    let done = world.members(outer, MemberOp::Replace(vec![inner, c])).await.unwrap();
    assert_eq!(done.changes, [Change::Members { group: outer, added: vec![inner], removed: vec![b] }]);
    assert_eq!(names(world.store.groups_of(a).await.unwrap()), [(ResourceKind::Group, "inner".into())]);
    assert_eq!(names(world.store.groups_of(inner).await.unwrap()), [(ResourceKind::Group, "outer".into())]);
    let error = world.members(outer, MemberOp::Add(vec![ResourceId(Uuid::nil())])).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownMember(_)));
    world.store.delete(&okta(), ResourceKind::User, c).await.unwrap();
    world.store.delete(&okta(), ResourceKind::Group, inner).await.unwrap();
    assert!(world.store.members(outer).await.unwrap().is_empty());
    assert!(world.store.groups_of(a).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_group_is_of_another_version_when_a_member_is_deleted_and_the_log_says_who_went() {
    let world = World::new().await;
    let [alice, bob] = [world.user("alice").await, world.user("bob").await];
    let [inner, other] = [world.group("inner", &[alice, bob]).await, world.group("other", &[bob]).await];
    let outer = world.group("outer", &[inner]).await;
    let groups = [inner, outer, other];
    let versions = async || {
        let mut versions = Vec::new();
        for id in groups {
            let group = world.store.get(&okta(), ResourceKind::Group, id).await.unwrap();
            versions.push((group.version, group.last_modified == world.now()));
        }
        versions
    };
    world.pass(Duration::seconds(5));
    let before = world.audit_seq().await;
    world.store.delete(&okta(), ResourceKind::User, alice).await.unwrap();
    assert_eq!(versions().await, [(2, true), (1, false), (1, false)]);
    assert_eq!(world.audited(before).await, [Kind::UserDeleted, Kind::GroupChanged]);
    let rows = world.store.audit_rows(before + 1, 1).await.unwrap();
    assert_eq!(rows[0].entry.detail, json!({"idp": "okta", "group": inner, "removed": [alice]}));
    world.pass(Duration::seconds(5));
    world.store.delete(&okta(), ResourceKind::Group, inner).await.unwrap();
    let outer = world.store.get(&okta(), ResourceKind::Group, outer).await.unwrap();
    assert_eq!((outer.version, outer.last_modified), (2, world.now()));
}

fn place(tx: &Tx<'_>, group: &str) -> Result<(i64, i64), StoreError> {
    let mut select = tx.prepare_cached("SELECT ordinal, idp FROM resources WHERE name_key = ?1")?;
    Ok(select.query_row([group], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

#[tokio::test]
async fn a_change_of_one_member_costs_the_same_in_a_group_of_ten_and_of_twenty_thousand() {
    let world = World::new().await;
    let one = world.user("one").await;
    world.group("small", &[]).await;
    world.group("large", &[]).await;
    let fill = move |tx: &mut Tx<'_>| {
        let (large, idp) = place(tx, "large")?;
        let mut user = tx.prepare_cached(
            "INSERT INTO resources (id, idp, kind, name_key, active, attributes, version, created_at, modified_at)
             VALUES (?1, ?2, 'User', ?3, 1, '{}', 1, 0, 0) RETURNING ordinal",
        )?;
        let mut member = tx.prepare_cached("INSERT INTO members VALUES (?1, ?2, 0)")?;
        for n in 0..20_000_u128 {
            let ordinal: i64 = user.query_row(params![n.to_be_bytes(), idp, format!("filler{n}")], |row| row.get(0))?;
            member.execute([large, ordinal])?;
        }
        Ok(())
    };
    world.store.write(fill).await.unwrap();
    // The best of many, without the disk: a look at all 20,000 would take milliseconds.
    let measure = move |tx: &mut Tx<'_>| {
        let mut best = Vec::new();
        for name in ["small", "large"] {
            let (group, idp) = place(tx, name)?;
            let mut times = Vec::new();
            for _ in 0..20 {
                let start = std::time::Instant::now();
                super::super::members::apply(tx, idp, group, &[MemberOp::Add(vec![one])], false)?;
                super::super::members::apply(tx, idp, group, &[MemberOp::Remove(vec![one])], false)?;
                times.push(start.elapsed());
            }
            best.push(times.into_iter().min().unwrap());
        }
        Ok(best)
    };
    let best = world.store.write(measure).await.unwrap();
    assert!(best[1] < best[0] * 4, "{best:?}");
}
