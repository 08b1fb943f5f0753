//! The one thread that writes, and its group commit: all commands that wait share one transaction and one fsync; each
//! stands in a savepoint of its own, so that one that fails takes no other with it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    conn::Conn,
    rows::whole_micros,
    tx::{Heads, Tx},
};
use crate::{
    clock::Clock,
    directory::Change,
    store::{OnCommit, StoreError},
};

/// Commands of one transaction at most: bounds what a caller waits for those beside it.
const BATCH: usize = 256;
/// Commands that may wait; beyond, callers wait to enqueue.
const QUEUE: usize = 1024;

const DIED: &str = "the store's writer thread has died, so nothing can be written until a restart";

const BEHIND: &str = "the store holds changes that this server was never told of, so it must be restarted";

/// A queued command: runs in the transaction, is answered after the commit.
trait Command: Send {
    /// Whether what it did shall stay.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Tells the caller, once the batch is durable or has failed.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Command for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        self.result = self.work.take().map(|work| work(tx));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let answer = match (self.result, committed) {
            // A command's own refusal stands, whatever became of the others.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(failure)) => Err(StoreError::Failed(failure.to_owned())),
            (None, Ok(())) => Err(StoreError::Failed("the write panicked and was rolled back".into())),
        };
        // Nobody listens if the request was dropped; what was written stays.
        let _ = self.reply.send(answer);
    }
}

/// The writer's handle: enqueues, and ends the thread.
pub struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Command>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on the write connection.
    pub fn start(conn: Conn, clock: Clock, on_commit: OnCommit) -> Result<Self, StoreError> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let heads = Heads::load(&conn)?;
        let told = heads.feed_seq();
        let mut inner =
            Inner { conn, clock, on_commit, heads: Some(heads), told, behind: false, commits: commits.clone() };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                // Dies all the same: a feed that broke off may have left the Directory behind the store.
                if catch_unwind(AssertUnwindSafe(move || inner.serve(queue))).is_err() {
                    tracing::error!("{DIED}");
                }
            })
            .map_err(|error| StoreError::Failed(format!("the writer thread did not start: {error}")))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), commits })
    }

    /// Runs a command; returns when it is durable.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || {
            let died = self.thread.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            StoreError::Failed(if died { DIED } else { "the store is closed" }.into())
        };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        queue.send(Box::new(Task { work: Some(work), result: None, reply })).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Takes no more commands, lets the thread finish those that wait, and waits for it.
    pub fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may be dropped by a command on the writer itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
    }

    /// Whether the thread takes commands: neither closed nor dead.
    pub fn is_alive(&self) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().is_some_and(|queue| !queue.is_closed())
    }

    /// How many transactions were committed: fewer than commands, if group commit works.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Inner {
    conn: Conn,
    clock: Clock,
    on_commit: OnCommit,
    /// `None` after a failure: what the database has must be read anew.
    heads: Option<Heads>,
    /// Number of the last change that the Directory was told.
    told: i64,
    /// Whether the store holds changes that the Directory was never told.
    behind: bool,
    commits: Arc<AtomicU64>,
}

impl Inner {
    fn serve(&mut self, mut queue: mpsc::Receiver<Box<dyn Command>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = queue.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = queue.try_recv()
            {
                batch.push(next);
            }
            let outcome = self.commit(&mut batch).map_err(|error| error.to_string());
            for command in batch.drain(..) {
                command.answer(outcome.as_ref().copied().map_err(String::as_str));
            }
            if self.behind {
                tracing::error!("{BEHIND}");
                return;
            }
        }
        // A WAL that stays beside the file would be played into whatever is put in its place.
        if let Conn::Sqlite(conn) = &self.conn
            && let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the store's WAL stays as it is");
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Command>]) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        match self.transact(batch, &mut changes) {
            Ok(feed_seq) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                if !changes.is_empty() {
                    self.told = feed_seq;
                    (self.on_commit)(feed_seq, &changes);
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, commands = batch.len(), "the store could not commit");
                self.heads = None;
                if self.conn.is_in_transaction()
                    && let Err(error) = self.conn.control("ROLLBACK")
                {
                    tracing::error!(%error, "the store could not roll back");
                }
                Err(error)
            }
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Command>], changes: &mut Vec<Change>) -> Result<i64, StoreError> {
        self.conn.begin()?;
        let conn = &self.conn;
        let mut heads = match self.heads.take() {
            Some(heads) => heads,
            None => Heads::load(conn)?,
        };
        if heads.feed_seq() != self.told {
            // A commit whose answer was lost, or another server's in between: the Directory is behind for good.
            self.behind = true;
            return Err(StoreError::Failed(BEHIND.into()));
        }
        for command in batch {
            let (heads_before, changes_before) = (heads.clone(), changes.len());
            conn.control("SAVEPOINT command")?;
            let mut tx = Tx::new(conn, whole_micros((self.clock)()), &mut heads, changes);
            // An edit is foreign code; its panic must not end the writer for everyone.
            let kept = catch_unwind(AssertUnwindSafe(|| command.run(&mut tx))).unwrap_or(false);
            if !conn.is_in_transaction() {
                return Err(StoreError::Failed("the database rolled the transaction back".into()));
            }
            if !kept {
                conn.control("ROLLBACK TO command")?;
                heads = heads_before;
                changes.truncate(changes_before);
            }
            conn.control("RELEASE command")?;
        }
        fail::fail_point!("store::before_commit", |_| Err(StoreError::Failed("failpoint".into())));
        conn.control("COMMIT")?;
        fail::fail_point!("store::after_commit");
        let feed_seq = heads.feed_seq();
        self.heads = Some(heads);
        Ok(feed_seq)
    }
}
