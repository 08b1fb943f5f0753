//! Opening the file: one opener, private, durable also as a name in its directory, at the schema that we know.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use crate::store::{
    StoreError, migrations,
    sql::{READERS, conn::Conn},
};

/// `application_id` in the file's header: "SCTK".
pub const APPLICATION: i32 = 0x5343_544B;

/// What an open store consists of.
pub struct Opened {
    pub writer: Conn,
    pub readers: Vec<Conn>,
    /// Held as long as the store is open.
    pub lock: File,
}

/// Opens or makes the store at a path.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    let directory = directory_of(path);
    make_directory(directory)?;
    let lock = lock(path)?;
    if has_foreign_wal(path) {
        let path = path.display();
        return Err(StoreError::Failed(format!(
            "{path}-wal is not of the store {path}, which was put there by hand: `scim-tekton restore --force {path}` \
             makes it safe to serve"
        )));
    }
    private_file(path).map_err(|error| io_error(path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut writer = Connection::open_with_flags(path, flags)?;
    prepare(&writer)?;
    // First of all: another program's file must stay as it is.
    migrate(&mut writer, path)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: each commit is on the disk when it returns, not only safe against our own crash.
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "foreign_keys", true)?;
    writer.pragma_update(None, "cache_size", -32_768)?;
    writer.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    writer.pragma_update(None, "journal_size_limit", 67_108_864)?;
    // A new file is durable only when its name is: SQLite syncs the file, the directory is ours to sync.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| io_error(directory, &error))?;
    let readers = (0..READERS)
        .map(|_| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(path, flags)?;
            prepare(&reader)?;
            // Enough for the indexes of a hundred thousand people; filled only as far as it is used.
            reader.pragma_update(None, "cache_size", -65_536)?;
            Ok(Conn::Sqlite(reader))
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Opened { writer: Conn::Sqlite(writer), readers, lock })
}

/// The directory that a path stands in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether the WAL beside a store is another one's, which a killed server left there: a file that `backup` has written
/// was never in WAL mode. SQLite would play it in all the same, and damage the store.
fn has_foreign_wal(path: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let wal = fs::metadata(beside(path, "-wal"));
    // Read and write version of the file format: 1 is a rollback journal, 2 a WAL (sqlite.org/fileformat.html).
    read.is_ok() && header.ends_with(&[1, 1]) && wal.is_ok_and(|wal| wal.len() > 0)
}

/// A store as it stands, to be read: whether or not another one's WAL lies beside it.
pub fn open_source(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = if has_foreign_wal(path) {
        let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        // Immutable: nobody changes it (the caller holds the lock), so SQLite looks for no WAL.
        Connection::open_with_flags(format!("file:{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let conn = opened.map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
    prepare(&conn)?;
    Ok(conn)
}

/// The path with something behind its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What every connection needs.
pub fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Makes the store's directory, ours alone.
pub fn make_directory(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| io_error(directory, &error))?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| io_error(parent, &error))
}

/// A lock on a file beside the store: SQLite's own locks would let a second process in between our transactions, and
/// its Directory would go stale.
pub fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, ".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = file.map_err(|error| io_error(&name, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let path = path.display();
            Err(StoreError::Failed(format!(
                "another scim-tekton has this store open: {path}; a store has one server, and none while it is restored"
            )))
        }
        Err(TryLockError::Error(error)) => Err(io_error(&name, &error)),
    }
}

/// SQLite gives the WAL and its index the mode of the file.
fn private_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Brings a file to the schema that we know.
pub fn migrate(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let path = path.display();
    if application != APPLICATION && tables > 0 {
        return Err(StoreError::Failed(format!("{path} is a database of another program, not a store of scim-tekton")));
    }
    let missing = migrations::after(usize::try_from(version).unwrap_or(0));
    for (migration, to) in missing.map_err(|why| StoreError::Failed(format!("{path}: {why}")))? {
        let step = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        step.execute_batch(migration)?;
        step.pragma_update(None, "application_id", APPLICATION)?;
        step.pragma_update(None, "user_version", to)?;
        step.commit()?;
    }
    Ok(())
}

/// A failure at a path.
pub fn io_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Failed(format!("{}: {error}", path.display()))
}
