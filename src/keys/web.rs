//! Public keys of somebody else (RFC 7517) and what they signed (RFC 7515): asymmetric algorithms and nothing else. A key
//! serves only algorithms of its own kind, so that a public key is never taken for a secret (RFC 8725 §2.1, §3.1).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::KeyError;

/// What may stand in `alg` (RFC 7518 §3.1, RFC 8037 §3.1).
const ALGORITHMS: [(&str, Scheme); 10] = [
    ("RS256", Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA256)),
    ("RS384", Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA384)),
    ("RS512", Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA512)),
    ("PS256", Scheme::Rsa(&RSA_PSS_2048_8192_SHA256)),
    ("PS384", Scheme::Rsa(&RSA_PSS_2048_8192_SHA384)),
    ("PS512", Scheme::Rsa(&RSA_PSS_2048_8192_SHA512)),
    ("ES256", Scheme::Curve("P-256", &ECDSA_P256_SHA256_FIXED)),
    ("ES384", Scheme::Curve("P-384", &ECDSA_P384_SHA384_FIXED)),
    ("ES512", Scheme::Curve("P-521", &ECDSA_P521_SHA512_FIXED)),
    ("EdDSA", Scheme::Curve("Ed25519", &ED25519)),
];

/// An issuer has a handful of keys; many more are no key set of an issuer.
const MOST: usize = 100;

#[derive(Clone, Copy)]
enum Scheme {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static dyn VerificationAlgorithm),
}

/// Whether an `alg` is one that `WebKeys` verifies.
pub fn is_verifiable(alg: &str) -> bool {
    scheme(alg).is_some()
}

fn scheme(alg: &str) -> Option<Scheme> {
    ALGORITHMS.iter().find(|(name, _)| *name == alg).map(|(_, scheme)| *scheme)
}

/// Why a signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// There is no key of this name: there may be one by now.
    UnknownKey,
    /// There is, and it did not sign this in this way.
    Forged,
}

/// Keys that verify signatures, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebKeys(Vec<WebKey>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct WebKey {
    kid: String,
    /// If the key says so, the one algorithm that it is for (RFC 7517 §4.4).
    alg: Option<String>,
    public: Public,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Curve { name: String, point: Vec<u8> },
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl WebKeys {
    /// Reads a JWK Set (RFC 7517 §5). Keys for something else, or of kinds that we don't know, are left out, as it asks.
    pub fn read(json: &[u8]) -> Result<Self, KeyError> {
        let expected =
            "a JWK Set (RFC 7517 §5) with a key that verifies signatures: RSA, P-256, P-384, P-521 or Ed25519";
        let wrong = || KeyError::Read { what: "issuer's keys", expected };
        let set: Set = serde_json::from_slice(json).map_err(|_| wrong())?;
        let keys: Vec<_> = set.keys.into_iter().take(MOST).filter_map(WebKey::read).collect();
        if keys.is_empty() { Err(wrong()) } else { Ok(Self(keys)) }
    }

    /// Whether the key of this name signed this message in this way.
    pub fn verify(&self, alg: &str, kid: &str, message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let scheme = scheme(alg).ok_or(Unverified::Forged)?;
        let mut named = self.0.iter().filter(|key| key.kid == kid).peekable();
        if named.peek().is_none() {
            return Err(Unverified::UnknownKey);
        }
        let signed = |key: &WebKey| {
            key.alg.as_deref().is_none_or(|only| only == alg) && key.public.signed(scheme, message, signature)
        };
        if named.any(signed) { Ok(()) } else { Err(Unverified::Forged) }
    }
}

impl WebKey {
    fn read(jwk: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let verifies = jwk.used_for.is_none_or(|used_for| used_for == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let public = match jwk.kty.as_str() {
            _ if !verifies => return None,
            "RSA" => Public::Rsa { modulus: decode(jwk.n)?, exponent: decode(jwk.e)? },
            // SEC 1 §2.3.3: an uncompressed point begins with 4.
            "EC" => Public::Curve { name: jwk.crv?, point: [vec![4], decode(jwk.x)?, decode(jwk.y)?].concat() },
            "OKP" => Public::Curve { name: jwk.crv?, point: decode(jwk.x)? },
            _ => return None,
        };
        Some(Self { kid: jwk.kid?, alg: jwk.alg, public })
    }
}

impl Public {
    fn signed(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        match (self, scheme) {
            (Self::Rsa { modulus, exponent }, Scheme::Rsa(parameters)) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature).is_ok()
            }
            (Self::Curve { name, point }, Scheme::Curve(curve, algorithm)) if name == curve => {
                UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn decode(text: Option<String>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text?).ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        rsa::{self, KeySize},
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
            RSA_PSS_SHA256,
        },
    };
    use serde_json::{Value, json};

