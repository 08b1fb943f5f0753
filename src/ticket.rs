//! The ticket: an opaque single-use handle for one PipelineRun.
//!
//! `scimtk_` + 52 characters of base32 (256 random bits) + 7 of checksum (CRC-32), so that secret scanners find it and
//! tell it from noise. The store keeps its SHA-256 and all that it stands for. Pure, but for the random bits.

use std::fmt;

use aws_lc_rs::{digest, rand};
use secrecy::{ExposeSecret, SecretString};

const PREFIX: &str = "scimtk_";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// SHA-256 of a ticket or token: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Of any secret text.
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// The random source failed; nothing may be issued.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bits")]
pub struct NoRandomness;

/// Makes a secret of 256 random bits with a prefix and a checksum: tickets, SCIM bearer tokens.
pub fn mint(prefix: &str) -> Result<SecretString, NoRandomness> {
    let mut bits = [0; 32];
    rand::fill(&mut bits).map_err(|_| NoRandomness)?;
    let mut text = String::with_capacity(prefix.len() + 59);
    text.push_str(prefix);
    base32(&bits, &mut text);
    let sum = checksum(&text);
    base32(&sum, &mut text);
    Ok(text.into())
}

/// A fresh ticket.
pub fn mint_ticket() -> Result<SecretString, NoRandomness> {
    mint(PREFIX)
}

/// The hash of a ticket that is well-formed; `None` for anything that we can't have issued.
pub fn ticket_hash(text: &str) -> Option<SecretHash> {
    well_formed(PREFIX, text).then(|| SecretHash::of(text))
}

/// Whether a text has the prefix, the length and the checksum of what `mint` makes.
pub fn well_formed(prefix: &str, text: &str) -> bool {
    let body = prefix.len() + 52;
    text.starts_with(prefix)
        && text.len() == body + 7
        && text.is_char_boundary(body)
        && text.get(..body).zip(text.get(body..)).is_some_and(|(head, tail)| {
            let mut expected = String::with_capacity(7);
            base32(&checksum(head), &mut expected);
            expected == tail
        })
}

/// Reads a secret only to hash it.
pub fn hash_of(secret: &SecretString) -> SecretHash {
    SecretHash::of(secret.expose_secret())
}

fn base32(bytes: &[u8], out: &mut String) {
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(out, buffer >> bits);
        }
    }
    if bits > 0 {
        push(out, buffer << (5 - bits));
    }
}

fn push(out: &mut String, value: u32) {
    let digit = ALPHABET.get((value & 31) as usize).copied().unwrap_or(b'a');
    out.push(char::from(digit));
}

/// CRC-32 (ISO-HDLC), bitwise: it runs once a ticket.
fn checksum(text: &str) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    (!crc).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_crc_32() {
        assert_eq!(checksum("123456789"), 0xCBF4_3926_u32.to_be_bytes());
    }

    #[test]
    fn a_minted_ticket_is_well_formed_and_a_changed_one_is_not() {
        let ticket = mint_ticket().unwrap();
        let text = ticket.expose_secret();
        assert_eq!(text.len(), 66);
        assert_eq!(ticket_hash(text), Some(SecretHash::of(text)));
        let other = if text.ends_with('a') { "b" } else { "a" };
        assert_eq!(ticket_hash(&format!("{}{other}", &text[..65])), None);
        assert_eq!(ticket_hash("scimtk_"), None);
        assert_eq!(ticket_hash(""), None);
    }
}
