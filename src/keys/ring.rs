//! The signing keys that there are: one signs, all are published. A key is published a day before it signs, since
//! clouds cache a JWKS for hours, and stays until the last token that it signed is dead and a day more.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeySet};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{KeyError, SigningKey, jws};

/// Where the newest keys stand: readers `load()`, the one that tends them swaps.
pub type KeyCell = Arc<ArcSwap<SigningKeys>>;

/// How long a key is published before it signs.
const PUBLISHED_BEFORE: Duration = Duration::days(1);
/// How long a key signs.
const SIGNS_FOR: Duration = Duration::days(90);
/// Longest life of a token (clouds refuse longer ones).
pub const LONGEST_TOKEN: Duration = Duration::days(1);

/// A key and since when it signs.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<SigningKey>,
    pub(super) signs_from: DateTime<Utc>,
}

/// All signing keys, oldest first.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    entries: Vec<Entry>,
    first: Arc<SigningKey>,
    jwks: CoreJsonWebKeySet,
    jwks_json: Arc<str>,
}

impl SigningKeys {
    /// One new key that signs at once.
    pub fn generate(now: DateTime<Utc>) -> Result<Self, KeyError> {
        Self::of(vec![Entry { key: Arc::new(SigningKey::generate()?), signs_from: now }])
    }

    /// One key that the admin brings, as PKCS#8 in PEM.
    pub fn from_pem(pem: &str, now: DateTime<Utc>) -> Result<Self, KeyError> {
        Self::of(vec![Entry { key: Arc::new(SigningKey::from_pem(pem)?), signs_from: now }])
    }

    pub(super) fn of(mut entries: Vec<Entry>) -> Result<Self, KeyError> {
        entries.sort_by_key(|entry| entry.signs_from);
        let empty = || KeyError::Read { what: "signing keys", expected: "at least one key" };
        let first = Arc::clone(&entries.first().ok_or_else(empty)?.key);
        let keys = entries.iter().map(|entry| web_key(&entry.key)).collect::<Result<Vec<_>, _>>();
        let broken = |error: serde_json::Error| KeyError::Make(error.to_string());
        let jwks = CoreJsonWebKeySet::new(keys.map_err(broken)?);
        let jwks_json = serde_json::to_string(&jwks).map_err(broken)?.into();
        Ok(Self { entries, first, jwks, jwks_json })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The key that signs now: the newest whose time has come.
    pub fn active(&self, now: DateTime<Utc>) -> &SigningKey {
        self.entries.iter().rev().find(|entry| entry.signs_from <= now).map_or(&self.first, |entry| &entry.key)
    }

    /// Signs claims as a compact JWS.
    pub fn sign(&self, typ: &str, claims: &impl Serialize, now: DateTime<Utc>) -> Result<String, KeyError> {
        jws::sign(self.active(now), typ, claims)
    }

    /// The claims of a token that one of our keys signed as this `typ`; says nothing of its times and audience.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, typ: &str) -> Option<T> {
        jws::verify(token, typ, |kid| self.entries.iter().map(|entry| &*entry.key).find(|key| key.kid() == kid))
    }

    /// The public keys (RFC 7517 §5).
    pub fn jwks(&self) -> &CoreJsonWebKeySet {
        &self.jwks
    }

    /// The public keys as they are served.
    pub fn jwks_json(&self) -> Arc<str> {
        Arc::clone(&self.jwks_json)
    }

