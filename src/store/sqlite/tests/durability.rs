//! The file, the writer and its group commit (G5).

use std::{fs, os::unix::fs::PermissionsExt as _};

use futures::future::join_all;
use serde_json::json;

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
async fn if_the_commit_fails_everyone_hears_of_it_and_nothing_is_published() {
    let world = World::new().await;
    let published = world.published.lock().unwrap().len();
    let audited = world.audit_seq().await;
    let idp = okta();
    // The writer is held until both commands wait, so that they share a batch.
    let (holding, taken) = tokio::sync::oneshot::channel();
    let (go_on, released) = std::sync::mpsc::channel::<()>();
    let store = world.store.clone();
    let hold = tokio::spawn(async move {
        let hold = move |_: &mut super::super::Tx<'_>| {
            holding.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        store.write(hold).await
    });
    taken.await.unwrap();
    // A deferred constraint fails at COMMIT and not before.
    let poison = world.store.write(|tx| {
        tx.execute_batch("PRAGMA defer_foreign_keys = 1; INSERT INTO members VALUES (4711, 4711, 0)")?;
        Ok(())
    });
    let create = world.store.create(&idp, ResourceKind::User, user("alice"));
    let (create, poison, ()) = tokio::join!(create, poison, async { go_on.send(()).unwrap() });
    hold.await.unwrap().unwrap();
    assert!(matches!(create, Err(StoreError::Failed(_))) && matches!(poison, Err(StoreError::Failed(_))));
    assert_eq!(world.published.lock().unwrap().len(), published);
    assert_eq!(world.audit_seq().await, audited);
    world.user("alice").await;
    assert_eq!(world.audited(audited).await.len(), 1);
}

#[tokio::test]
async fn a_writer_that_died_is_seen_to_be_dead() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let broken = Box::new(|_: i64, _: &[Change]| panic!("the feed's own mistake"));
    let store = SqliteStore::open(path, Arc::new(DateTime::default), broken).unwrap();
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
    let refused = World::open(world.path.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("another scim-tekton has this store open"), "{refused}");
    let alice = world.user("alice").await;
    world.store.close();
    let closed = world.store.create(&okta(), ResourceKind::User, user("bob")).await.unwrap_err();
    assert!(closed.to_string().contains("closed"), "{closed}");
    let World { store, path, dir: _dir, .. } = world;
    drop(store);
    let again = World::open(path).await.unwrap();
    assert!(again.directory.lock().unwrap().user(alice).is_some());
}

#[tokio::test]
async fn the_files_are_the_owners_alone_and_their_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deep/store.db");
    let world = World::open(path.clone()).await.unwrap();
    world.store.create_token(&okta(), SecretHash::of("t"), None).await.unwrap();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
    let synchronous = |conn: &mut super::super::Tx<'_>| {
        let level: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((level, mode))
    };
    assert_eq!(world.store.write(synchronous).await.unwrap(), (2, "wal".into()), "2 is FULL");
}

#[tokio::test]
async fn foreign_and_newer_files_are_refused_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let bytes = fs::read(&foreign).unwrap();
    let error = World::open(foreign.clone()).await.err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&foreign).unwrap(), bytes);
    let newer = dir.path().join("newer.db");
    drop(World::open(newer.clone()).await.unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = World::open(newer).await.err().unwrap();
    assert!(error.to_string().contains("newer scim-tekton"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g5_what_was_answered_before_a_crash_is_there_after_it() {
    let world = World::new().await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (store, acknowledged) = (world.store.clone(), acknowledged.clone());
        tasks.spawn(async move {
            for n in 0..40 {
                let done = store.create(&okta(), ResourceKind::User, user(&format!("u{task}-{n}"))).await.unwrap();
                acknowledged.lock().unwrap().push(done.resource.id);
                if n % 3 == 0 {
                    let mut edit = user(&format!("u{task}-{n}"));
                    edit.attributes.insert("active".into(), json!(false));
                    store.edit(&okta(), ResourceKind::User, done.resource.id, Box::new(|_| Ok(edit))).await.unwrap();
                }
            }
        });
    }
    // The database and then its log, copied while writers go on: what a crash at that moment leaves.
    let crashed = tempfile::tempdir().unwrap();
    for round in 0..5 {
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        let before: Vec<_> = acknowledged.lock().unwrap().clone();
        let copy = crashed.path().join(format!("{round}.db"));
        fs::copy(&world.path, &copy).unwrap();
        fs::copy(world.path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let after = World::open(copy).await.unwrap();
        for id in &before {
            after.store.get(&okta(), ResourceKind::User, *id).await.unwrap();
            assert!(after.directory.lock().unwrap().user(*id).is_some());
        }
        after.audited(0).await;
        after.user("goes on").await;
        after.audited(0).await;
    }
    tasks.join_all().await;
}
