//! Who may introspect: resource servers, each with a secret and the one audience that it is.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::{
    config::{ConfigError, IssuerClient},
    ticket::SecretHash,
};

/// A shorter secret is guessed.
const SHORTEST: usize = 16;

/// A client that may ask.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) audience: String,
    secret: SecretHash,
}

/// All of them, with the hashes of their secrets.
#[derive(Debug, Default)]
pub struct Clients(Vec<Client>);

impl Clients {
    /// Reads the secrets that the configuration names.
    pub fn load(configured: &[IssuerClient], env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        configured
            .iter()
            .enumerate()
            .map(|(index, client)| load(index, client, env))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The client that this is. Each comparison takes the same time, whatever differs.
    pub(super) fn authenticate(&self, id: &str, secret: &str) -> Option<&Client> {
        let hash = SecretHash::of(secret);
        let client = self.0.iter().find(|client| client.id == id);
        let expected = client.map_or(SecretHash([0; 32]), |client| client.secret);
        verify_slices_are_equal(&expected.0, &hash.0).is_ok().then_some(client).flatten()
    }
}

fn load(index: usize, client: &IssuerClient, env: &BTreeMap<String, String>) -> Result<Client, ConfigError> {
    let key = format!("issuer.clients.{index}");
    let (key, secret) = match (&client.secret_file, &client.secret_env) {
        (Some(path), _) => {
            let key = format!("{key}.secretFile");
            let read = std::fs::read_to_string(path);
            let secret = read.map_err(|error| ConfigError::invalid(&key, format!("{}: {error}", path.display())))?;
            (key, secret)
        }
        (None, Some(name)) => {
            let key = format!("{key}.secretEnv");
            let secret = env.get(name).cloned();
            let secret = secret.ok_or_else(|| ConfigError::invalid(&key, format!("{name} is not set")))?;
            (key, secret)
        }
        (None, None) => return Err(ConfigError::invalid(key, "expected one of secretFile, secretEnv")),
    };
    // Files end with a line feed more often than secrets do.
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.len() < SHORTEST {
        return Err(ConfigError::invalid(key, format!("expected a secret of at least {SHORTEST} bytes")));
    }
    Ok(Client { id: client.id.clone(), audience: client.audience.clone(), secret: SecretHash::of(secret) })
}
