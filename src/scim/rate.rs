//! How many requests an identity provider may send: a bucket that runs empty at a steady rate (GCRA). One that sends
//! without pause, by a fault or with a stolen token, takes nothing from the others. A Bulk is one request that does the
//! work of many, and outlives its connection: of those, one at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one IdP may take of us.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) rate: Rate,
    bulk: Arc<Semaphore>,
}

/// The right to run a Bulk, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "held, not used")] OwnedSemaphorePermit);

impl Default for Allowance {
    fn default() -> Self {
        Self { rate: Rate::default(), bulk: Arc::new(Semaphore::new(1)) }
    }
}

impl Allowance {
    /// The right to run a Bulk; `None` while another one runs.
    pub(super) fn bulk(&self) -> Option<Turn> {
        Arc::clone(&self.bulk).try_acquire_owned().ok().map(Turn)
    }
}

/// One IdP's bucket. It holds a second's worth of requests, so that a burst is let through.
#[derive(Debug)]
pub(super) struct Rate {
    began: Instant,
    /// When the bucket is empty again, in nanoseconds after `began`: on a clock that nobody sets.
    empty_at: AtomicU64,
}

const BURST: u64 = 1_000_000_000;

impl Default for Rate {
    fn default() -> Self {
        Self { began: Instant::now(), empty_at: AtomicU64::new(0) }
    }
}

impl Rate {
    /// Takes one request in; `Err` tells after which time the next one will be. `per_second` 0 lets everything through.
    pub(super) fn take(&self, per_second: u32) -> Result<(), Duration> {
        self.take_at(per_second, self.began.elapsed())
    }

    fn take_at(&self, per_second: u32, now: Duration) -> Result<(), Duration> {
        let Some(each) = BURST.checked_div(per_second.into()) else { return Ok(()) };
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let fill = |empty_at: u64| {
            let next = empty_at.max(now).saturating_add(each);
            (next - now <= BURST).then_some(next)
        };
        self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill).map(drop).map_err(|empty_at| {
            let next = empty_at.max(now).saturating_add(each);
            Duration::from_nanos(next.saturating_sub(now).saturating_sub(BURST))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_through_at_once_and_then_so_many_a_second() {
        let (rate, now) = (Rate::default(), Duration::from_secs(7));
        let taken = (0..100).filter(|_| rate.take_at(10, now).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(rate.take_at(10, now), Err(Duration::from_millis(100)));
        // One each 100 ms from here on, whoever asks more often.
        let taken = (1..=1_000).filter(|ms| rate.take_at(10, now + Duration::from_millis(*ms)).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn what_was_refused_does_not_count_and_a_pause_fills_no_more_than_a_second() {
        let rate = Rate::default();
        (0..10).for_each(|_| rate.take_at(10, Duration::ZERO).unwrap());
        assert!((0..1_000).all(|_| rate.take_at(10, Duration::ZERO).is_err()));
        let later = Duration::from_hours(1);
        assert_eq!((0..100).filter(|_| rate.take_at(10, later).is_ok()).count(), 10);
    }

    #[test]
    fn zero_is_no_limit() {
        let rate = Rate::default();
        assert!((0..10_000).all(|_| rate.take_at(0, Duration::ZERO).is_ok()));
    }
}
