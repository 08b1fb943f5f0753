//! Durations, and what they come to.

use std::time::Duration;

/// What was measured in one round, in milliseconds and in order.
#[derive(Clone, Debug)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Of at least one measurement.
    pub fn of(measured: impl IntoIterator<Item = Duration>) -> Self {
        let mut all: Vec<f64> = measured.into_iter().map(|took| took.as_secs_f64() * 1e3).collect();
        assert!(!all.is_empty(), "a round without a measurement");
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The smallest that this share of all does not exceed (nearest rank).
    pub fn quantile(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let count = self.0.len() as f64;
        self.0.iter().sum::<f64>() / count
    }
}

/// Several rounds of the same.
pub struct Rounds(pub Vec<Sample>);

impl Rounds {
    /// The median of what the rounds come to.
    pub fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.0.iter().map(of))
    }

    /// The largest of all.
    pub fn max(&self) -> f64 {
        self.0.iter().map(|sample| sample.quantile(1.0)).fold(0.0, f64::max)
    }

    /// p50, p99 and max, for a progress line.
    pub fn words(&self) -> String {
        let (p50, p99) = (self.median(|s| s.quantile(0.5)), self.median(|s| s.quantile(0.99)));
        format!("p50 {p50:.1}, p99 {p99:.1}, max {:.1} ms", self.max())
    }
}

/// The middle one; of an even number, the upper.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
