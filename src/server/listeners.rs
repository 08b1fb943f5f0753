//! Listeners with a graceful end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::keys::{LeafCell, server_config};

use super::ServeError;

/// How long open requests may take after the end was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves a router, with TLS where there is a leaf, until `shutdown`.
pub fn listen(
    all: &mut JoinSet<Result<(), ServeError>>,
    name: &'static str,
    address: SocketAddr,
    leaf: Option<&Arc<LeafCell>>,
    router: Router,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let failed = move |source| ServeError::Listen { name, address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let tls = leaf.map(server_config).transpose()?;
    info!(listener = name, %address, tls = tls.is_some(), "listening");
    let handle = Handle::new();
    tokio::spawn({
        let (handle, shutdown) = (handle.clone(), shutdown.clone());
        async move {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(DRAIN));
        }
    });
    let service = router.into_make_service();
    all.spawn(async move {
        match tls {
            Some(tls) => {
                let tls = RustlsConfig::from_config(Arc::new(tls));
                axum_server::from_tcp_rustls(listener, tls).map_err(failed)?.handle(handle).serve(service).await
            }
            None => axum_server::from_tcp(listener).map_err(failed)?.handle(handle).serve(service).await,
        }
        .map_err(failed)
    });
    Ok(())
}
