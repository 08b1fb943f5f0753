//! Keys: those that sign our tokens, how they are made, kept and replaced; JWS; others' public keys; and our own CA for TLS.
//!
//! Pure but for `file`: who keeps keys in Kubernetes reads and writes the same documents. Uses nothing of ours.

mod ca;
mod document;
pub mod file;
mod jws;
mod leaf;
mod ring;
mod rsa;
mod web;

pub use ca::CertificateAuthority;
pub use document::KeyDocument;
pub use leaf::{Leaf, LeafCell, server_config};
pub use ring::{KeyCell, SigningKeys};
pub use rsa::SigningKey;
pub use web::{Unverified, WebKeys, is_verifiable};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The cryptography library failed.
    #[error("no key could be made: {0}")]
    Make(String),
    /// What was kept can't be read. Says nothing of what is in it.
    #[error("the {what} can't be read: expected {expected}")]
    Read {
        /// Of what.
        what: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// The certificate library failed.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// Something could not be signed.
    #[error("nothing could be signed: {0}")]
    Sign(String),
    /// The file system failed.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// TLS would not take it.
    #[error("TLS refused the certificate: {0}")]
    Tls(#[from] rustls::Error),
}
