//! Clocks: tickets, tokens and leases are judged by time, here and at the API servers.

use chrono::{DateTime, Duration, Utc};

use super::super::wire::Finding;

/// HTTP's `Date` knows whole seconds, and an answer takes its time.
const ODD: Duration = Duration::seconds(5);
/// A token or a ticket would die before it was used, or long after it should.
const WRONG: Duration = Duration::seconds(60);

const MEND: &str = "let both machines follow the same time servers (chronyc tracking, timedatectl)";

/// An API server's address, and how far its clock is ahead of ours; or why that can't be told.
pub type Skew = (String, Result<Duration, String>);

pub(super) fn servers(skews: &[Skew]) -> Vec<Finding> {
    skews.iter().map(|(address, skew)| server(address, skew)).collect()
}

fn server(address: &str, skew: &Result<Duration, String>) -> Finding {
    let check = format!("clock of API server {address}");
    let ahead = match skew {
        Ok(ahead) => *ahead,
        Err(why) => {
            let mend = "is it up, and may our pod reach it? while it does not answer, no revocation is proven there";
            return Finding::warn(check, format!("can't be read: {why}"), mend);
        }
    };
    let side = if ahead < Duration::zero() { "behind" } else { "ahead of" };
    let found = format!("{} s {side} ours", ahead.abs().num_seconds());
    match ahead.abs() {
        far if far > WRONG => Finding::fail(check, found, MEND),
        far if far > ODD => Finding::warn(check, found, MEND),
        _ => Finding::ok(check, "agrees with ours"),
    }
}

/// Our own clock, by the last row of the audit log: it never goes back.
pub(super) fn own(last_row: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Finding {
    const CHECK: &str = "clock";
    match last_row.map(|at| at - now) {
        Some(ahead) if ahead > ODD => {
            let found = format!("the last row of the audit log is {} s in the future", ahead.num_seconds());
            Finding::warn(CHECK, found, "this machine's clock went back, or was wrong before: look at its time servers")
        }
        _ => Finding::ok(CHECK, "not behind the audit log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::control::wire::Verdict;

    #[test]
    fn a_clock_that_is_seconds_off_is_a_warning_and_a_minute_fails() {
        let of = |seconds| server("10.0.0.1:6443", &Ok(Duration::seconds(seconds)));
        for (seconds, verdict) in [
            (0, Verdict::Ok),
            (-5, Verdict::Ok),
            (6, Verdict::Warn),
            (-6, Verdict::Warn),
            (60, Verdict::Warn),
            (61, Verdict::Fail),
            (-61, Verdict::Fail),
        ] {
            assert_eq!(of(seconds).verdict, verdict, "{seconds}");
        }
        assert_eq!(of(-7).found, "7 s behind ours");
        assert_eq!(of(90).found, "90 s ahead of ours");
        assert_eq!(server("10.0.0.1:6443", &Err("refused".into())).verdict, Verdict::Warn);
    }

    #[test]
    fn an_audit_row_of_the_future_says_that_our_clock_went_back() {
        let now = DateTime::UNIX_EPOCH + Duration::days(1);
        assert_eq!(own(None, now).verdict, Verdict::Ok);
        assert_eq!(own(Some(now), now).verdict, Verdict::Ok);
        let found = own(Some(now + Duration::minutes(2)), now);
        assert!(found.verdict == Verdict::Warn && found.found.contains("120 s in the future"), "{found:?}");
    }
}
