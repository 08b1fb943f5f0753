//! Our own certificate authority: it vouches for the interceptor to Tekton's EventListeners (its certificate is their
//! `caBundle`) and, where asked for, for the HTTP listener.

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

use super::{KeyError, Leaf};

/// A CA outlives many leaves: changing it means a bundle with both for minutes in every EventListener.
const CA_LIVES: Duration = Duration::days(3650);
const LEAF_LIVES: Duration = Duration::days(90);
/// Clocks differ: a certificate is valid from a little before it was made.
const BACKDATED: Duration = Duration::hours(1);

/// An ECDSA P-256 CA.
pub struct CertificateAuthority {
    name: String,
    not_after: DateTime<Utc>,
    certificate: String,
    key: SecretString,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CertificateAuthority {
    /// A new one. Its name says when it was made: in a bundle of two, each must be told from the other.
    pub fn make(now: DateTime<Utc>) -> Result<Self, KeyError> {
        let name = format!("scim-tekton CA {}", now.format("%Y-%m-%dT%H:%M:%SZ"));
        let not_after = now + CA_LIVES;
        let pair = KeyPair::generate()?;
        let mut params = params(&name);
        valid(&mut params, now - BACKDATED, not_after);
        let certificate = params.self_signed(&pair)?.pem();
        Ok(Self { name, not_after, certificate, key: pair.serialize_pem().into() })
    }

    /// From what was kept.
    pub(super) fn from_parts(
        name: String,
        not_after: DateTime<Utc>,
        certificate: String,
        key: &str,
    ) -> Result<Self, KeyError> {
        let broken = || KeyError::Read { what: "CA", expected: "a certificate and its own key in PEM" };
        let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| broken())?;
        let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| broken())?;
        // Refuses a key that is not the certificate's: leaves of such a pair would convince nobody.
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::sign::CertifiedKey::from_der(vec![chain], der, &provider).map_err(|_| broken())?;
        Ok(Self { name, not_after, certificate, key: key.to_owned().into() })
    }

    /// A certificate for these DNS names and addresses, good for 90 days.
    pub fn issue(&self, dns_names: &[String], addresses: &[IpAddr], now: DateTime<Utc>) -> Result<Leaf, KeyError> {
        let pair = KeyPair::generate()?;
        let ca_pair = KeyPair::from_pem(self.key.expose_secret())?;
        let issuer = Issuer::new(params(&self.name), ca_pair);
        let not_after = (now + LEAF_LIVES).min(self.not_after);
        let mut leaf = CertificateParams::new(dns_names.to_vec())?;
        leaf.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        leaf.distinguished_name = named(dns_names.first().map_or("scim-tekton", String::as_str));
        valid(&mut leaf, now - BACKDATED, not_after);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(&pair, &issuer)?;
        Leaf::new(certificate.pem(), &pair.serialize_pem().into(), not_after)
    }

    /// Whether a successor should be made: leaves could not live their full time any more.
    pub fn needs_renewal(&self, now: DateTime<Utc>) -> bool {
        self.not_after - LEAF_LIVES - LEAF_LIVES <= now
    }

    /// Its certificate: what goes into a `caBundle`.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// When it ends.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key_pem(&self) -> &SecretString {
        &self.key
    }
}

/// Also what an issuer is rebuilt from: name, usages and the way in which key ids are derived never change.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    // A common name holds 64 characters (RFC 5280, appendix A.1); the names that count are the alternative ones.
    full.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    full
}

/// rcgen speaks the `time` crate; its only constructor within our reach takes a day.
fn valid(params: &mut CertificateParams, from: DateTime<Utc>, to: DateTime<Utc>) {
    let since = |at: DateTime<Utc>| std::time::Duration::from_secs(at.timestamp().max(0).unsigned_abs());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since(from);
    params.not_after = epoch + since(to);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
        pki_types::{ServerName, UnixTime},
    };

    use super::*;
    use crate::keys::KeyDocument as _;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(20_000 + day)
    }

    /// What rustls, as a client that trusts `ca`, says of a leaf.
    fn trusts(ca: &CertificateAuthority, leaf: &Leaf, name: &str, day: i64) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at(day).timestamp().unsigned_abs()));
        let leaf = CertificateDer::from_pem_slice(leaf.certificate_pem().as_bytes()).unwrap();
        verifier.verify_server_cert(&leaf, &[], &ServerName::try_from(name.to_owned()).unwrap(), &[], now).is_ok()
    }

    #[test]
    fn a_leaf_convinces_who_trusts_the_ca_for_its_names_and_its_time() {
        let ca = CertificateAuthority::make(at(0)).unwrap();
        let names = ["scim-tekton.scim-tekton.svc".to_owned(), "localhost".to_owned()];
        let leaf = ca.issue(&names, &["127.0.0.1".parse().unwrap()], at(0)).unwrap();
        for name in ["scim-tekton.scim-tekton.svc", "localhost", "127.0.0.1"] {
            assert!(trusts(&ca, &leaf, name, 0) && trusts(&ca, &leaf, name, 89), "{name}");
        }
        assert!(!trusts(&ca, &leaf, "example.com", 0));
        assert!(!trusts(&ca, &leaf, "localhost", 91));
        assert!(!trusts(&CertificateAuthority::make(at(0)).unwrap(), &leaf, "localhost", 0));
        assert!(!leaf.needs_renewal(at(50)) && leaf.needs_renewal(at(61)));
        assert!(!ca.needs_renewal(at(3000)) && ca.needs_renewal(at(3600)));
    }

    #[test]
    fn a_ca_that_was_kept_issues_as_before() {
        let ca = CertificateAuthority::make(at(0)).unwrap();
        let again = CertificateAuthority::from_document(&ca.to_document().unwrap()).unwrap();
        let leaf = again.issue(&["localhost".to_owned()], &[], at(1)).unwrap();
        assert!(trusts(&ca, &leaf, "localhost", 1));
        let foreign = CertificateAuthority::make(at(0)).unwrap();
        let key = foreign.key_pem().expose_secret();
        let mixed = CertificateAuthority::from_parts(ca.name.clone(), ca.not_after, ca.certificate.clone(), key);
        assert!(mixed.is_err());
    }
}
