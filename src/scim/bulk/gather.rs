//! What must be true in the world before a Bulk, or a part of an import, is answered: the same as for its operations one
//! by one, without each waiting for the one before. Credentials begin to die as soon as their loss is stored; what
//! RoleBindings gain and lose is followed once, at the end.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::{revocation::Enforce, store::Provisioned};

/// Stands in for what enforces, until all operations are done.
pub(in crate::scim) struct Gather {
    enforce: Arc<dyn Enforce>,
    writes: TaskTracker,
    begun: Mutex<Vec<JoinHandle<()>>>,
    rest: Mutex<Option<Provisioned>>,
}

impl Gather {
    pub(in crate::scim) fn new(enforce: Arc<dyn Enforce>, writes: TaskTracker) -> Self {
        Self { enforce, writes, begun: Mutex::default(), rest: Mutex::default() }
    }

    /// Enforces what is left, and waits for all of it.
    pub(in crate::scim) async fn finish(&self) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use serde_json::Map;
    use tokio::{sync::Semaphore, time::timeout};
    use uuid::Uuid;

    use super::*;
    use crate::{
        fake::run_and_grant,
        identity::{Resource, ResourceId, ResourceKind},
        store::Revocations,
    };

    /// Holds up revocations, and nothing else.
    struct Gated {
        began: Semaphore,
        gate: Semaphore,
        seen: Mutex<Vec<(usize, bool)>>,
    }

    #[async_trait]
    impl Enforce for Gated {
        async fn enforce(&self, provisioned: &Provisioned) {
            let grants = provisioned.revocations.grants.len();
            if grants > 0 {
                self.began.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            self.seen.lock().unwrap().push((grants, provisioned.changed));
        }
    }

    fn leaver(n: u128) -> Provisioned {
        let (id, at) = (ResourceId(Uuid::from_u128(n)), DateTime::UNIX_EPOCH);
        let resource = Resource {
            id,
            kind: ResourceKind::User,
            idp: "okta".into(),
            external_id: None,
            attributes: Map::new(),
            version: 2,
            created: at,
            last_modified: at,
        };
        let grants = vec![run_and_grant(&format!("run-{n}"), id, at).1];
        let revocations = Revocations { grants, ..Revocations::default() };
        Provisioned { resource, seq: 1, changed: true, changes: Vec::new(), revocations }
    }

    #[tokio::test]
    async fn revocations_begin_before_the_end_and_the_end_waits_for_all_of_them() {
        let gated = Arc::new(Gated { began: Semaphore::new(0), gate: Semaphore::new(0), seen: Mutex::default() });
        let gather = Gather::new(gated.clone(), TaskTracker::new());
        for n in [1, 2] {
            gather.enforce(&leaver(n)).await;
        }
        let both = timeout(Duration::from_secs(5), gated.began.acquire_many(2)).await;
        both.expect("both are under way while operations still come").unwrap().forget();
        let finish = gather.finish();
        tokio::pin!(finish);
        for _ in 0..2 {
            assert!(timeout(Duration::from_millis(200), &mut finish).await.is_err(), "not before they are gone");
            gated.gate.add_permits(1);
        }
        timeout(Duration::from_secs(5), finish).await.expect("nothing is left");
        // Each once, and once what follows from all.
        assert_eq!(*gated.seen.lock().unwrap(), [(0, true), (1, true), (1, true)]);
    }
}
