//! Time comes in as a parameter, so that tests own it.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};

/// What time it is.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The machine's clock: the only place that reads it.
pub fn system() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = Utc::now();
        #[cfg(feature = "failpoints")]
        let now = now + ahead::get();
        now
    })
}

/// A clock that a test may put ahead, so that what is due in ten minutes need not be waited for.
#[cfg(feature = "failpoints")]
pub mod ahead {
    use std::sync::atomic::{AtomicI64, Ordering};

    static SECONDS: AtomicI64 = AtomicI64::new(0);

    /// By how much it is ahead.
    pub fn get() -> chrono::Duration {
        chrono::Duration::seconds(SECONDS.load(Ordering::Relaxed))
    }

    /// Puts it ahead.
    pub fn set(seconds: i64) {
        SECONDS.store(seconds, Ordering::Relaxed);
    }
}

/// RFC 3339 with microseconds and `Z`, as receipts and the audit log write it.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
