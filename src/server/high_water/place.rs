//! Where the mark is kept: in a Secret of the install namespace, or, without a cluster, in a file beside the store.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::Mark;
use crate::{api::INSTANCE_LABEL, cluster::is_not_found};

/// The Secret; nothing in it is secret, but no other kind may be written by us there.
const SECRET: &str = "scim-tekton-high-water";

/// Why a mark can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// An API server said no.
    #[error("{doing}: {source}")]
    Kubernetes {
        /// What was being done.
        doing: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The file system did.
    #[error("{path}: {source}")]
    File {
        /// Where.
        path: String,
        /// What it said.
        source: io::Error,
    },
    /// It is no mark.
    #[error("{place} is not readable as how far the store had come ({why}): if the store is the newest, remove it")]
    Unreadable {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
}

/// Where the mark is.
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A Secret, with an entry for each instance.
    Secret {
        /// How to reach it.
        client: Client,
        /// The install namespace.
        namespace: String,
        /// Ours.
        instance: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Secret { namespace, instance, .. } => write!(f, "entry {instance} of Secret {namespace}/{SECRET}"),
        }
    }
}

impl Place {
    /// Beside a store.
    pub fn beside(store: &Path) -> Self {
        let mut name: OsString = store.as_os_str().to_owned();
        name.push(".high-water");
        Self::File(name.into())
    }

    /// What stands there.
    pub async fn read(&self) -> Result<Option<Mark>, PlaceError> {
        let bytes = match self {
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(source) => return Err(PlaceError::File { path: path.display().to_string(), source }),
            },
            Self::Secret { client, namespace, instance } => {
                let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
                let secret = secrets.get_opt(SECRET).await.map_err(|error| self.kubernetes("reading", error))?;
                secret.and_then(|secret| secret.data?.remove(instance)).map(|bytes| bytes.0)
            }
        };
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes);
        let unreadable =
            |error: serde_json::Error| PlaceError::Unreadable { place: self.to_string(), why: error.to_string() };
        bytes.map(parse).transpose().map_err(unreadable)
    }

    /// Replaces what stands there, as a whole or not at all.
    pub async fn write(&self, mark: &Mark) -> Result<(), PlaceError> {
        let json = serde_json::to_vec(mark);
        let json = json.map_err(|error| PlaceError::Unreadable { place: self.to_string(), why: error.to_string() })?;
        match self {
            Self::File(path) => {
                replace(path, &json).map_err(|source| PlaceError::File { path: path.display().to_string(), source })
            }
            Self::Secret { client, namespace, instance } => {
                let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
                // Only our entry: another instance's may change at the same time.
                let data = BTreeMap::from([(instance.clone(), ByteString(json))]);
                let patch = Patch::Merge(json!({ "data": data }));
                let written = match secrets.patch(SECRET, &PatchParams::default(), &patch).await {
                    Err(error) if is_not_found(&error) => {
                        let metadata = ObjectMeta {
                            name: Some(SECRET.to_owned()),
                            // Without it, the API server lets our account write no Secret.
                            labels: Some(BTreeMap::from([(INSTANCE_LABEL.to_owned(), instance.clone())])),
                            ..ObjectMeta::default()
                        };
                        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
                        secrets.create(&PostParams::default(), &secret).await
                    }
                    written => written,
                };
                written.map(drop).map_err(|error| self.kubernetes("writing", error))
            }
        }
    }

    fn kubernetes(&self, doing: &str, source: kube::Error) -> PlaceError {
        PlaceError::Kubernetes { doing: format!("{doing} {self}"), source: Box::new(source) }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}
