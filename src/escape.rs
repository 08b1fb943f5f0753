//! Text from outside, made fit for a line of a log or a cell of a table. Pure.

use std::borrow::Cow;

/// Replaces everything that moves a cursor, ends a line or turns the direction of writing by its Rust escape.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and bidirectional controls (Unicode UAX #9).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_is_written_out() {
        assert_eq!(escape("alice@example.com"), "alice@example.com");
        assert_eq!(escape("Zoë 🦀"), "Zoë 🦀");
        assert_eq!(escape("a\tb\r\nc\u{1b}[2J\u{9b}\u{202e}"), "a\\tb\\r\\nc\\u{1b}[2J\\u{9b}\\u{202e}");
    }
}
