//! What must be true in the world before a Bulk is answered: the same as for its operations one by one, without each
//! waiting for the one before. Credentials begin to die as soon as their loss is stored; what RoleBindings gain and lose is
//! followed once, at the end.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::{revocation::Enforce, store::Provisioned};

/// Stands in for what enforces, until all operations are done.
pub(super) struct Gather {
    enforce: Arc<dyn Enforce>,
    writes: TaskTracker,
    begun: Mutex<Vec<JoinHandle<()>>>,
    rest: Mutex<Option<Provisioned>>,
}

impl Gather {
    pub(super) fn new(enforce: Arc<dyn Enforce>, writes: TaskTracker) -> Self {
        Self { enforce, writes, begun: Mutex::default(), rest: Mutex::default() }
    }

    /// Enforces what is left, and waits for all of it.
    pub(super) async fn finish(&self) {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            self.enforce.enforce(&rest).await;
        }
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        for task in begun {
            if let Err(error) = task.await {
                tracing::error!(%error, "a revocation ended early; it is durable and goes on");
            }
        }
    }
}

#[async_trait]
impl Enforce for Gather {
    async fn enforce(&self, provisioned: &Provisioned) {
        let mut rest = provisioned.clone();
        let revocations = std::mem::take(&mut rest.revocations);
        if !revocations.is_empty() {
            let (enforce, now) =
                (Arc::clone(&self.enforce), Provisioned { changes: Vec::new(), revocations, ..rest.clone() });
            let task = self.writes.spawn(async move { enforce.enforce(&now).await });
            self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        }
        let mut all = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        *all = Some(match all.take() {
            Some(mut before) => {
                before.changes.append(&mut rest.changes);
                Provisioned { changed: before.changed || rest.changed, changes: before.changes, ..rest }
            }
            None => rest,
        });
    }
}
