//! A backup: the whole store as of one moment, in a file of its own, while the writer goes on.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use super::open::{beside, directory_of, io_error, open_source};
use crate::store::{
    AuditHead, StoreError,
    sql::{conn::Conn, standing},
};

/// Writes the store at a path into a new file, which is ours alone and durable when this returns. It appears under its
/// name only when it is whole.
pub fn backup(store: &Path, file: &Path) -> Result<AuditHead, StoreError> {
    if fs::symlink_metadata(file).is_ok() {
        let file = file.display();
        return Err(StoreError::Limit(format!(
            "{file} is there already: a backup overwrites nothing; name another file"
        )));
    }
    let partial = beside(file, ".partial");
    let written = copy(store, &partial).and_then(|()| {
        let head = head(&partial)?;
        fs::rename(&partial, file).map_err(|error| io_error(file, &error))?;
        sync(directory_of(file))?;
        Ok(head)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Copies a store, as far as it is committed, to a path of ours. What stood there is thrown away.
pub fn copy(store: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open_source(store)?;
    // With its journal: a stale one would be played into the copy.
    for suffix in ["-journal", "-wal", "-shm", ""] {
        let _ = fs::remove_file(beside(to, suffix));
    }
    // Made by us before SQLite writes into it: it would give it the mode that the umask leaves.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    made.map_err(|error| io_error(to, &error))?;
    let name = to.to_str().ok_or_else(|| StoreError::Limit(format!("{} is not UTF-8", to.display())))?;
    source.execute("VACUUM INTO ?1", [name])?;
    // SQLite leaves the copy to the system's cache.
    sync(to)
}

/// How far a copy has come.
fn head(copy: &Path) -> Result<AuditHead, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    standing::head(&Conn::Sqlite(Connection::open_with_flags(copy, flags)?))
}

/// Makes a file or a directory durable.
pub fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io_error(path, &error))
}
