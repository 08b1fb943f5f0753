//! Starts components, listeners, TLS, shutdown.

pub mod control;

use crate::config::Config;

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// This build has no components yet.
    #[error("this build has no components to serve")]
    NoComponents,
}

/// Runs until it is told to stop.
#[expect(clippy::unused_async, reason = "the signature stands; the body comes with the components")]
pub async fn serve(_config: Config) -> Result<(), ServeError> {
    Err(ServeError::NoComponents)
}
