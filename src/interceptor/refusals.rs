//! What is refused before its signature holds: counted, and one audit row a minute for each reason, so that nobody who
//! reaches the port fills the disk.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::Reason;
use crate::audit::{Entry, Kind};

/// Counts by reason.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<Reason, Count>>);

#[derive(Debug)]
struct Count {
    /// When the last row was written.
    told: DateTime<Utc>,
    /// How many came since.
    untold: u64,
}

/// So many of one reason, to be written as one row.
pub(super) type Tally = (Reason, u64);

impl Refusals {
    /// Counts one; a tally to write now, if the last one of this reason is a minute old.
    pub(super) fn count(&self, reason: Reason, now: DateTime<Utc>) -> Option<Tally> {
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(&reason) else {
            counts.insert(reason, Count { told: now, untold: 0 });
            return Some((reason, 1));
        };
        count.untold += 1;
        count.is_due(now).then(|| (reason, count.tell(now)))
    }

    /// Tallies of all that was counted and not told, once its minute is over.
    pub(super) fn due(&self, now: DateTime<Utc>) -> Vec<Tally> {
        let mut counts = self.lock();
        let due = counts.iter_mut().filter(|(_, count)| count.is_due(now));
        due.map(|(reason, count)| (*reason, count.tell(now))).collect()
    }

    /// Takes back what could not be written: it is due again in a minute.
    pub(super) fn put_back(&self, tallies: &[Tally]) {
        let mut counts = self.lock();
        for (reason, number) in tallies {
            if let Some(count) = counts.get_mut(reason) {
                count.untold += number;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Reason, Count>> {
        // Counts are counts, whatever another thread died of.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.untold > 0 && now - self.told >= Duration::minutes(1)
    }

    fn tell(&mut self, now: DateTime<Utc>) -> u64 {
        self.told = now;
        std::mem::take(&mut self.untold)
    }
}

/// The audit row of a tally.
pub(super) fn row((reason, count): &Tally) -> Entry {
    Entry { detail: json!({ "reason": reason.as_str(), "count": count }), ..Entry::new(Kind::EventsRefused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_is_told_at_once_and_the_rest_once_a_minute_for_each_reason() {
        let at = |seconds| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let refusals = Refusals::default();
        assert_eq!(refusals.count(Reason::WrongSignature, at(0)), Some((Reason::WrongSignature, 1)));
        for second in 1..50 {
            assert_eq!(refusals.count(Reason::WrongSignature, at(second)), None);
        }
        assert_eq!(refusals.count(Reason::NoSignature, at(50)), Some((Reason::NoSignature, 1)));
        assert!(refusals.due(at(59)).is_empty());
        let due = refusals.due(at(60));
        assert_eq!(due, [(Reason::WrongSignature, 49)]);
        assert!(refusals.due(at(600)).is_empty());
        refusals.put_back(&due);
        assert_eq!(refusals.count(Reason::WrongSignature, at(130)), Some((Reason::WrongSignature, 50)));
    }

    #[test]
    fn a_row_tells_the_reason_and_how_many() {
        assert_eq!(row(&(Reason::NoSignature, 3)).detail, json!({ "reason": "NoSignature", "count": 3 }));
    }
}
