//! What is being done to which Grant in this process, so that a revocation waits for an issue that is under way, and
//! nobody revokes the same Grant twice at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use crate::store::GrantId;

type Map = Arc<Mutex<HashMap<GrantId, watch::Receiver<()>>>>;

/// Work under way, by Grant.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    map: Map,
}

/// Work under way; dropping it ends it and wakes who waits.
#[derive(Debug)]
pub struct Working {
    grant: GrantId,
    map: Map,
    _wake: watch::Sender<()>,
}

impl InFlight {
    /// Begins work on a Grant, unless somebody works on it already.
    pub fn begin(&self, grant: GrantId) -> Option<Working> {
        let mut map = self.map.lock().ok()?;
        if map.contains_key(&grant) {
            return None;
        }
        let (wake, waiting) = watch::channel(());
        map.insert(grant, waiting);
        Some(Working { grant, map: Arc::clone(&self.map), _wake: wake })
    }

    /// Whether somebody works on this Grant now.
    pub fn is_busy(&self, grant: GrantId) -> bool {
        self.map.lock().is_ok_and(|map| map.contains_key(&grant))
    }

    /// Returns when nobody works on this Grant (any more).
    pub async fn ended(&self, grant: GrantId) {
        let waiting = self.map.lock().ok().and_then(|map| map.get(&grant).cloned());
        if let Some(mut waiting) = waiting {
            // Nothing is ever sent: this ends when the sender is dropped.
            while waiting.changed().await.is_ok() {}
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Ok(mut map) = self.map.lock() {
            map.remove(&self.grant);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_work_and_work_is_not_begun_twice() {
        let (in_flight, grant) = (InFlight::default(), GrantId(Uuid::new_v4()));
        in_flight.ended(grant).await;
        let work = in_flight.begin(grant).unwrap();
        assert!(in_flight.begin(grant).is_none());
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.ended(grant).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(work);
        waiting.await.unwrap();
        assert!(in_flight.begin(grant).is_some());
    }
}
