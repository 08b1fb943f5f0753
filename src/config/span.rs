//! A length of time as people write it: `90s`, `5m`, `2h`, `30d`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time: a whole number and one of `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Span(Duration);

/// A text that is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a length of time such as 90s, 5m, 2h or 30d, found {0:?}")]
pub struct NoSpan(String);

/// A century: longer is a slip of the finger, and would overflow dates.
const LONGEST: u64 = 100 * 365 * DAY;
const DAY: u64 = 24 * 60 * 60;

impl Span {
    /// So many seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// So many minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n * 60)
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// As chrono has it.
    pub fn chrono(self) -> chrono::Duration {
        chrono::Duration::from_std(self.0).unwrap_or(chrono::Duration::MAX)
    }
}

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let no = || NoSpan(text.to_owned());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = match text.strip_prefix(digits).unwrap_or_default() {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => DAY,
            _ => return Err(no()),
        };
        // `parse` alone would take a leading `+`.
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(no());
        }
        let seconds = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n <= LONGEST);
        seconds.map(Self::seconds).ok_or_else(no)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match () {
            () if seconds == 0 => f.write_str("0s"),
            () if seconds.is_multiple_of(DAY) => write!(f, "{}d", seconds / DAY),
            () if seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
            () if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            () => write!(f, "{seconds}s"),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = NoSpan;

    fn try_from(text: String) -> Result<Self, NoSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("5m", 300), ("2h", 7200), ("90d", 7_776_000)] {
            assert_eq!(text.parse(), Ok(Span::seconds(seconds)));
            assert_eq!(Span::seconds(seconds).to_string(), text);
        }
        assert_eq!("120s".parse::<Span>().unwrap().to_string(), "2m");
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in
            ["", "5", "m", "+5m", "-5m", "5 m", "1h30m", "5ms", "5M", "99999999999999999999s", "99999999d", "٣m"]
        {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
