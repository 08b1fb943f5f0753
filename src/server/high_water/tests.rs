//! A store that is put back by hand, and one that `restore` puts there.

use std::{fs, path::Path};

use super::*;
use crate::{
    clock::{Clock, system},
    identity::IdpName,
    ticket::SecretHash,
};

fn open(path: &Path) -> HighWater {
    let url = StoreUrl::Sqlite(path.to_owned());
    let store = SqlStore::open(&url, system(), Box::new(|_, _| {})).unwrap();
    HighWater::new(store, url, Place::beside(path))
}

/// One more row in the audit log.
async fn write(running: &HighWater, idp: &str) {
    running.store.create_token(&IdpName::from(idp), SecretHash::of(idp), None).await.unwrap();
}

/// A store that ran and was stopped in good order: rows `a` and `b`, and a copy of it from before `b`.
async fn ran() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("s.db"), folder.path().join("copy.db"));
    let running = open(&path);
    running.check().await.unwrap();
    write(&running, "a").await;
    running.store.backup(&copy).await.unwrap();
    write(&running, "b").await;
    running.note_last().await;
    (folder, path, copy)
}

fn put_back(copy: &Path, path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    fs::copy(copy, path).unwrap();
}

async fn refused(path: &Path) -> String {
    open(path).check().await.unwrap_err().to_string()
}

fn clock() -> Clock {
    system()
}

#[tokio::test]
async fn a_store_that_only_went_on_is_served_whatever_was_noted_last() {
    let (_folder, path, _) = ran().await;
    let running = open(&path);
    running.check().await.unwrap();
    // Killed: the mark stays behind.
    write(&running, "c").await;
    drop(running);
    open(&path).check().await.unwrap();
}

#[tokio::test]
async fn attack_old_backup_put_back_by_hand_is_not_served() {
    let (_folder, path, copy) = ran().await;
    put_back(&copy, &path);
    let sentence = refused(&path).await;
    assert!(sentence.contains("older than what ran here last (audit row 1, last known 2)"), "{sentence}");
    assert!(sentence.contains(&format!("`scim-tekton restore --force {}`", path.display())), "{sentence}");
    // What it says is what helps, and the mark is the restored one's from then on.
    SqlStore::restore(Some(&path), &StoreUrl::Sqlite(path.clone()), true, &clock()).unwrap();
    let running = open(&path);
    running.check().await.unwrap();
    assert!(!running.store.standing().await.unwrap().restored);
    drop(running);
    open(&path).check().await.unwrap();
    put_back(&copy, &path);
    let sentence = refused(&path).await;
    assert!(sentence.contains("is another one than ran here last"), "{sentence}");
}

#[tokio::test]
async fn an_older_store_that_has_gone_another_way_is_known_by_its_hash() {
    let (_folder, path, copy) = ran().await;
    put_back(&copy, &path);
    // Whoever serves it without a mark makes other rows under the same numbers.
    let elsewhere = open(&path);
    for idp in ["x", "y", "z"] {
        write(&elsewhere, idp).await;
    }
    drop(elsewhere);
    let sentence = refused(&path).await;
    assert!(sentence.contains("its audit row 2 is another"), "{sentence}");
}

#[tokio::test]
async fn a_restored_store_is_taken_once_and_survives_a_crash_before_and_after_the_mark() {
    let (_folder, path, copy) = ran().await;
    SqlStore::restore(Some(&copy), &StoreUrl::Sqlite(path.clone()), true, &clock()).unwrap();
    // Killed between the mark and the note in the store.
    let running = open(&path);
    running.note().await.unwrap();
    drop(running);
    let running = open(&path);
    running.check().await.unwrap();
    write(&running, "c").await;
    running.note_last().await;
    let served = path.with_file_name("served.db");
    running.store.backup(&served).await.unwrap();
    drop(running);
    // A second restore, before which a server ran: another one again.
    SqlStore::restore(Some(&copy), &StoreUrl::Sqlite(path.clone()), true, &clock()).unwrap();
    open(&path).check().await.unwrap();
    put_back(&served, &path);
    assert!(refused(&path).await.contains("is another one"));
}

#[tokio::test]
async fn a_mark_that_is_none_is_not_passed_over() {
    let (_folder, path, _) = ran().await;
    let place = Place::beside(&path).to_string();
    fs::write(&place, "?").unwrap();
    assert!(refused(&path).await.contains("s.db.high-water is not readable"));
    fs::remove_file(&place).unwrap();
    open(&path).check().await.unwrap();
    assert!(Path::new(&place).exists());
    // An empty store where another one ran: the spent tickets of that one are unknown to it.
    fs::remove_file(&path).unwrap();
    assert!(refused(&path).await.contains("is another one"));
}
