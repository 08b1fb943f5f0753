//! The store on SQLite: one file, one writer thread with group commit, readers beside it.
//!
//! | file | owns |
//! |---|---|
//! | `open` | lock, modes, pragmas, migrations |
//! | `writer`, `tx` | the thread, group commit; a command's view of it: audit chain, change feed |
//! | `readers` | read-only connections |
//! | `resources`, `tell`, `members`, `query`, `sorted`, `load` | what SCIM writes and reads; what the Directory is built from |
//! | `entitlement`, `revoke` | who is entitled; intents to revoke |
//! | `backup`, `restore`, `standing` | a copy while we run; a copy put back, in a new epoch; which store this is |
//! | `idps`, `tokens`, `decisions`, `redeem`, `runs`, `issue`, `grants`, `receipt`, `audit` | one concern each |
//! | `api` | the interface, each method a call of one of these |
//! | `rows` | our types as columns |

mod api;
mod audit;
mod backup;
mod decisions;
mod entitlement;
mod grants;
mod idps;
mod issue;
mod load;
mod members;
mod open;
mod owners;
mod query;
mod readers;
mod receipt;
mod redeem;
mod resources;
mod restore;
mod revoke;
mod rows;
mod runs;
mod sorted;
mod standing;
mod tell;
#[cfg(test)]
mod tests;
mod tokens;
mod tx;
mod unique;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{readers::Readers, tx::Tx, writer::Writer};
use super::{OnCommit, Restored, Standing, StoreError};
use crate::clock::Clock;

/// The store on SQLite.
pub struct SqliteStore {
    // Fields are dropped in this order: the lock goes last.
    readers: Readers,
    writer: Writer,
    path: PathBuf,
    _lock: File,
}

impl SqliteStore {
    /// Opens the store at a path, or makes it there. Fails if another has it open.
    pub fn open(path: impl AsRef<Path>, clock: Clock, on_commit: OnCommit) -> Result<Arc<Self>, StoreError> {
        let opened = open::open(path.as_ref())?;
        let writer = Writer::start(opened.writer, clock, on_commit)?;
        let path = path.as_ref().to_owned();
        Ok(Arc::new(Self { readers: Readers::new(opened.readers), writer, path, _lock: opened.lock }))
    }

    /// Puts a backup at a store's path, in a new epoch: nothing of before gives anybody anything. Fails if a server has
    /// that store open, or, without `replace`, if one stands there.
    pub fn restore(backup: &Path, store: &Path, replace: bool, clock: &Clock) -> Result<Restored, StoreError> {
        restore::restore(backup, store, replace, clock)
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

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(work).await
    }
}
