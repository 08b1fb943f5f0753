//! The file: what is in it, whose it is, what a crash leaves (G5).

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use super::*;

#[tokio::test]
async fn if_the_commit_fails_everyone_hears_of_it_and_nothing_is_published() {
    let world = World::in_a_file().await;
    let published = world.published.lock().unwrap().len();
    let audited = world.audit_seq().await;
    let idp = okta();
    // The writer is held until both commands wait, so that they share a batch.
    let (holding, taken) = tokio::sync::oneshot::channel();
    let (go_on, released) = std::sync::mpsc::channel::<()>();
    let store = world.store.clone();
    let hold = tokio::spawn(async move {
        let hold = move |_: &mut Tx<'_>| {
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
async fn the_files_are_the_owners_alone_and_their_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deep/store.db");
    let world = World::open(StoreUrl::Sqlite(path.clone())).await.unwrap();
    world.store.create_token(&okta(), SecretHash::of("t"), None).await.unwrap();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
    let synchronous = |conn: &mut Tx<'_>| {
        let level: i64 = conn.prepare_cached("PRAGMA synchronous")?.query_row(params![], |row| row.get(0))?;
        let mode: String = conn.prepare_cached("PRAGMA journal_mode")?.query_row(params![], |row| row.get(0))?;
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
    let error = World::open(StoreUrl::Sqlite(foreign.clone())).await.err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&foreign).unwrap(), bytes);
    let newer = dir.path().join("newer.db");
    drop(World::open(StoreUrl::Sqlite(newer.clone())).await.unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = World::open(StoreUrl::Sqlite(newer)).await.err().unwrap();
    assert!(error.to_string().contains("newer scim-tekton"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g5_what_was_answered_before_a_crash_is_there_after_it() {
    let world = World::in_a_file().await;
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
        fs::copy(world.path(), &copy).unwrap();
        fs::copy(world.path().with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let after = World::open(StoreUrl::Sqlite(copy)).await.unwrap();
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
