//! Restoring a backup, with no server running. A backup knows nothing of who has left since: so it begins a new epoch, in
//! which nothing of before gives anybody anything.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags};

use super::{
    backup::{copy, sync},
    open::{self, beside},
};
use crate::{
    clock::Clock,
    store::{
        Restored, StoreError,
        sql::{conn::Conn, epoch, rows::whole_micros},
    },
};

/// Puts a backup at the store's path. `replace`: a store that stands there is kept beside it; else that is an error.
pub fn restore(backup: &Path, store: &Path, replace: bool, clock: &Clock) -> Result<Restored, StoreError> {
    let now = whole_micros(clock());
    let directory = open::directory_of(store);
    open::make_directory(directory)?;
    // Held to the end: a server that starts meanwhile finds it taken.
    let _lock = open::lock(store)?;
    if fs::symlink_metadata(store).is_ok() && !replace {
        return Err(StoreError::Limit(format!(
            "a store stands at {} already: with --force it is replaced, and the old one is kept beside it",
            store.display()
        )));
    }
    examine(backup)?;
    let fresh = beside(store, ".restoring");
    let made = copy(backup, &fresh).and_then(|()| begin_epoch(&fresh, now));
    let placed = made.and_then(|mut restored| {
        sync(&fresh)?;
        restored.kept = set_aside(store, now)?;
        fs::rename(&fresh, store).map_err(|error| open::io_error(store, &error))?;
        sync(directory)?;
        Ok(restored)
    });
    if placed.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    placed
}

/// A file that is damaged, or no store of ours, is refused before anything is touched.
fn examine(backup: &Path) -> Result<(), StoreError> {
    let path = backup.display();
    fs::metadata(backup).map_err(|error| open::io_error(backup, &error))?;
    let conn = open::open_source(backup)?;
    let number = conn.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    if number.ok() != Some(open::APPLICATION) {
        return Err(StoreError::Limit(format!(
            "{path} is no store of scim-tekton: expected a file that `scim-tekton backup` has written"
        )));
    }
    let verdict = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    let verdict = verdict.unwrap_or_else(|error| error.to_string());
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Limit(format!("{path} is damaged ({verdict}): restore another backup")))
}

fn begin_epoch(path: &Path, now: DateTime<Utc>) -> Result<Restored, StoreError> {
    let mut conn =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    open::prepare(&conn)?;
    open::migrate(&mut conn, path)?;
    // No WAL: the file is to be moved, and must be whole by itself.
    conn.pragma_update(None, "journal_mode", "DELETE")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    epoch::begin(&mut Conn::Sqlite(conn), now)
}

/// Moves the store that stands there out of the way. Its WAL goes first: beside another store it would be taken for
/// that one's.
fn set_aside(store: &Path, now: DateTime<Utc>) -> Result<Option<PathBuf>, StoreError> {
    let kept = beside(store, &format!(".before-restore-{}", now.format("%Y%m%dT%H%M%S%.6fZ")));
    for suffix in ["-wal", "-shm", "-journal", ""] {
        let from = beside(store, suffix);
        if fs::symlink_metadata(&from).is_ok() {
            fs::rename(&from, beside(&kept, suffix)).map_err(|error| open::io_error(&from, &error))?;
        }
    }
    Ok(fs::symlink_metadata(&kept).is_ok().then_some(kept))
}
