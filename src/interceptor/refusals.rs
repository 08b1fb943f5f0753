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

impl Refusals {
    /// Counts one; a row to write now, if the last one of this reason is a minute old.
    pub fn count(&self, reason: Reason, now: DateTime<Utc>) -> Option<Entry> {
        let mut counts = self.lock();
        let Some(count) = counts.get_mut(&reason) else {
            counts.insert(reason, Count { told: now, untold: 0 });
            return Some(row(reason, 1));
        };
        count.untold += 1;
        (now - count.told >= Duration::minutes(1)).then(|| count.tell(reason, now))
    }

    /// Rows for all that was counted and not told, once its minute is over.
    pub fn due(&self, now: DateTime<Utc>) -> Vec<Entry> {
        let mut counts = self.lock();
        counts
            .iter_mut()
            .filter(|(_, count)| count.untold > 0 && now - count.told >= Duration::minutes(1))
            .map(|(reason, count)| count.tell(*reason, now))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Reason, Count>> {
        // Counts are counts, whatever another thread died of.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn tell(&mut self, reason: Reason, now: DateTime<Utc>) -> Entry {
        self.told = now;
        row(reason, std::mem::take(&mut self.untold))
    }
}

fn row(reason: Reason, count: u64) -> Entry {
    Entry { detail: json!({ "reason": reason.as_str(), "count": count }), ..Entry::new(Kind::EventsRefused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_is_told_at_once_and_the_rest_once_a_minute_for_each_reason() {
        let at = |seconds| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let count = |entry: &Entry| entry.detail["count"].as_u64().unwrap();
        let refusals = Refusals::default();
        assert_eq!(refusals.count(Reason::WrongSignature, at(0)).as_ref().map(count), Some(1));
        for second in 1..50 {
            assert_eq!(refusals.count(Reason::WrongSignature, at(second)), None);
        }
        assert_eq!(refusals.count(Reason::NoSignature, at(50)).unwrap().detail["reason"], "NoSignature");
        assert!(refusals.due(at(59)).is_empty());
        let due = refusals.due(at(60));
        assert_eq!(due.iter().map(count).collect::<Vec<_>>(), [49]);
        assert!(refusals.due(at(600)).is_empty());
        assert_eq!(refusals.count(Reason::WrongSignature, at(130)).as_ref().map(count), Some(1));
    }
}
