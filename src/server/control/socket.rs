//! The Unix socket: ours alone from the first moment, and never two servers behind one path.

use std::{
    fs,
    future::Future,
    io::{self, ErrorKind},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use axum::Router;
use tokio::net::UnixListener;

/// Why the control socket can't be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone answers there.
    #[error("another server answers at {0}: is `scim-tekton serve` running already?")]
    Taken(PathBuf),
    /// Something else is there.
    #[error("{0} is there and is no socket: set listen.control to another path")]
    NoSocket(PathBuf),
    /// The system refused; a path may have some 100 bytes.
    #[error("the control socket {path} can't be made: {source}")]
    Make {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens at `path` with mode 0600; a socket that a dead server left there is replaced.
pub fn bind_unix(path: &Path) -> Result<UnixListener, SocketError> {
    remove_stale(path)?;
    let make = |source| SocketError::Make { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(make)?;
    }
    // A socket is made with the process's umask: so it is made where nobody else may look, and moved when it is ours.
    let private = path.with_extension(format!("{}.tmp", std::process::id()));
    let _ = fs::remove_dir_all(&private);
    fs::DirBuilder::new().mode(0o700).create(&private).map_err(make)?;
    let fresh = private.join("s");
    let listener = UnixListener::bind(&fresh).and_then(|listener| {
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        fs::rename(&fresh, path)?;
        Ok(listener)
    });
    let _ = fs::remove_dir_all(&private);
    listener.map_err(make)
}

/// Serves the control API at `path` until `shutdown`, and takes the socket away then.
pub async fn serve_unix(
    path: &Path,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), SocketError> {
    let listener = bind_unix(path)?;
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown).await;
    let _ = fs::remove_file(path);
    served.map_err(|source| SocketError::Make { path: path.to_owned(), source })
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(SocketError::Make { path: path.to_owned(), source }),
    };
    if !there.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::Taken(path.to_owned()));
    }
    fs::remove_file(path).map_err(|source| SocketError::Make { path: path.to_owned(), source })
}
