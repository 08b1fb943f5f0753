//! JSON Web Signatures in compact form (RFC 7515 §3.1), RS256 and nothing else (RFC 8725 §3.1).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{KeyError, SigningKey};

/// Longer texts are none of our tokens.
const LONGEST: usize = 16 * 1024;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'a str,
    kid: &'a str,
}

/// What of a header decides; anything unknown to us is refused if it is critical.
#[derive(Deserialize)]
struct SeenHeader {
    alg: String,
    typ: String,
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// Signs claims.
pub(super) fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, KeyError> {
    let header = Header { alg: "RS256", typ, kid: key.kid() };
    let part = |json: Result<Vec<u8>, serde_json::Error>| {
        json.map(|json| BASE64_URL_SAFE_NO_PAD.encode(json)).map_err(|error| KeyError::Sign(error.to_string()))
    };
    let mut text = part(serde_json::to_vec(&header))?;
    text.push('.');
    text.push_str(&part(serde_json::to_vec(claims))?);
    let signature = key.sign(text.as_bytes())?;
    text.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}

/// The claims of a token that one of these keys signed as this `typ`; `None` for anything else. The header is believed
/// in nothing but the choice among our own keys.
pub(super) fn verify<'a, T: DeserializeOwned>(
    token: &str,
    typ: &str,
    key: impl Fn(&str) -> Option<&'a SigningKey>,
) -> Option<T> {
    if token.len() > LONGEST {
        return None;
    }
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let header: SeenHeader = serde_json::from_slice(&decode(header)?).ok()?;
    if header.alg != "RS256" || header.typ != typ || header.crit.is_some() {
        return None;
    }
    if !key(&header.kid)?.verifies(message.as_bytes(), &decode(signature)?) {
        return None;
    }
    serde_json::from_slice(&decode(claims)?).ok()
}
