//! A certificate with its key, and the place from which TLS listeners take the newest one.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use chrono::{DateTime, Duration, Utc};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::KeyError;

/// A leaf is replaced when this much of its life is left.
const RENEWED_BEFORE: Duration = Duration::days(30);

/// A certificate with its key.
#[derive(Clone)]
pub struct Leaf {
    certificate: String,
    not_after: DateTime<Utc>,
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Leaf {
    /// From PEM: the certificate (with its chain after it) and its key.
    pub fn new(certificate: String, key: &SecretString, not_after: DateTime<Utc>) -> Result<Self, KeyError> {
        let broken = || KeyError::Read { what: "certificate", expected: "a certificate and its own key in PEM" };
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| broken())?;
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| broken())?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = Arc::new(CertifiedKey::from_der(chain, key, &provider)?);
        Ok(Self { certificate, not_after, certified })
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// When it ends.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Whether it should be replaced.
    pub fn needs_renewal(&self, now: DateTime<Utc>) -> bool {
        self.not_after - RENEWED_BEFORE <= now
    }
}

/// The leaf that a listener shows now. A swap reaches every new connection at once and breaks no old one.
#[derive(Debug)]
pub struct LeafCell(ArcSwap<Leaf>);

impl LeafCell {
    /// With this one first.
    pub fn new(leaf: Leaf) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(leaf)))
    }

    /// The leaf now.
    pub fn get(&self) -> Arc<Leaf> {
        self.0.load_full()
    }

    /// Shows this one from now on.
    pub fn set(&self, leaf: Leaf) {
        self.0.store(Arc::new(leaf));
    }
}

impl ResolvesServerCert for LeafCell {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().certified))
    }
}

/// TLS 1.2 and 1.3 with the leaf of the cell, HTTP/2 preferred.
pub fn server_config(leaf: &Arc<LeafCell>) -> Result<ServerConfig, KeyError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let resolver: Arc<LeafCell> = Arc::clone(leaf);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, pki_types::ServerName};

    use super::*;
    use crate::keys::CertificateAuthority;

    /// Shakes hands in memory; the certificate that the server showed.
    fn shown(server: &Arc<ServerConfig>, ca: &CertificateAuthority) -> CertificateDer<'static> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets().unwrap();
        }
        client.peer_certificates().unwrap()[0].clone()
    }

    #[test]
    fn a_listener_shows_the_newest_leaf() {
        #[expect(clippy::disallowed_methods, reason = "rustls' client reads the clock itself")]
        let now = Utc::now();
        let ca = CertificateAuthority::make(now).unwrap();
        let leaf = || ca.issue(&["localhost".to_owned()], &[], now).unwrap();
        let cell = LeafCell::new(leaf());
        let config = Arc::new(server_config(&cell).unwrap());
        let first = shown(&config, &ca);
        assert_eq!(shown(&config, &ca), first);
        cell.set(leaf());
        assert_ne!(shown(&config, &ca), first);
    }
}
