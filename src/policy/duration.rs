//! Durations as our CRDs spell them: `90s`, `15m`, `2h`.

/// A text that is no duration of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not digits and a unit.
    #[error("expected a duration such as 90s, 15m or 2h, got {0:?}")]
    Syntax(String),
    /// Longer than anything that we hold may last.
    #[error("expected a duration of at most 365 days, got {0:?}")]
    TooLong(String),
}

const LONGEST: i64 = 365 * 24 * 60 * 60;

/// Reads a duration; seconds.
pub fn parse_seconds(text: &str) -> Result<i64, DurationError> {
    let syntax = || DurationError::Syntax(text.chars().take(40).collect());
    let too_long = || DurationError::TooLong(text.chars().take(40).collect());
    let (digits, unit) = ['s', 'm', 'h']
        .iter()
        .zip([1, 60, 3600])
        .find_map(|(suffix, unit)| Some((text.strip_suffix(*suffix)?, unit)))
        .ok_or_else(syntax)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(syntax());
    }
    // Digits alone can only fail to parse by being too many.
    let count: i64 = digits.parse().map_err(|_| too_long())?;
    count.checked_mul(unit).filter(|seconds| *seconds <= LONGEST).ok_or_else(too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_minutes_and_hours_are_read() {
        assert_eq!(parse_seconds("90s"), Ok(90));
        assert_eq!(parse_seconds("15m"), Ok(900));
        assert_eq!(parse_seconds("2h"), Ok(7200));
        assert_eq!(parse_seconds("0s"), Ok(0));
    }

    #[test]
    fn anything_else_is_refused_by_a_sentence_that_names_it() {
        for text in ["", "h", "1d", "-1s", "1 h", "1h30m", "١h", "15", "1.5h"] {
            assert_eq!(parse_seconds(text), Err(DurationError::Syntax(text.into())), "{text}");
        }
        for text in ["99999999999999999999h", "9223372036854775807h", "8761h"] {
            assert_eq!(parse_seconds(text), Err(DurationError::TooLong(text.into())), "{text}");
        }
    }
}
