//! The high-water mark: how far the store had come, kept outside of it. An older store that somebody put back by hand (a
//! volume's snapshot, a copied file) would bring leavers and spent tickets back; by the mark it is known, and not served.
//!
//! The mark is read from what is durable and written after it, so it may be behind the store, and is never ahead of it.

mod place;

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::{info, warn};
use uuid::Uuid;

pub use place::{Place, PlaceError};

use crate::{
    config::StoreUrl,
    store::{AuditHead, SqlStore, Standing, Store as _, StoreError},
};

/// How far the store may go before the mark follows.
const PAUSE: Duration = Duration::from_mins(1);
/// How long an orderly stop waits for the last mark.
const LAST: Duration = Duration::from_secs(5);

/// How far which store had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Which store.
    pub store: Uuid,
    /// The last row of its audit log.
    pub head: AuditHead,
    /// Its `entitlement_epoch`.
    pub epoch: i64,
}

impl From<&Standing> for Mark {
    fn from(standing: &Standing) -> Self {
        Self { store: standing.store, head: standing.head.clone(), epoch: standing.epoch }
    }
}

/// Why a store is not served.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// It is not what ran here last.
    #[error(
        "the store at {store} {difference}: it was put there by hand, and would bring leavers and spent tickets back. \
         `scim-tekton restore{again}` makes it safe to serve (to begin anew without the old one, remove {place})"
    )]
    PutBack {
        /// Where it is.
        store: String,
        /// In what it differs.
        difference: String,
        /// What `restore` is to be told of it.
        again: String,
        /// Where the mark is.
        place: String,
    },
    /// The mark can't be read or written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares at the start, and follows from then on.
pub struct HighWater {
    store: Arc<SqlStore>,
    url: StoreUrl,
    place: Place,
    /// What stands there.
    noted: Mutex<Option<Mark>>,
}

impl HighWater {
    /// Of the store at a path.
    pub fn new(store: Arc<SqlStore>, url: StoreUrl, place: Place) -> Self {
        Self { store, url, place, noted: Mutex::default() }
    }

    /// Lets the store be served, if it is the one that ran here last, as it was or later, or one that `restore` made.
    pub async fn check(&self) -> Result<(), HighWaterError> {
        let standing = self.store.standing().await?;
        if let Some(mark) = self.place.read().await? {
            let row = self.store.audit_rows(mark.head.seq - 1, 1).await?.pop().filter(|row| row.seq == mark.head.seq);
            if let Some(difference) = difference(&mark, &standing, row.map(|row| row.hash).as_deref()) {
                let (store, again) = match &self.url {
                    StoreUrl::Sqlite(path) => (path.display().to_string(), format!(" --force {}", path.display())),
                    StoreUrl::Postgres(server) => (server.to_string(), String::new()),
                };
                return Err(HighWaterError::PutBack { store, difference, again, place: self.place.to_string() });
            }
        }
        self.note().await?;
        if standing.restored {
            // Only now: until the mark names it, a second start must know it as well.
            self.store.take().await?;
            info!(store = %standing.store, "the store was restored from a backup, and is the one that runs here now");
        }
        Ok(())
    }

    /// Follows the store, for ever.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if let Err(error) = self.note().await {
                warn!(%error, "can't note how far the store has come; it is tried again");
            }
        }
    }

    /// At an orderly stop.
    pub async fn note_last(&self) {
        match tokio::time::timeout(LAST, self.note()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "can't note how far the store has come"),
            Err(_) => warn!("no time to note how far the store has come"),
        }
    }

    async fn note(&self) -> Result<(), HighWaterError> {
        let mut noted = self.noted.lock().await;
        let mark = Mark::from(&self.store.standing().await?);
        if noted.as_ref() != Some(&mark) {
            self.place.write(&mark).await?;
            *noted = Some(mark);
        }
        Ok(())
    }
}

/// In what a store differs from what ran last, if it may not be served. `hash`: of its row with the mark's number.
fn difference(mark: &Mark, standing: &Standing, hash: Option<&str>) -> Option<String> {
    let (last, head) = (mark.head.seq, standing.head.seq);
    if standing.store != mark.store {
        // In one that `restore` has made, nothing of before gives anybody anything.
        return (!standing.restored)
            .then(|| format!("is another one than ran here last (audit row {head}, last known {last})"));
    }
    if head < last || standing.epoch < mark.epoch {
        return Some(format!("is older than what ran here last (audit row {head}, last known {last})"));
    }
    let same = last == 0 || hash == Some(mark.head.hash.as_str());
    (!same).then(|| format!("has another past than what ran here last (its audit row {last} is another)"))
}

#[cfg(test)]
mod tests;
