//! `serve`: everything that runs, until it is told to stop or a part of it ends.

use std::{net::SocketAddr, sync::Arc};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    admin, background, cluster,
    control::{self, SocketError},
    folder::ReadFolderError,
    high_water::HighWaterError,
    idp_keys,
    install::InstallError,
    listeners::listen,
    parts::Parts,
};
use crate::{
    config::{Component, Config, ConfigError},
    controller, interceptor,
    keys::KeyError,
    scim::ScimState,
    store::StoreError,
    telemetry::{self, TelemetryError},
};

/// Why we can't serve (any longer).
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration says what can't be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store is not to be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is not the one that ran here last.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// There are Agents, and nobody could take them away.
    #[error("the store holds Agents: expected scim.agents: true until their identity providers have deleted them")]
    AgentsOff,
    /// A listener is not to be had.
    #[error("listener {name} on {address}: {source}")]
    Listen {
        /// Which.
        name: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The control socket is not to be had.
    #[error(transparent)]
    Control(#[from] SocketError),
    /// Logging or metrics.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// There should be a cluster.
    #[error("no cluster: {0}")]
    NoCluster(String),
    /// Our own objects in the cluster.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Keys and certificates.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The folder of policies.
    #[error("policies: {0}")]
    Policies(#[from] ReadFolderError),
    /// A part that must not end has ended: the process ends too, and is started anew.
    #[error("{0} has ended")]
    Ended(&'static str),
}

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    telemetry::init_logs(&config.log)?;
    let metrics = telemetry::init_metrics()?;
    let parts = Parts::prepare(config).await?;
    let mut all = JoinSet::new();
    let shutdown = CancellationToken::new();

    let scim = parts.scim_state();
    if parts.config.runs(Component::Scim) {
        idp_keys::tend(&scim);
    }
    let tls = parts.config.listen.tls.then_some(&parts.leaf);
    listen(&mut all, "http", parts.config.listen.http, tls, parts.http_router(&scim)?, &shutdown)?;
    if parts.config.runs(Component::Interceptor) {
        let state = parts.interceptor_state();
        tokio::spawn(background::flush_refusals(state.clone()));
        let router = interceptor::router(state);
        listen(&mut all, "interceptor", parts.config.listen.interceptor, Some(&parts.leaf), router, &shutdown)?;
    }
    tokio::spawn(background::upkeep(metrics.clone()));
    tokio::spawn(background::write_token_use(Arc::clone(&parts.tokens), parts.shared_store()));
    let high_water = Arc::clone(&parts.high_water);
    tokio::spawn(async move { high_water.follow().await });
    listen(&mut all, "admin", parts.config.listen.admin, None, admin::router(parts.admin_state(metrics)), &shutdown)?;
    spawn_control(&mut all, &parts, &scim, &shutdown);
    spawn_cluster(&mut all, &parts, &shutdown).await?;
    info!("ready to serve");
    let outcome = until_told(&mut all, &shutdown).await;
    // Writes outlive their connections.
    scim.writes().close();
    scim.writes().wait().await;
    if let Err(error) = parts.tokens.write_use(&*parts.store).await {
        warn!(%error, "can't write when the bearer tokens were last used");
    }
    tokio::task::block_in_place(|| parts.store.close());
    parts.high_water.note_last().await;
    info!("stopped");
    outcome
}

fn spawn_control(
    all: &mut JoinSet<Result<(), ServeError>>,
    parts: &Parts,
    scim: &ScimState,
    shutdown: &CancellationToken,
) {
    let path = parts.config.control_path();
    let router = control::router(parts.control_state(scim));
    let end = shutdown.clone().cancelled_owned();
    all.spawn(async move { Ok(control::serve_unix(&path, router, end).await?) });
}

async fn spawn_cluster(
    all: &mut JoinSet<Result<(), ServeError>>,
    parts: &Parts,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
    let Some(clustered) = &parts.clustered else { return Ok(()) };
    if parts.config.runs(Component::Controller) {
        let context = Arc::clone(&clustered.context);
        let shutdown = shutdown.clone();
        all.spawn(async move {
            tokio::select! {
                () = controller::run(context) => Err(ServeError::Ended("the controller")),
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }
    if parts.config.runs(Component::Interceptor) {
        // It listens by now: an EventListener may use it at once.
        cluster::introduce(&parts.config, &clustered.context.cluster, &parts.ca).await?;
        let (leaf, clock) = (Arc::clone(&parts.leaf), Arc::clone(&parts.clock));
        let (config, ca, shutdown) = (parts.config.clone(), Arc::clone(&parts.ca), shutdown.clone());
        all.spawn(async move {
            tokio::select! {
                () = background::tend_leaf(config, ca, leaf, clock) => Err(ServeError::Ended("the certificate's care")),
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }
    Ok(())
}

/// Runs until a signal or until a part ends; then lets the listeners drain.
async fn until_told(all: &mut JoinSet<Result<(), ServeError>>, shutdown: &CancellationToken) -> Result<(), ServeError> {
    let mut outcome = tokio::select! {
        () = told() => Ok(()),
        ended = all.join_next() => match ended {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(ServeError::Ended("a listener")),
        },
    };
    info!("stopping");
    shutdown.cancel();
    while let Some(ended) = all.join_next().await {
        if let (Ok(()), Ok(Err(error))) = (&outcome, ended) {
            outcome = Err(error);
        }
    }
    outcome
}

async fn told() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            warn!(%error, "no SIGTERM will be heard");
            let _ = interrupt.await;
        }
    }
}
