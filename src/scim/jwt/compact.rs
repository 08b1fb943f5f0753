//! A signed JWT, taken apart (RFC 7515 §3.1, RFC 7519 §3). Nothing of it is believed yet.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::{Refusal, claims::Claims};
use crate::keys::is_verifiable;

/// Longer ones don't come through the headers of most servers either.
const LONGEST: usize = 16 * 1024;

/// What of a header decides. Keys and their addresses that it brings (`jwk`, `jku`, `x5c`, `x5u`) are not even read.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

pub(super) struct Compact<'a> {
    pub(super) alg: String,
    pub(super) kid: String,
    /// What is signed.
    pub(super) message: &'a str,
    pub(super) signature: Vec<u8>,
    pub(super) claims: Claims,
}

/// Whether it may be one: what isn't needs no hashing.
pub(super) fn looks_like_one(token: &str) -> bool {
    token.len() <= LONGEST && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

pub(super) fn read(token: &str) -> Result<Compact<'_>, Refusal> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Refusal::Malformed)?;
    if !is_verifiable(&header.alg) {
        return Err(Refusal::Algorithm);
    }
    // RFC 8725 §3.11: JWTs for other ends (a log-out, a proof, an event) name their type.
    let is_access_token = header.typ.is_none_or(|typ| {
        let typ = typ.to_ascii_lowercase();
        ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    });
    if !is_access_token || header.crit.is_some() || header.b64.is_some() {
        return Err(Refusal::Header);
    }
    let kid = header.kid.ok_or(Refusal::Header)?;
    let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| Refusal::Malformed)?;
    Ok(Compact { alg: header.alg, kid, message, signature: decode(signature)?, claims: Claims(claims) })
}
