//! From looks to a verdict: pure.

use chrono::{DateTime, Duration, Utc};

/// How long a good look counts. That we can't look is no proof that they hold.
const COUNTS: Duration = Duration::seconds(60);

/// What one look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What is to be refused was refused.
    Holds,
    /// They don't hold, and why.
    Open(String),
    /// It could not be told, and why.
    Unclear(String),
}

impl Look {
    /// What holds only if both hold.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open(one), Self::Open(other)) if one != other => Self::Open(format!("{one}; {other}")),
            (open @ Self::Open(_), _) | (_, open @ Self::Open(_)) => open,
            (unclear @ Self::Unclear(_), _) | (_, unclear @ Self::Unclear(_)) => unclear,
            (Self::Holds, Self::Holds) => Self::Holds,
        }
    }

    /// The same question to several API servers: who admits decides, and who doesn't answer admits nothing.
    pub(super) fn or_silent(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unclear(_), other @ Self::Holds) => other,
            (this @ Self::Holds, Self::Unclear(_)) => this,
            (this, other) => this.and(other),
        }
    }
}

/// What we know from all looks so far.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// When they were last seen to hold, unless they were seen not to since.
    held_at: Option<DateTime<Utc>>,
    /// What the last look missed.
    why: Option<String>,
}

impl Verdict {
    pub(super) fn follow(&mut self, look: Look, now: DateTime<Utc>) {
        match look {
            Look::Holds => *self = Self { held_at: Some(now), why: None },
            Look::Open(why) => *self = Self { held_at: None, why: Some(why) },
            Look::Unclear(why) => {
                // What was seen open stays open, and keeps its reason, until it is seen to hold.
                if self.held_at.is_some() || self.why.is_none() {
                    self.why = Some(format!("it can't be told whether they hold: {why}"));
                }
            }
        }
    }

    pub(super) fn holds(&self, now: DateTime<Utc>) -> Result<(), String> {
        // A clock that was set back makes a good look no younger.
        let counts = self.held_at.is_some_and(|at| (Duration::zero()..=COUNTS).contains(&(now - at)));
        if counts {
            return Ok(());
        }
        let why = self.why.as_deref().unwrap_or("not checked yet");
        Err(format!(
            "scim-tekton waits for its admission policies ({why}); the cluster's admin: kubectl apply -f config/, and \
             `scim-tekton doctor`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::controller::admission::Guard;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn after(looks: &[(i64, Look)]) -> Verdict {
        let mut verdict = Verdict::default();
        for (second, look) in looks {
            verdict.follow(look.clone(), at(*second));
        }
        verdict
    }

    fn open() -> Look {
        Look::Open("x does not exist".into())
    }

    fn unclear() -> Look {
        Look::Unclear("no answer".into())
    }

    #[test]
    fn before_the_first_good_look_nothing_holds() {
        assert!(after(&[]).holds(at(0)).unwrap_err().contains("not checked yet"));
        let why = after(&[(0, unclear())]).holds(at(0)).unwrap_err();
        assert!(why.contains("can't be told") && why.contains("no answer"), "{why}");
        assert_eq!(after(&[(0, unclear()), (1, Look::Holds)]).holds(at(1)), Ok(()));
    }

    #[test]
    fn a_good_look_counts_for_a_minute_when_no_other_can_be_had() {
        let verdict = after(&[(0, Look::Holds), (15, unclear()), (30, unclear())]);
        assert_eq!(verdict.holds(at(60)), Ok(()));
        assert!(verdict.holds(at(61)).unwrap_err().contains("no answer"));
        assert!(after(&[(0, Look::Holds)]).holds(at(-1)).is_err(), "the clock was set back");
    }

    #[test]
    fn what_is_seen_open_is_open_at_once_and_until_it_is_seen_to_hold() {
        let why = after(&[(0, Look::Holds), (1, open())]).holds(at(1)).unwrap_err();
        assert!(why.contains("x does not exist") && why.contains("kubectl apply"), "{why}");
        let why = after(&[(0, Look::Holds), (1, open()), (2, unclear())]).holds(at(2)).unwrap_err();
        assert!(why.contains("x does not exist"), "{why}");
        assert_eq!(after(&[(0, open()), (1, Look::Holds)]).holds(at(1)), Ok(()));
    }

    #[test]
    fn one_api_server_that_admits_outweighs_another_that_refuses_and_a_silent_one_weighs_nothing() {
        assert_eq!(Look::Holds.or_silent(open()), open());
        assert_eq!(open().or_silent(Look::Holds), open());
        assert_eq!(unclear().or_silent(Look::Holds), Look::Holds);
        assert_eq!(Look::Holds.or_silent(unclear()), Look::Holds);
        assert_eq!(unclear().or_silent(open()), open());
        assert_eq!(unclear().or_silent(unclear()), unclear());
        assert_eq!(Look::Holds.and(unclear()), unclear());
        assert_eq!(unclear().and(open()), open());
    }

    #[test]
    fn the_guard_goes_by_its_clock() {
        let now = Arc::new(Mutex::new(at(0)));
        let clock = Arc::clone(&now);
        let guard = Guard::new(Arc::new(move || *clock.lock().unwrap()));
        assert!(guard.check().is_err());
        guard.note(Look::Holds);
        assert_eq!(guard.check(), Ok(()));
        *now.lock().unwrap() = at(61);
        assert!(guard.check().is_err());
    }
}
