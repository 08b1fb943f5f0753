//! The check that our admission policies hold. A ticket, and what a child says of its run, are worth what the API server
//! refuses to others: while it can't be shown that it does, nothing is redeemed, issued or renewed. What is there already
//! is still taken back.
//!
//! Shown by what they do, at every API server: what should be refused is tried, as a dry run.

mod policies;
mod probe;
mod verdict;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tracing::{info, warn};

pub use policies::{POLICIES, fault};
use verdict::{Look, Verdict};

use super::Context;
use crate::{clock::Clock, telemetry::metric};

/// How often we look: four times in the minute for which a good look counts.
const PAUSE: Duration = Duration::from_secs(15);
/// How often while they don't hold: runs wait.
const PAUSE_WHILE_OPEN: Duration = Duration::from_secs(3);
/// An API server that hangs must not hold up the others' answers.
const LOOK_TIME: Duration = Duration::from_secs(10);

/// Knows whether our admission policies hold.
pub struct Guard {
    verdict: Mutex<Verdict>,
    clock: Clock,
}

impl Guard {
    /// One that has not looked yet, and lets nothing through.
    pub fn new(clock: Clock) -> Self {
        Self { verdict: Mutex::default(), clock }
    }

    /// One that has looked a moment ago, whenever that is.
    #[cfg(test)]
    pub fn that_holds() -> Arc<Self> {
        let guard = Self::new(Arc::new(chrono::DateTime::<chrono::Utc>::default));
        guard.note(Look::Holds);
        Arc::new(guard)
    }

    /// Whether they hold as far as we know now; if not, why, and what to do.
    pub fn check(&self) -> Result<(), String> {
        let now = (self.clock)();
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).holds(now)
    }

    fn note(&self, look: Look) {
        let before = self.check();
        let now = (self.clock)();
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).follow(look, now);
        let after = self.check();
        metrics::gauge!(metric::ADMISSION_POLICIES_HOLD).set(if after.is_ok() { 1.0 } else { 0.0 });
        match (before, after) {
            (Err(_), Ok(())) => info!("the admission policies hold"),
            (before, Err(why)) if before.as_ref() != Err(&why) => warn!(why, "nothing is redeemed, issued or renewed"),
            _ => {}
        }
    }
}

/// Looks, for ever.
pub(super) async fn keep(context: Arc<Context>) {
    let guard = &context.admission;
    loop {
        let look = tokio::time::timeout(LOOK_TIME, look(&context)).await;
        guard.note(look.unwrap_or_else(|_| Look::Unclear("no API server answers in time".into())));
        tokio::time::sleep(if guard.check().is_ok() { PAUSE } else { PAUSE_WHILE_OPEN }).await;
    }
}

async fn look(context: &Context) -> Look {
    let servers = context.cluster.servers();
    let (there, works) =
        tokio::join!(policies::look(&context.cluster.direct), probe::look(&servers, &context.grants_namespace));
    there.and(works)
}
