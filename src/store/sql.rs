//! The store in SQL: one writer thread with group commit, readers beside it, and each concern's statements once, for
//! SQLite and PostgreSQL alike.
//!
//! | file | owns |
//! |---|---|
//! | `conn`, `column` | a connection to either database, what a column can hold |
//! | `writer`, `tx` | the thread, group commit; a command's view of it: audit chain, change feed |
//! | `readers` | connections that read |
//! | `resources`, `tell`, `members`, `owners`, `emails`, `query`, `sorted`, `unique`, `load` | what SCIM writes and reads; what the Directory is built from |
//! | `entitlement`, `revoke` | who is entitled; intents to revoke |
//! | `epoch`, `standing` | what a restored store begins with; which store this is |
//! | `idps`, `tokens`, `decisions`, `redeem`, `runs`, `issue`, `grants`, `receipt`, `audit` | one concern each |
//! | `api` | the interface, each method a call of one of these |
//! | `rows` | our types as columns |

mod api;
mod audit;
mod column;
pub mod conn;
mod decisions;
pub mod emails;
pub mod entitlement;
pub mod epoch;
pub mod grants;
pub mod idps;
mod issue;
pub mod load;
pub mod members;
mod owners;
pub mod query;
mod readers;
mod receipt;
mod redeem;
mod resources;
mod revoke;
pub mod rows;
pub mod runs;
pub mod sorted;
pub mod standing;
mod tell;
#[cfg(test)]
pub mod tests;
mod tokens;
pub mod tx;
pub mod unique;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

pub use self::readers::READERS;
use self::{conn::Conn, readers::Readers, tx::Tx, writer::Writer};
use super::{OnCommit, Restored, Standing, StoreError, postgres, sqlite};
use crate::{clock::Clock, config::StoreUrl};

/// The store on SQLite or PostgreSQL.
pub struct SqlStore {
    // Fields are dropped in this order: the lock goes last.
    readers: Readers,
    writer: Writer,
    /// The file, if it is one.
    path: Option<PathBuf>,
    _lock: Option<File>,
}

impl SqlStore {
    /// Opens the store at a place, or makes it there. Fails if another has it open.
    pub fn open(url: &StoreUrl, clock: Clock, on_commit: OnCommit) -> Result<Arc<Self>, StoreError> {
        aside(|| Self::open_here(url, clock, on_commit))
    }

    fn open_here(url: &StoreUrl, clock: Clock, on_commit: OnCommit) -> Result<Arc<Self>, StoreError> {
        let (mut writer, readers, path, lock) = match url {
            StoreUrl::Sqlite(path) => {
                let opened = sqlite::open(path)?;
                (opened.writer, opened.readers, Some(path.clone()), Some(opened.lock))
            }
            StoreUrl::Postgres(server) => {
                let (writer, readers) = postgres::open(server)?;
                (writer, readers, None, None)
            }
        };
        unique::prepare(&writer)?;
        emails::prepare(&mut writer)?;
        let writer = Writer::start(writer, clock, on_commit)?;
        Ok(Arc::new(Self { readers: Readers::new(readers), writer, path, _lock: lock }))
    }

    /// Makes a backup the store at a place, in a new epoch: nothing of before gives anybody anything. `backup` is a file
    /// for a file, and nothing for a server, whose own means have put it back. Fails if a server of ours has that store
    /// open, or, without `replace`, if a file stands there.
    pub fn restore(
        backup: Option<&Path>,
        store: &StoreUrl,
        replace: bool,
        clock: &Clock,
    ) -> Result<Restored, StoreError> {
        match (store, backup) {
            (StoreUrl::Sqlite(store), Some(backup)) => sqlite::restore(backup, store, replace, clock),
            (StoreUrl::Sqlite(_), None) => {
                Err(StoreError::Limit("expected the file that a backup was written to".into()))
            }
            (StoreUrl::Postgres(server), None) => aside(|| postgres::restore(server, clock)),
            (StoreUrl::Postgres(_), Some(_)) => Err(StoreError::Limit(
                "the store is on PostgreSQL: put the backup back by its own means (pg_restore), then run \
                 `scim-tekton restore` without a file"
                    .into(),
            )),
        }
    }

    /// Which store this is, and how far it has durably come.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        self.read(standing::of).await
    }

    /// Notes that a server runs on it: no longer one that `restore` has just made.
    pub async fn take(&self) -> Result<(), StoreError> {
        self.write(|tx| standing::take(tx)).await
    }

    /// Finishes the writes that wait, and takes no more. Blocks for as long as they take.
    pub fn close(&self) {
        self.writer.close();
    }

    /// How many transactions were committed since it was opened.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write(work).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(work).await
    }
}

/// PostgreSQL's client waits by a runtime of its own, which must not be begun on a thread of another one.
fn aside<T: Send>(work: impl FnOnce() -> Result<T, StoreError> + Send) -> Result<T, StoreError> {
    let failed = || StoreError::Failed("the thread that connects has panicked".into());
    thread::scope(|scope| scope.spawn(work).join()).map_err(|_| failed())?
}
