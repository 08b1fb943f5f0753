//! Policies from a folder, without a cluster: the same YAML, with secrets as files under `secrets/NAME/KEY`.

use std::{fs, path::Path};

use secrecy::SecretString;

use crate::{
    api::SecretKeyRef,
    policy::{Catalog, FolderError, catalog_from_documents},
};

/// Why a folder of policies is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ReadFolderError {
    /// A file can't be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file says what can't be honoured.
    #[error(transparent)]
    Content(#[from] FolderError),
}

/// Reads all `*.yaml` of a folder.
pub fn read(folder: &Path) -> Result<Catalog, ReadFolderError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| ReadFolderError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    let mut documents = Vec::new();
    for path in files {
        documents.push((path.display().to_string(), fs::read_to_string(&path).map_err(failed(&path))?));
    }
    Ok(catalog_from_documents(documents, |reference| secret(folder, reference))?)
}

fn secret(folder: &Path, reference: &SecretKeyRef) -> Result<SecretString, String> {
    let inside = |part: &str| !part.is_empty() && !part.contains(['/', '\\']) && part != "." && part != "..";
    if !inside(&reference.name) || !inside(&reference.key) {
        return Err(format!("secret {}/{}: expected plain names", reference.name, reference.key));
    }
    let path = folder.join("secrets").join(&reference.name).join(&reference.key);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match text.trim_end_matches('\n') {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok(text.to_owned().into()),
    }
}
