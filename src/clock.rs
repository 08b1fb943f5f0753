//! Time comes in as a parameter, so that tests own it.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

/// What time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The machine's clock: the only place that reads it.
pub fn system() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        Utc::now()
    })
}

/// RFC 3339 with microseconds and `Z`, as receipts and the audit log write it.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
