//! `Prefer: return=minimal` and `return=representation` (RFC 7240 §2, §4.2).

use http::HeaderMap;

/// Whether the caller prefers a body; `None` if it doesn't say. The first one that is said counts.
pub(super) fn body(headers: &HeaderMap) -> Option<bool> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| parts(value, ',')).find_map(preference)
}

/// `return`, its value as it is or between quotes; what follows a semicolon are parameters, of which there are none.
fn preference(one: &str) -> Option<bool> {
    let (name, value) = parts(one, ';').next()?.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("return") {
        return None;
    }
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    match value.to_ascii_lowercase().as_str() {
        "minimal" => Some(false),
        "representation" => Some(true),
        _ => None,
    }
}

/// What stands between dividers, of which those between quotes are none.
fn parts(text: &str, divider: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let plain = !std::mem::take(&mut escaped);
        quoted ^= plain && c == '"';
        escaped = plain && quoted && c == '\\';
        !quoted && c == divider
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_preference_is_read_in_each_form_that_it_may_have() {
        for (values, expected) in [
            (&["return=minimal"][..], Some(false)),
            (&["Return=Representation"], Some(true)),
            (&["return=\"minimal\""], Some(false)),
            (&["return = minimal"], Some(false)),
            (&["return=minimal; x=y"], Some(false)),
            (&["respond-async, return=minimal;a;b=\"c,d\", wait=10"], Some(false)),
            (&["wait=10", "return=representation"], Some(true)),
            (&["return=minimal, return=representation"], Some(false)),
            (&["foo=\"a, return=minimal\""], None),
            (&["foo=\"a\\\", return=minimal\""], None),
            (&["foo; return=minimal"], None),
            (&["return"], None),
            (&["return=\"minimal"], None),
            (&["handling=lenient"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_static(value));
            }
            assert_eq!(body(&headers), expected, "{values:?}");
        }
    }
}
