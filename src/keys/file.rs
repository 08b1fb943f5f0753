//! Keeps key documents as files, for running without a cluster: readable by us alone, replaced as a whole or not at
//! all.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use secrecy::ExposeSecret as _;

use super::{KeyDocument, KeyError};

/// What is kept in `folder`; `None` if nothing is.
pub fn load<T: KeyDocument>(folder: &Path) -> Result<Option<T>, KeyError> {
    let path = folder.join(T::NAME);
    match fs::read_to_string(&path) {
        Ok(text) => T::from_document(&text.into()).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(&path, source)),
    }
}

/// Keeps it in `folder`, which must exist.
pub fn save<T: KeyDocument>(folder: &Path, keys: &T) -> Result<(), KeyError> {
    let path = folder.join(T::NAME);
    // Of this process alone, and in the same folder: a rename is atomic only within one file system.
    let fresh = folder.join(format!(".{}.{}", T::NAME, std::process::id()));
    let document = keys.to_document()?;
    let written = write_private(&fresh, document.expose_secret().as_bytes())
        .and_then(|()| fs::rename(&fresh, &path))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.map_err(|source| failed(&path, source))
}

/// What is kept, or what `make` makes, kept.
pub fn load_or_make<T: KeyDocument>(folder: &Path, make: impl FnOnce() -> Result<T, KeyError>) -> Result<T, KeyError> {
    if let Some(kept) = load(folder)? {
        return Ok(kept);
    }
    let new = make()?;
    save(folder, &new)?;
    Ok(new)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn failed(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chrono::DateTime;

    use super::*;
    use crate::keys::{CertificateAuthority, SigningKeys};

    #[test]
    fn keys_are_made_once_and_are_ours_alone_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let now = DateTime::UNIX_EPOCH;
        let first = load_or_make(folder.path(), || SigningKeys::generate(now)).unwrap();
        let again = load_or_make(folder.path(), || SigningKeys::generate(now)).unwrap();
        assert_eq!(first.jwks_json(), again.jwks_json());
        let mode = fs::metadata(folder.path().join("signing-keys.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let ca = load_or_make(folder.path(), || CertificateAuthority::make(now)).unwrap();
        let again: CertificateAuthority = load(folder.path()).unwrap().unwrap();
        assert_eq!(ca.certificate_pem(), again.certificate_pem());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_broken_file_is_an_error_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("signing-keys.json"), "{\"keys\": \"hunter2\"}").unwrap();
        let made = load_or_make(folder.path(), || SigningKeys::generate(DateTime::UNIX_EPOCH));
        let text = made.unwrap_err().to_string();
        assert!(text.contains("signing keys") && !text.contains("hunter2"), "{text}");
    }
}