    use super::*;

    fn text(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn set(keys: &[Value]) -> WebKeys {
        WebKeys::read(json!({"keys": keys}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_kind_of_key_verifies_what_it_signed_and_only_by_its_own_algorithm() {
        let random = SystemRandom::new();
        let rsa = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = rsa.public_key();
        let (n, e) = (public.modulus(), public.exponent());
        let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        let curve = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = curve.public_key().as_ref();
        let edwards = Ed25519KeyPair::generate().unwrap();
        let keys = set(&[
            json!({"kty": "RSA", "kid": "r", "n": text(n), "e": text(e), "x5c": ["…"], "issuer": "…"}),
            json!({"kty": "EC", "kid": "c", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])}),
            json!({"kty": "OKP", "kid": "e", "crv": "Ed25519", "x": text(edwards.public_key().as_ref()), "use": "sig"}),
            json!({"kty": "RSA", "kid": "only", "n": text(n), "e": text(e), "alg": "PS256"}),
        ]);
        let (mut pkcs, mut pss) = (vec![0; 256], vec![0; 256]);
        rsa.sign(&RSA_PKCS1_SHA256, &random, b"x", &mut pkcs).unwrap();
        rsa.sign(&RSA_PSS_SHA256, &random, b"x", &mut pss).unwrap();
        let ecdsa = curve.sign(&random, b"x").unwrap().as_ref().to_vec();
        let edwards = edwards.sign(b"x").as_ref().to_vec();
        let right = [("r", "RS256", &pkcs), ("r", "PS256", &pss), ("c", "ES256", &ecdsa), ("e", "EdDSA", &edwards)];
        for (kid, alg, signature) in right {
            assert_eq!(keys.verify(alg, kid, b"x", signature), Ok(()), "{alg}");
            assert_eq!(keys.verify(alg, kid, b"y", signature), Err(Unverified::Forged), "{alg}");
            assert_eq!(keys.verify(alg, "z", b"x", signature), Err(Unverified::UnknownKey), "{alg}");
            for (other, _) in ALGORITHMS.iter().filter(|(other, _)| *other != alg) {
                assert_eq!(keys.verify(other, kid, b"x", signature), Err(Unverified::Forged), "{alg} as {other}");
            }
        }
        assert_eq!(keys.verify("PS256", "only", b"x", &pss), Ok(()));
        assert_eq!(keys.verify("RS256", "only", b"x", &pkcs), Err(Unverified::Forged), "not what the key is for");
        for alg in ["none", "None", "HS256", "HS512", "rs256", ""] {
            assert!(!is_verifiable(alg));
            assert_eq!(keys.verify(alg, "r", b"x", b""), Err(Unverified::Forged), "{alg}");
        }
    }

    #[test]
    fn keys_that_verify_no_signature_of_ours_are_left_out_and_a_set_of_none_is_none() {
        let good = json!({"kty": "OKP", "kid": "e", "crv": "Ed25519", "x": "AA"});
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            key
        };
        for bad in [
            with("use", json!("enc")),
            with("key_ops", json!(["sign"])),
            with("kty", json!("oct")),
            with("kid", Value::Null),
            with("x", json!("=")),
            json!("key"),
        ] {
            assert_eq!(set(&[bad.clone(), good.clone()]), set(std::slice::from_ref(&good)), "{bad}");
            let error = WebKeys::read(json!({"keys": [bad]}).to_string().as_bytes()).unwrap_err().to_string();
            assert!(error.contains("expected a JWK Set"), "{error}");
        }
        for text in ["", "{}", "[]", "<html>", r#"{"keys": []}"#] {
            assert!(WebKeys::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
