//! The writer and its group commit (G5).

use futures::future::join_all;

use super::*;

#[tokio::test]
async fn many_concurrent_writes_share_commits_and_each_sees_its_own() {
    let world = World::new().await;
    let before = world.store.commits();
    let creates = (0..500).map(|n| {
        let store = world.store.clone();
        async move { store.create(&okta(), ResourceKind::User, user(&format!("u{n}"))).await.unwrap() }
    });
    let done = join_all(creates).await;
    let commits = world.store.commits() - before;
    assert!(commits <= 60, "{commits} commits for 500 creates");
    let mut seqs: Vec<_> = done.iter().map(|done| done.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), 500);
    assert_eq!(world.directory.lock().unwrap().users().count(), 500);
    assert_eq!(world.published.lock().unwrap().iter().skip(1).sum::<usize>(), 500);
    world.audited(0).await;
}

#[tokio::test]
async fn a_command_that_fails_or_panics_takes_no_other_with_it() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let store = &world.store;
    let boom = Box::new(|_: &crate::identity::Resource| -> Result<Edit, _> { panic!("an edit's own mistake") });
    let idp = okta();
    let edit = store.edit(&idp, ResourceKind::User, alice, boom);
    let (first, taken, panicked, last) = tokio::join!(
        store.create(&idp, ResourceKind::User, user("first")),
        store.create(&idp, ResourceKind::User, user("ALICE")),
        edit,
        store.create(&idp, ResourceKind::User, user("last")),
    );
    first.unwrap();
    assert!(matches!(taken, Err(StoreError::Uniqueness { .. })));
    assert!(matches!(panicked, Err(StoreError::Failed(_))));
    last.unwrap();
    assert_eq!(world.directory.lock().unwrap().users().count(), 3);
    world.audited(0).await;
}

#[tokio::test]
async fn a_writer_that_died_is_seen_to_be_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let broken = Box::new(|_: i64, _: &[Change]| panic!("the feed's own mistake"));
    let store = SqlStore::open(&testing::url(&path), Arc::new(DateTime::default), broken).unwrap();
    store.ping().await.unwrap();
    assert!(store.is_alive());
    store.create_token(&okta(), SecretHash::of("okta"), None).await.unwrap_err();
    let dead = store.ping().await.unwrap_err();
    assert!(dead.to_string().contains("died"), "{dead}");
    assert!(!store.is_alive());
    assert_eq!(store.tokens().await.unwrap().len(), 1, "what was committed is there, and is read");
    store.close();
    assert!(!store.is_alive());
}

#[tokio::test]
async fn a_read_after_a_write_sees_it() {
    let world = World::new().await;
    for n in 0..50 {
        let id = world.user(&format!("u{n}")).await;
        world.store.get(&okta(), ResourceKind::User, id).await.unwrap();
    }
    world.store.ping().await.unwrap();
}

#[tokio::test]
async fn a_second_opener_is_refused_and_may_come_when_the_first_has_gone() {
    let world = World::new().await;
    let refused = World::open(world.url.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("another scim-tekton has this store open"), "{refused}");
    let alice = world.user("alice").await;
    world.store.close();
    let closed = world.store.create(&okta(), ResourceKind::User, user("bob")).await.unwrap_err();
    assert!(closed.to_string().contains("closed"), "{closed}");
    let World { store, url, dir: _dir, .. } = world;
    drop(store);
    let again = World::open(url).await.unwrap();
    assert!(again.directory.lock().unwrap().user(alice).is_some());
}
