//! How keys are kept, in a file or in a Kubernetes Secret: one JSON document for each kind.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CertificateAuthority, KeyError, SigningKey, SigningKeys, ring::Entry};

/// Something that is kept as a secret document.
pub trait KeyDocument: Sized {
    /// Key of the Secret's data, name of the file.
    const NAME: &'static str;

    /// As it is kept.
    fn to_document(&self) -> Result<SecretString, KeyError>;

    /// From what was kept.
    fn from_document(document: &SecretString) -> Result<Self, KeyError>;
}

/// A private key's PEM on its way; overwritten when it is dropped.
struct Kept(Zeroizing<String>);

impl Kept {
    fn of(pem: &SecretString) -> Self {
        Self(Zeroizing::new(pem.expose_secret().to_owned()))
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|pem| Self(Zeroizing::new(pem)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    signs_from: DateTime<Utc>,
    pem: Kept,
}

#[derive(Serialize, Deserialize)]
struct StoredKeys {
    keys: Vec<StoredKey>,
}

impl KeyDocument for SigningKeys {
    const NAME: &'static str = "signing-keys.json";

    fn to_document(&self) -> Result<SecretString, KeyError> {
        let stored = |entry: &Entry| {
            let pem = entry.key.to_pem()?;
            Ok(StoredKey { signs_from: entry.signs_from, pem: Kept::of(&pem) })
        };
        let keys = self.entries().iter().map(stored).collect::<Result<_, KeyError>>()?;
        write(&StoredKeys { keys })
    }

    fn from_document(document: &SecretString) -> Result<Self, KeyError> {
        let stored: StoredKeys = read(document, "signing keys", "JSON as written by scim-tekton: {\"keys\": [...]}")?;
        let entry =
            |key: StoredKey| Ok(Entry { key: Arc::new(SigningKey::from_pem(&key.pem.0)?), signs_from: key.signs_from });
        Self::of(stored.keys.into_iter().map(entry).collect::<Result<_, KeyError>>()?)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCa {
    name: String,
    not_after: DateTime<Utc>,
    certificate: String,
    key: Kept,
}

impl KeyDocument for CertificateAuthority {
    const NAME: &'static str = "ca.json";

    fn to_document(&self) -> Result<SecretString, KeyError> {
        write(&StoredCa {
            name: self.name().to_owned(),
            not_after: self.not_after(),
            certificate: self.certificate_pem().to_owned(),
            key: Kept::of(self.key_pem()),
        })
    }

    fn from_document(document: &SecretString) -> Result<Self, KeyError> {
        let stored: StoredCa = read(document, "CA", "JSON as written by scim-tekton: {\"certificate\": ...}")?;
        Self::from_parts(stored.name, stored.not_after, stored.certificate, &stored.key.0)
    }
}

fn write(document: &impl Serialize) -> Result<SecretString, KeyError> {
    serde_json::to_string_pretty(document).map(Into::into).map_err(|error| KeyError::Make(error.to_string()))
}

/// The parser's own message could quote what it read.
fn read<T: serde::de::DeserializeOwned>(
    document: &SecretString,
    what: &'static str,
    expected: &'static str,
) -> Result<T, KeyError> {
    serde_json::from_str(document.expose_secret()).map_err(|_| KeyError::Read { what, expected })
}
