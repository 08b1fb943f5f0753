//! One RSA key that signs with RS256: clouds take that or ES256, and Entra documents only this one.

use std::fmt;

use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::KeyError;

/// An RSA key and its name.
pub struct SigningKey {
    pair: KeyPair,
    kid: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new one of 2048 bits: tens of milliseconds and more, so not on an async thread.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|error| KeyError::Make(error.to_string()))?;
        Ok(Self::of(pair))
    }

    /// From PKCS#8 in PEM (`BEGIN PRIVATE KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Read {
            what: "signing key",
            expected: "an RSA key of 2048 bits or more as PKCS#8 in PEM (BEGIN PRIVATE KEY)",
        };
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| wrong())?;
        Ok(Self::of(pair))
    }

    /// PKCS#8 in PEM.
    pub fn to_pem(&self) -> Result<SecretString, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|error| KeyError::Make(error.to_string()))?;
        Ok(pem("PRIVATE KEY", der.as_ref()).into())
    }

    /// The key's name: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Modulus and exponent, big-endian.
    pub fn public(&self) -> (&[u8], &[u8]) {
        (&self.modulus, &self.exponent)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|error| KeyError::Sign(error.to_string()))?;
        Ok(signature)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }

    fn of(pair: KeyPair) -> Self {
        let public = pair.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        let kid = thumbprint(&modulus, &exponent);
        Self { pair, kid, modulus, exponent }
    }
}

/// RFC 7638 §3: SHA-256 over the required members in lexical order, without white space.
fn thumbprint(modulus: &[u8], exponent: &[u8]) -> String {
    let canonical = format!(
        r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
        BASE64_URL_SAFE_NO_PAD.encode(exponent),
        BASE64_URL_SAFE_NO_PAD.encode(modulus),
    );
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

/// RFC 7468: base64 in lines of 64 characters between two labels.
fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(base64::prelude::BASE64_STANDARD.encode(der));
    // Room for all of it at once: a buffer that grows leaves copies of the key behind.
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_key_survives_its_pem() {
        let key = SigningKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let again = SigningKey::from_pem(pem.expose_secret()).unwrap();
        assert_eq!(again.kid(), key.kid());
        assert!(again.verifies(b"x", &key.sign(b"x").unwrap()));
        assert!(!again.verifies(b"y", &key.sign(b"x").unwrap()));
        assert!(!format!("{key:?}").contains("pair"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let error = SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n");
        let text = error.unwrap_err().to_string();
        assert!(text.contains("PKCS#8") && !text.contains("aGVsbG8"), "{text}");
    }

    /// RFC 7638 §3.1's own example.
    #[test]
    fn a_thumbprint_is_rfc_7638s() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(modulus).unwrap();
        assert_eq!(thumbprint(&modulus, &[1, 0, 1]), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
