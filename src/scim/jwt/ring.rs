//! An issuer's keys as they are known, and when they are asked for.
//!
//! One task fetches, whoever asks: so a flood of tokens with names of keys that don't exist is one fetch each half
//! minute. Between two fetches an unknown key can be neither believed nor denied, since issuers rotate: whoever sends
//! such a token is told to come back, and by then it has been asked. What is known stays known while the issuer is down.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::compact::Compact;
use crate::keys::{Unverified, WebKeys};

/// From the end of one fetch to the beginning of the next, at least.
const REST: Duration = Duration::from_secs(30);
/// After a rest: a key that its issuer withdraws is believed no longer than a deactivation may take (IPSIE: 5 minutes).
const REFRESH: Duration = Duration::from_mins(4);
/// How long a request waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an issuer's keys come from.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Asks once.
    async fn keys(&self) -> Result<WebKeys, NoKeys>;
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoKeys(pub String);

/// An issuer's keys.
#[derive(Debug)]
pub struct KeyRing {
    held: ArcSwap<Held>,
    ask: Notify,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Default)]
struct Held {
    keys: WebKeys,
    /// Rises when the keys change.
    generation: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing under way: who asks is answered by the next fetch.
    Ready,
    Fetching,
    /// Nothing is fetched until then; whether the last one went well.
    Resting(Instant, bool),
}

impl Default for KeyRing {
    fn default() -> Self {
        Self { held: ArcSwap::default(), ask: Notify::new(), phase: watch::Sender::new(Phase::Ready) }
    }
}

impl KeyRing {
    /// Fetches for ever: at once, every few minutes, and when somebody asks.
    pub async fn tend(&self, idp: &str, source: &dyn KeySource) {
        loop {
            self.phase.send_replace(Phase::Fetching);
            let fetched = source.keys().await;
            let well = fetched.is_ok();
            match fetched {
                Ok(keys) => self.take(keys),
                Err(error) => tracing::warn!(idp, %error, "can't fetch the issuer's keys; those known stay"),
            }
            // Whoever asked until now waits for these.
            let _ = self.ask.notified().now_or_never();
            let until = Instant::now() + REST;
            self.phase.send_replace(Phase::Resting(until, well));
            sleep_until(until).await;
            self.phase.send_replace(Phase::Ready);
            if well {
                tokio::select! {
                    () = self.ask.notified() => {}
                    () = sleep(REFRESH) => {}
                }
            }
        }
    }

    /// Which keys these are: the same number, the same keys.
    pub(super) fn generation(&self) -> u64 {
        self.held.load().generation
    }

    /// Whether one of the keys signed this; gives their generation.
    pub(super) fn verify(&self, token: &Compact<'_>) -> Result<u64, Unverified> {
        let held = self.held.load();
        held.keys.verify(&token.alg, &token.kid, token.message.as_bytes(), &token.signature).map(|()| held.generation)
    }

    /// Waits for the next keys. `Err`: they can't be had before that time is over.
    pub(super) async fn fresh(&self) -> Result<(), Duration> {
        let mut phase = self.phase.subscribe();
        let before = *phase.borrow_and_update();
        self.ask.notify_one();
        if let Phase::Resting(until, _) = before {
            return Err(until.saturating_duration_since(Instant::now()));
        }
        let rests = timeout(PATIENCE, phase.wait_for(|phase| matches!(phase, Phase::Resting(..)))).await;
        match rests.map(|phase| phase.map(|phase| *phase)) {
            Ok(Ok(Phase::Resting(_, true))) => Ok(()),
            _ => Err(REST),
        }
    }

    fn take(&self, keys: WebKeys) {
        let held = self.held.load();
        if held.keys != keys {
            self.held.store(Arc::new(Held { keys, generation: held.generation + 1 }));
        }
    }
}
