//! Which Grants are due for a fresh credential, and which must wait after a failure. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Duration, Utc};

use crate::store::{GrantId, GrantRecord};

/// A fresh credential is there this long before the old one ends: a volume follows its Secret after 60–90 s (FACTS 14).
const MARGIN: Duration = Duration::minutes(2);
/// After a failure: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::seconds(2);
const LAST_PAUSE: Duration = Duration::minutes(1);

/// What this process knows of renewals beyond the rows.
#[derive(Debug, Default)]
pub struct Renewals {
    /// Renewed, and not known to be in the Secret. At the start these are all that were ever renewed: the last process
    /// may have died between the row and the Secret, which we can't read.
    owed: Option<HashSet<GrantId>>,
    failed: HashMap<GrantId, Failed>,
    under_way: HashSet<GrantId>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    next: DateTime<Utc>,
}

impl Renewals {
    /// Whether any is owed, however long its credential lives: then all Active Grants must be looked at.
    pub fn any_owed(&self) -> bool {
        self.owed.as_ref().is_none_or(|owed| !owed.is_empty())
    }

    /// Those of the Active Grants that are due, which are under way from now on.
    pub fn due(&mut self, active: Vec<GrantRecord>, now: DateTime<Utc>) -> Vec<GrantRecord> {
        let there: HashSet<_> = active.iter().map(|grant| grant.id).collect();
        self.failed.retain(|id, _| there.contains(id));
        let renewed = || active.iter().filter(|grant| grant.renewals > 0).map(|grant| grant.id).collect();
        let owed = self.owed.get_or_insert_with(renewed);
        owed.retain(|id| there.contains(id));
        let mut chosen = Vec::new();
        for grant in active {
            let waits = self.failed.get(&grant.id).is_some_and(|failed| now < failed.next);
            let is_due = owed.contains(&grant.id) || due(&grant).is_some_and(|due| due <= now);
            if is_due && !waits && self.under_way.insert(grant.id) {
                chosen.push(grant);
            }
        }
        chosen
    }

    /// It has its fresh credential, or will never have one.
    pub fn done(&mut self, id: GrantId) {
        self.under_way.remove(&id);
        self.failed.remove(&id);
        if let Some(owed) = &mut self.owed {
            owed.remove(&id);
        }
    }

    /// Somebody else is at it: it is looked at again.
    pub fn busy(&mut self, id: GrantId) {
        self.under_way.remove(&id);
    }

    /// It failed. Returns whether for the first time since it last went well.
    pub fn failed(&mut self, id: GrantId, owed: bool, now: DateTime<Utc>) -> bool {
        self.under_way.remove(&id);
        if let (true, Some(all)) = (owed, &mut self.owed) {
            all.insert(id);
        }
        let failed = self.failed.entry(id).or_insert(Failed { times: 0, next: now });
        failed.next = now + (FIRST_PAUSE * 2_i32.pow(failed.times.min(10))).min(LAST_PAUSE);
        failed.times += 1;
        failed.times == 1
    }
}

/// How long a Grant's credentials live.
pub fn ttl(grant: &GrantRecord) -> Duration {
    let seconds = grant.facts.get("ttlSeconds").and_then(serde_json::Value::as_i64);
    seconds.map_or(Duration::minutes(15), Duration::seconds)
}

/// Two thirds into its life, and `MARGIN` before its end, but not before half of it. A Grant that ends with this
/// credential is not renewed.
fn due(grant: &GrantRecord) -> Option<DateTime<Utc>> {
    let (end, ttl) = (grant.expires_at?, ttl(grant));
    (end < grant.not_after).then(|| end - (ttl / 3).max(MARGIN.min(ttl / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fake::run_and_grant, identity::ResourceId};

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// Lives for this long from the start.
    fn grant(seconds: i64) -> GrantRecord {
        let (_, grant) = run_and_grant("run", ResourceId(uuid::Uuid::nil()), start());
        let expires_at = Some(start() + Duration::seconds(seconds));
        GrantRecord { facts: serde_json::json!({"ttlSeconds": seconds}), expires_at, ..grant }
    }

    fn at(second: i64) -> DateTime<Utc> {
        start() + Duration::seconds(second)
    }

    #[test]
    fn it_is_due_at_two_thirds_and_two_minutes_before_the_end_and_never_in_the_first_half() {
        for (ttl, expected) in [(900, 600), (600, 400), (360, 240), (300, 180), (240, 120), (60, 30)] {
            assert_eq!(due(&grant(ttl)), Some(at(expected)), "{ttl}");
        }
    }

    #[test]
    fn what_ends_with_its_grant_is_not_renewed() {
        let last = GrantRecord { not_after: at(900), ..grant(900) };
        assert_eq!(due(&last), None);
    }

    #[test]
    fn what_is_due_is_begun_once_and_again_when_it_is_due_again() {
        let mut renewals = Renewals::default();
        let grant = grant(900);
        assert!(renewals.due(vec![grant.clone()], at(599)).is_empty());
        assert_eq!(renewals.due(vec![grant.clone()], at(600)).len(), 1);
        assert!(renewals.due(vec![grant.clone()], at(602)).is_empty(), "it is under way");
        renewals.done(grant.id);
        let renewed = GrantRecord { expires_at: Some(at(1_500)), renewals: 1, ..grant };
        assert!(renewals.due(vec![renewed.clone()], at(604)).is_empty());
        assert_eq!(renewals.due(vec![renewed], at(1_200)).len(), 1);
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again_ever_later() {
        let mut renewals = Renewals::default();
        let grant = grant(900);
        let (mut second, mut tries) = (600, Vec::new());
        while tries.len() < 8 {
            if !renewals.due(vec![grant.clone()], at(second)).is_empty() {
                assert_eq!(renewals.failed(grant.id, false, at(second)), tries.is_empty());
                tries.push(second - 600);
            }
            second += 1;
        }
        assert_eq!(tries, [0, 2, 6, 14, 30, 62, 122, 182]);
        renewals.done(grant.id);
        assert!(renewals.failed(grant.id, false, at(second)), "after a success it is told again");
    }

    #[test]
    fn what_was_renewed_and_not_handed_out_is_owed() {
        let renewed = GrantRecord { renewals: 1, ..grant(900) };
        let mut renewals = Renewals::default();
        assert!(renewals.any_owed());
        // The process before this one may have died before it wrote the Secret.
        assert_eq!(renewals.due(vec![renewed.clone(), grant(900)], at(1)).len(), 1);
        renewals.failed(renewed.id, true, at(1));
        assert_eq!(renewals.due(vec![renewed.clone()], at(3)).len(), 1);
        renewals.done(renewed.id);
        assert!(!renewals.any_owed());
        assert!(renewals.due(vec![renewed], at(4)).is_empty());
    }
}
