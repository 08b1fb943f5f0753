//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use super::Outcome;

/// Looks until `look` finds something, or says after `limit` what it waited for.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Outcome<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Outcome<Option<T>>>,
{
    let start = Instant::now();
    let mut last = String::new();
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => last = format!(" (last: {error})"),
        }
        if start.elapsed() > limit {
            return Err(format!("waited {} s in vain: {what}{last}", limit.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How long anything of a pod may take on a busy machine.
pub const POD_TIME: Duration = Duration::from_mins(2);
/// How long anything of ours may take on a busy machine.
pub const OUR_TIME: Duration = Duration::from_secs(30);
