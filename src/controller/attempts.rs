//! A CustomRun's attempts, by Tekton's contract (docs/customruns.md): each has the whole `timeout`, and `Succeeded` is
//! not False before all `retries` are used up. Pure.

use chrono::{DateTime, Duration, Utc};
use kube::Resource as _;

use crate::{api::tekton::CustomRun, cluster::time};

/// What Tekton takes where no timeout stands.
const DEFAULT_TIMEOUT: Duration = Duration::hours(1);
/// Between two attempts: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::seconds(1);
const LAST_PAUSE: Duration = Duration::seconds(30);

/// The attempt that a CustomRun is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it begins: a later one waits a little.
    pub start: DateTime<Utc>,
    /// When it is over, if ever.
    pub end: Option<DateTime<Utc>>,
    failed: usize,
    retries: usize,
}

impl Attempt {
    /// From what stands in the CustomRun.
    pub fn of(custom: &CustomRun) -> Self {
        let status = custom.status.as_ref();
        let created = || custom.meta().creation_timestamp.as_ref().map(time::from_kubernetes).unwrap_or_default();
        let start =
            status.and_then(|status| status.start_time.as_deref()).and_then(time::parse).unwrap_or_else(created);
        let timeout = custom.spec.timeout.as_deref().and_then(go_duration).unwrap_or(DEFAULT_TIMEOUT);
        Self {
            start,
            end: if timeout.is_zero() { None } else { start.checked_add_signed(timeout) },
            failed: status.map_or(0, |status| status.retries_status.len()),
            retries: usize::try_from(custom.spec.retries).unwrap_or(0),
        }
    }

    /// Whether one came before it.
    pub fn is_later(&self) -> bool {
        self.failed > 0
    }

    /// Whether none follows it.
    pub fn is_last(&self) -> bool {
        self.failed >= self.retries
    }

    /// Whether the CustomRun may have more than one.
    pub fn is_one_of_several(&self) -> bool {
        self.retries > 0
    }

    /// When the next one begins, if this one fails now.
    pub fn next_start(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let factor = i32::try_from(self.failed.min(10)).map_or(1, |failed| 2_i32.pow(failed.unsigned_abs()));
        now + (FIRST_PAUSE * factor).min(LAST_PAUSE)
    }
}

/// A duration as Go writes it: `1h0m0s`, `1.5s`, `300ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::zero());
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at_checked(unit_at)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += digits.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    (!text.is_empty())
        .then(|| std::time::Duration::try_from_secs_f64(seconds).ok())?
        .and_then(|d| Duration::from_std(d).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn custom(spec: &serde_json::Value, status: &serde_json::Value) -> CustomRun {
        serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1beta1", "kind": "CustomRun",
            "metadata": {"name": "run-credential", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn at(second: u32) -> DateTime<Utc> {
        time::parse(&format!("2026-01-01T00:00:{second:02}Z")).unwrap()
    }

    #[test]
    fn an_attempt_begins_with_the_custom_run_and_ends_with_its_timeout() {
        let first = Attempt::of(&custom(&json!({"timeout": "5s", "retries": 1}), &json!({})));
        assert_eq!((first.start, first.end), (at(0), Some(at(5))));
        assert!(!first.is_last());
        assert_eq!(Attempt::of(&custom(&json!({"timeout": "0s"}), &json!({}))).end, None);
        assert_eq!(Attempt::of(&custom(&json!({}), &json!({}))).end, Some(at(0) + DEFAULT_TIMEOUT));
    }

    #[test]
    fn each_attempt_has_the_whole_timeout_and_the_last_one_is_known() {
        let status = json!({"startTime": "2026-01-01T00:00:30Z", "retriesStatus": [{"conditions": []}]});
        let second = Attempt::of(&custom(&json!({"timeout": "5s", "retries": 1}), &status));
        assert_eq!((second.start, second.end), (at(30), Some(at(35))));
        assert!(second.is_last());
        assert!(Attempt::of(&custom(&json!({"retries": -1}), &json!({}))).is_last());
    }

    #[test]
    fn the_pause_between_attempts_grows_and_is_bounded() {
        let pause = |failed| {
            let attempt = Attempt { start: at(0), end: None, failed, retries: 100 };
            (attempt.next_start(at(0)) - at(0)).num_seconds()
        };
        assert_eq!([0, 1, 2, 5, 99].map(pause), [1, 2, 4, 30, 30]);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in
            [("1h0m0s", 3_600_000), ("1.5s", 1_500), ("300ms", 300), ("1m30s", 90_000), ("0s", 0), ("0", 0)]
        {
            assert_eq!(go_duration(text).map(|found| found.num_milliseconds()), Some(milliseconds), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1d", "1h-5m"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