    /// What the keys should be at this time, if that is not what they are: a successor before the newest grows old,
    /// no key whose tokens are all dead. The caller keeps them first and swaps them in then.
    pub fn tended(&self, now: DateTime<Utc>) -> Result<Option<Self>, KeyError> {
        let mut entries = self.entries.clone();
        if let Some(newest) = entries.last().map(|entry| entry.signs_from)
            && newest + SIGNS_FOR <= now + PUBLISHED_BEFORE
        {
            entries.push(Entry { key: Arc::new(SigningKey::generate()?), signs_from: now + PUBLISHED_BEFORE });
        }
        // A key ends when its successor has signed for as long as any token of its own can live, and a day.
        let successors: Vec<_> = entries.iter().skip(1).map(|entry| entry.signs_from).collect();
        let dead = successors.iter().filter(|from| **from + LONGEST_TOKEN + PUBLISHED_BEFORE <= now).count();
        entries.drain(..dead);
        let same = entries.len() == self.entries.len()
            && entries.iter().zip(&self.entries).all(|(new, old)| new.key.kid() == old.key.kid());
        if same { Ok(None) } else { Self::of(entries).map(Some) }
    }
}

/// By way of JSON: the type has no setter for `alg`, which strict verifiers want to see.
fn web_key(key: &SigningKey) -> Result<CoreJsonWebKey, serde_json::Error> {
    let (modulus, exponent) = key.public();
    serde_json::from_value(json!({
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": key.kid(),
        "n": BASE64_URL_SAFE_NO_PAD.encode(modulus),
        "e": BASE64_URL_SAFE_NO_PAD.encode(exponent),
    }))
}

#[cfg(test)]
mod tests {
    use openidconnect::{JsonWebKey as _, core::CoreJwsSigningAlgorithm};
    use serde_json::Value;

    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(day)
    }

    #[test]
    fn a_foreign_library_verifies_what_we_sign() {
        let keys = SigningKeys::generate(at(0)).unwrap();
        let token = keys.sign("JWT", &json!({"sub": "x"}), at(0)).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let served: CoreJsonWebKeySet = serde_json::from_str(&keys.jwks_json()).unwrap();
        let [key] = &served.keys()[..] else { panic!("one key") };
        let alg = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
        key.verify_signature(&alg, message.as_bytes(), &signature).unwrap();
        assert!(key.verify_signature(&alg, b"other", &signature).is_err());
        assert!(keys.jwks_json().contains(r#""alg":"RS256""#) && !keys.jwks_json().contains(r#""d":"#));
    }

    #[test]
    fn only_our_own_rs256_of_the_right_kind_is_believed() {
        let keys = SigningKeys::generate(at(0)).unwrap();
        let token = keys.sign("JWT", &json!({"sub": "x"}), at(0)).unwrap();
        assert_eq!(keys.verify::<Value>(&token, "JWT").unwrap()["sub"], "x");
        assert!(keys.verify::<Value>(&token, "at+jwt").is_none());
        let other = SigningKeys::generate(at(0)).unwrap();
        assert!(other.verify::<Value>(&token, "JWT").is_none());
        let (_, rest) = token.split_once('.').unwrap();
        for alg in ["none", "HS256", "RS512", "rs256"] {
            let header = json!({"alg": alg, "typ": "JWT", "kid": keys.active(at(0)).kid()});
            let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
            assert!(keys.verify::<Value>(&format!("{header}.{rest}"), "JWT").is_none());
        }
        for broken in ["", ".", "..", "a.b.c", &token[..token.len() - 2], &format!("{token}.x")] {
            assert!(keys.verify::<Value>(broken, "JWT").is_none(), "{broken}");
        }
    }

    #[test]
    fn a_successor_is_published_a_day_before_it_signs_and_the_old_key_outlives_its_tokens() {
        let first = SigningKeys::generate(at(0)).unwrap();
        assert!(first.tended(at(88)).unwrap().is_none());
        let both = first.tended(at(89)).unwrap().unwrap();
        assert_eq!(both.jwks().keys().len(), 2);
        assert_eq!(both.active(at(89)).kid(), first.active(at(0)).kid());
        assert_ne!(both.active(at(90)).kid(), first.active(at(0)).kid());
        assert!(both.tended(at(91)).unwrap().is_none());
        let second = both.tended(at(92)).unwrap().unwrap();
        assert_eq!(second.jwks().keys().len(), 1);
        assert_eq!(second.active(at(92)).kid(), both.active(at(90)).kid());
    }
}
