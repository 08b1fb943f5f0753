//! Client authentication by HTTP Basic (RFC 6749 §2.3.1).

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::zeroize::Zeroizing;

use super::clients::{Client, Clients};

/// The client that sent this request.
pub(super) fn client<'a>(clients: &'a Clients, headers: &HeaderMap) -> Option<&'a Client> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    // OAuth wants both form-encoded first; many clients send them as they are. Neither form of a wrong secret passes.
    clients.authenticate(id, secret).or_else(|| {
        let (id, secret) = (form_decoded(id)?, Zeroizing::new(form_decoded(secret)?));
        clients.authenticate(&id, &secret)
    })
}

/// Undoes `application/x-www-form-urlencoded` for one value.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encoding_is_undone() {
        assert_eq!(form_decoded("a%3Ab+c%2B").as_deref(), Some("a:b c+"));
        assert_eq!(form_decoded("%C3%B6").as_deref(), Some("ö"));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(form_decoded(broken), None);
        }
    }
}
