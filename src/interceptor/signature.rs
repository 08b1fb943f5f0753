//! GitHub's signature: HMAC-SHA-256 over the raw body, hex, in `X-Hub-Signature-256`. Nothing but the body is signed.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::reason::{Reason, Refusal, refuse};

/// The header.
pub(super) const HEADER: &str = "X-Hub-Signature-256";

/// Whether one of the secrets signed the body. Compares in constant time.
pub(super) fn verify<'a>(
    secrets: &[SecretString],
    body: &str,
    mut headers: impl Iterator<Item = &'a str>,
) -> Result<(), Refusal> {
    let Some(header) = headers.next() else {
        return refuse(
            Reason::NoSignature,
            format!("the request has no {HEADER}: give the webhook its secret at the host"),
        );
    };
    let signature = header.strip_prefix("sha256=").and_then(digest);
    let (Some(signature), None) = (signature, headers.next()) else {
        return refuse(Reason::MalformedSignature, format!("expected one {HEADER}: sha256= and 64 hex digits"));
    };
    let signs = |secret: &SecretString| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        hmac::verify(&key, body.as_bytes(), &signature).is_ok()
    };
    if secrets.iter().any(signs) {
        return Ok(());
    }
    refuse(
        Reason::WrongSignature,
        "no secret of the source signs this body: the webhook's secret must be the source's, and its content type application/json",
    )
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != out.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's own documentation ("Validating webhook deliveries").
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &str = "Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn verified(secrets: &[&str], body: &str, headers: &[&str]) -> Result<(), Reason> {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        verify(&secrets, body, headers.iter().copied()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn githubs_own_example_holds() {
        assert_eq!(verified(&[SECRET], BODY, &[SIGNATURE]), Ok(()));
        assert_eq!(verified(&[SECRET], BODY, &[&SIGNATURE.to_uppercase().replace("SHA256", "sha256")]), Ok(()));
    }

    #[test]
    fn either_of_two_secrets_will_do_while_rotating() {
        assert_eq!(verified(&["new", SECRET], BODY, &[SIGNATURE]), Ok(()));
        assert_eq!(verified(&["new"], BODY, &[SIGNATURE]), Err(Reason::WrongSignature));
    }

    #[test]
    fn a_changed_body_a_missing_and_a_malformed_signature_are_refused() {
        assert_eq!(verified(&[SECRET], "Hello, World?", &[SIGNATURE]), Err(Reason::WrongSignature));
        assert_eq!(verified(&[], BODY, &[SIGNATURE]), Err(Reason::WrongSignature));
        assert_eq!(verified(&[SECRET], BODY, &[]), Err(Reason::NoSignature));
        let sha1 = "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let long = format!("{SIGNATURE}0");
        for malformed in
            ["", "sha256=", sha1, &SIGNATURE[..70], &long, &SIGNATURE.replace('7', "x"), &SIGNATURE.replace('7', "é")]
        {
            assert_eq!(verified(&[SECRET], BODY, &[malformed]), Err(Reason::MalformedSignature), "{malformed}");
        }
        assert_eq!(verified(&[SECRET], BODY, &[SIGNATURE, SIGNATURE]), Err(Reason::MalformedSignature));
    }
}
