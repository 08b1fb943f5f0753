//! Where the database is, and how a session with it begins: encrypted as its URL says, in a schema of ours, and for the
//! writer with the lock that makes it the only one.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, Config, config::SslMode};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::ExposeSecret as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::with_causes;
use crate::{config::PostgresUrl, store::StoreError};

/// Where a URL names no `search_path`.
const SCHEMA: &str = "scim_tekton";
/// First half of the lock's key: "SCTK". The second is of the schema's name.
const LOCK: i32 = 0x5343_544B;
/// How long the lock is waited for: the server gives it back a moment after its holder has gone, also after a `kill -9`.
const LOCK_WAIT: Duration = Duration::from_secs(3);
/// A dead connection must not hold the writer, and all who wait for it, for the system's two hours.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds the lock.
    Writer,
    /// It can't change anything.
    Reader,
}

/// A database that can be connected to.
pub struct Place {
    config: Config,
    tls: MakeRustlsConnect,
    /// For messages: without a password.
    name: String,
}

impl Place {
    /// The place that a URL names.
    pub fn new(url: &PostgresUrl) -> Result<Self, StoreError> {
        let name = url.to_string();
        let mut config: Config = url
            .for_client()
            .expose_secret()
            .parse()
            .map_err(|error: postgres::Error| StoreError::Failed(format!("{name}: {}", with_causes(&error))))?;
        config.ssl_mode(if url.must_encrypt() { SslMode::Require } else { SslMode::Disable });
        config.application_name("scim-tekton").connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
        config.keepalives_idle(PATIENCE).keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        Ok(Self { config, tls: tls(url.ca_file())?, name })
    }

    /// A new session.
    pub fn connect(&self, role: Role) -> Result<Client, StoreError> {
        let failed = |error: postgres::Error| StoreError::Failed(format!("{}: {}", self.name, with_causes(&error)));
        let mut client = self.config.connect(self.tls.clone()).map_err(failed)?;
        self.begin(&mut client, role).map_err(failed)??;
        Ok(client)
    }

    fn begin(&self, client: &mut Client, role: Role) -> Result<Result<(), StoreError>, postgres::Error> {
        let path: String = client.query_one("SHOW search_path", &[])?.try_get(0)?;
        let schema = if path == "\"$user\", public" { SCHEMA } else { path.trim_matches('"') };
        if !schema.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(Err(self.wrong(&format!("expected one schema as search_path, found {path}"))));
        }
        if role == Role::Reader {
            client.batch_execute(&format!("SET search_path = \"{schema}\"; SET default_transaction_read_only = on"))?;
            return Ok(Ok(()));
        }
        if !locked(client, schema)? {
            return Ok(Err(self.wrong(
                "another scim-tekton has this store open; a store has one server, and none while it is restored",
            )));
        }
        let settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit'),
                        EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
        let row = client.query_one(settings, &[&schema])?;
        if row.try_get::<_, String>(0)? == "off" {
            let why = "the server runs with fsync = off, so what we acknowledge could be lost; set it to on";
            return Ok(Err(self.wrong(why)));
        }
        // `on` and more are the administrator's choice; less would acknowledge what is not on a disk.
        if matches!(row.try_get::<_, String>(1)?.as_str(), "off" | "local") {
            client.batch_execute("SET synchronous_commit = on")?;
        }
        // Only where it is missing: it takes a right that we may be spared.
        if !row.try_get::<_, bool>(2)? {
            client.batch_execute(&format!("CREATE SCHEMA \"{schema}\""))?;
        }
        client.batch_execute(&format!("SET search_path = \"{schema}\""))?;
        Ok(Ok(()))
    }

    /// A failure that names the place.
    pub fn wrong(&self, why: &str) -> StoreError {
        StoreError::Failed(format!("{}: {why}", self.name))
    }
}

/// Takes the writer's lock, if nobody else has it.
fn locked(client: &mut Client, schema: &str) -> Result<bool, postgres::Error> {
    let begun = Instant::now();
    loop {
        let taken: bool =
            client.query_one("SELECT pg_try_advisory_lock($1, hashtext($2))", &[&LOCK, &schema])?.try_get(0)?;
        if taken || begun.elapsed() > LOCK_WAIT {
            return Ok(taken);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The server's certificate is verified whenever there is one: against this file, or what the system trusts.
fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let failed = |why: String| StoreError::Failed(format!("{}: {why}", path.display()));
        let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(failed("expected certificates as PEM".into()));
        }
    } else {
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One that can't be used is as good as one that isn't there.
            let _ = roots.add(certificate);
        }
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
