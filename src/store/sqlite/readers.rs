//! Connections that read. Each sees, from its first statement on, all that was committed before.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::store::StoreError;

/// A pool of read-only connections; reads run on Tokio's blocking threads.
pub struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// As many reads at a time as there are connections.
    pub fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), permits }
    }

    /// Reads at one moment: all that `work` sees is one snapshot.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Failed("the store is closed".into());
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let idle = self.idle.clone();
        let read = spawn_blocking(move || {
            let _permit = permit;
            let lease = Lease::take(idle)?;
            let conn = lease.conn.as_ref().ok_or_else(no_connection)?;
            let snapshot = conn.unchecked_transaction()?;
            work(&snapshot)
        });
        read.await.map_err(|error| StoreError::Failed(format!("the read ended early: {error}")))?
    }
}

fn no_connection() -> StoreError {
    StoreError::Failed("no connection is free".into())
}

/// Gives the connection back, also when the read panics.
struct Lease {
    conn: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Lease {
    fn take(idle: Arc<Mutex<Vec<Connection>>>) -> Result<Self, StoreError> {
        let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(no_connection)?;
        Ok(Self { conn: Some(conn), idle })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}
