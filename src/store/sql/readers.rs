//! Connections that read. Each sees, from its first statement on, all that was committed before.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::{sync::Semaphore, task::spawn_blocking};

use super::conn::Conn;
use crate::store::StoreError;

/// How many read at a time.
pub const READERS: usize = 4;

/// A pool of read-only connections; reads run on Tokio's blocking threads.
pub struct Readers {
    idle: Arc<Mutex<Vec<Conn>>>,
    permits: Arc<Semaphore>,
    /// Of reads that take long: they leave the others to what revocations, tickets and look-ups wait for.
    long: Arc<Semaphore>,
}

impl Readers {
    /// As many reads at a time as there are connections.
    pub fn new(connections: Vec<Conn>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        let long = Arc::new(Semaphore::new((connections.len() / 2).max(1)));
        Self { idle: Arc::new(Mutex::new(connections)), permits, long }
    }

    /// As `read`, for work that may read a whole directory.
    pub async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Failed("the store is closed".into());
        let permit = self.long.clone().acquire_owned().await.map_err(closed)?;
        // With the work, and not with who waits for it: that one may go away.
        let work = move |conn: &Conn| {
            let _permit = permit;
            work(conn)
        };
        self.read(work).await
    }

    /// As `read`, for work that takes microseconds: a few rows by an index. From a file it is done where it is called,
    /// since to wake another thread would take longer; a server is waited for on a blocking thread.
    pub async fn look_up<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Ok(_permit) = self.permits.try_acquire()
            && let Some(mut lease) = Lease::of_a_file(&self.idle)
        {
            return lease.read(work);
        }
        self.read(work).await
    }

    /// Reads at one moment: all that `work` sees is one snapshot.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Failed("the store is closed".into());
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        let idle = self.idle.clone();
        let read = spawn_blocking(move || {
            let _permit = permit;
            Lease::take(idle)?.read(work)
        });
        read.await.map_err(|error| StoreError::Failed(format!("the read ended early: {error}")))?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let servers: Vec<_> = idle.extract_if(.., |conn| matches!(conn, Conn::Postgres(_))).collect();
        if !servers.is_empty() {
            // To say goodbye to a server takes a moment, which a thread of Tokio's must not wait for.
            thread::spawn(move || drop(servers));
        }
    }
}

fn no_connection() -> StoreError {
    StoreError::Failed("no connection is free".into())
}

/// Gives the connection back, also when the read panics.
struct Lease {
    conn: Option<Conn>,
    idle: Arc<Mutex<Vec<Conn>>>,
}

impl Lease {
    fn take(idle: Arc<Mutex<Vec<Conn>>>) -> Result<Self, StoreError> {
        let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(no_connection)?;
        Ok(Self { conn: Some(conn), idle })
    }

    /// A connection to a file, if there is one that is free.
    fn of_a_file(idle: &Arc<Mutex<Vec<Conn>>>) -> Option<Self> {
        let conn =
            idle.lock().unwrap_or_else(PoisonError::into_inner).pop_if(|conn| matches!(conn, Conn::Sqlite(_)))?;
        Some(Self { conn: Some(conn), idle: idle.clone() })
    }

    /// All that `work` sees is one snapshot.
    fn read<T>(&mut self, work: impl FnOnce(&Conn) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let snapshot = self.conn.as_mut().ok_or_else(no_connection)?.snapshot()?;
        work(&snapshot)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use crate::store::sql::conn::params;

    fn readers() -> Arc<Readers> {
        let connections = (0..READERS).map(|_| Conn::Sqlite(rusqlite::Connection::open_in_memory().unwrap())).collect();
        Arc::new(Readers::new(connections))
    }

    fn one(conn: &Conn) -> Result<i64, StoreError> {
        Ok(conn.prepare_cached("SELECT 1")?.query_row(params![], |row| row.get(0))?)
    }

    /// Reads on all connections until the ends are dropped.
    async fn occupy(readers: &Arc<Readers>) -> Vec<mpsc::Sender<()>> {
        let mut ends = Vec::new();
        for _ in 0..READERS {
            let ((end, told), (begun, begins)) = (mpsc::channel(), tokio::sync::oneshot::channel());
            let readers = readers.clone();
            tokio::spawn(async move {
                let read = readers.read(move |_| {
                    let _ = begun.send(());
                    Ok(told.recv().is_ok())
                });
                let _ = read.await;
            });
            begins.await.unwrap();
            ends.push(end);
        }
        ends
    }

    #[tokio::test]
    async fn a_look_up_in_a_file_is_done_where_it_is_asked_for_and_waits_elsewhere_for_a_connection() {
        let readers = readers();
        let here = thread::current().id();
        assert_eq!(readers.look_up(move |_| Ok(thread::current().id())).await.unwrap(), here);
        let ends = occupy(&readers).await;
        let mut waits = Box::pin(readers.look_up(move |_| Ok(thread::current().id())));
        tokio::time::timeout(Duration::from_millis(50), &mut waits).await.unwrap_err();
        drop(ends);
        assert_ne!(waits.await.unwrap(), here);
    }

    #[tokio::test]
    async fn reads_that_take_long_leave_connections_to_others_also_when_nobody_waits_for_them_any_more() {
        let readers = readers();
        let mut ends = Vec::new();
        for _ in 0..10 {
            let (end, told) = mpsc::channel::<()>();
            let readers = readers.clone();
            let long = async move { readers.read_long(move |_| Ok(told.recv())).await.map(drop) };
            // Each caller goes away at once.
            let _ = tokio::time::timeout(Duration::from_millis(20), long).await;
            ends.push(end);
        }
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), readers.read(one)).await.unwrap().unwrap(), 1);
        drop(ends);
    }
}
