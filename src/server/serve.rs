//! `serve`: everything that runs, until it is told to stop or a part of it ends.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    admin::{self, AdminState},
    cluster::{self, Clustered, Shared},
    control::{self, ControlState, Effects, SocketError},
    denials::EventNotifier,
    folder::{self, ReadFolderError},
    install::{self, InstallError},
    listeners::listen,
};
use crate::{
    clock::{self, Clock},
    cluster::{Cluster, Events},
    config::{Component, Config, ConfigError},
    controller,
    credential::oidc::OidcProvider,
    directory::{Change, Directory, DirectoryCell},
    interceptor::{self, InterceptorState, NobodyToTell, Notify, Refusals},
    issuer::{self, Clients, IssuerState},
    keys::{self, CertificateAuthority, KeyError, LeafCell, SigningKeys},
    policy::{Catalog, CatalogCell},
    revocation::{Enforce, NothingToEnforce, Revoker},
    scim::{self, ScimState, TokenTable},
    store::{Revocations, SqliteStore, Store, StoreError},
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

/// Secrets of the install namespace with our CA and our signing keys.
const CA_SECRET: &str = "scim-tekton-ca";
const KEYS_SECRET: &str = "scim-tekton-keys";

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    telemetry::init_logs(&config.log)?;
    let metrics = telemetry::init_metrics()?;
    let clock = clock::system();
    let shutdown = CancellationToken::new();
    let directory: DirectoryCell = Arc::new(ArcSwap::from_pointee(Directory::new(config.link_authorities())));
    let store = open_store(&config, &clock, &directory).await?;
    let found = cluster::connect(&config).await?;
    let (ca, signing) = load_keys(&config, found.as_ref(), &clock).await?;
    let leaf = LeafCell::new(ca.issue(&cluster::server_names(&config), &addresses(&config), clock())?);
    let catalog: CatalogCell = Arc::new(ArcSwap::from_pointee(catalog_of_folder(&config, found.is_some())?));
    let keys = Arc::new(ArcSwap::from_pointee(signing));
    let cluster_id = cluster_id(&config, found.as_ref()).await;
    let oidc = Arc::new(OidcProvider {
        keys: Arc::clone(&keys),
        issuer_url: config.external_url(),
        cluster_id,
        targets: config.targets.clone(),
    });
    let shared = Shared {
        store: Arc::<SqliteStore>::clone(&store),
        directory: Arc::clone(&directory),
        catalog: Arc::clone(&catalog),
        clock: Arc::clone(&clock),
        oidc,
    };
    let clustered = found.as_ref().map(|cluster| cluster::assemble(&config, cluster, &shared));
    let enforce: Arc<dyn Enforce> = match &clustered {
        Some(clustered) => Arc::<controller::Enforcer>::clone(&clustered.enforcer),
        None => Arc::new(NothingToEnforce),
    };

    let mut all = JoinSet::new();
    let mut http = axum::Router::new();
    let tokens = Arc::new(TokenTable::load(&*store).await?);
    let scim = ScimState::new(
        Arc::clone(&shared.store),
        Arc::clone(&clock),
        enforce,
        Arc::clone(&tokens),
        &config.external_url(),
        scim::Settings::default(),
    );
    if config.runs(Component::Scim) {
        http = http.merge(scim::router(scim.clone()));
    }
    if config.runs(Component::Issuer) {
        let environment = std::env::vars().collect();
        let clients = Clients::load(&config.issuer.clients, &environment)?;
        let url = config.external_url();
        http = http.merge(issuer::router(IssuerState::new(
            &url,
            keys,
            Arc::clone(&shared.store),
            clients,
            Arc::clone(&clock),
        )?));
    }
    let tls = config.listen.tls.then_some(&leaf);
    listen(&mut all, "http", config.listen.http, tls, http, &shutdown)?;
    if config.runs(Component::Interceptor) {
        let state = interceptor_state(&config, found.as_ref(), &shared);
        tokio::spawn(flush_refusals(state.clone()));
        listen(&mut all, "interceptor", config.listen.interceptor, Some(&leaf), interceptor::router(state), &shutdown)?;
    }
    let checks = {
        let clustered = clustered.as_ref().map(|clustered| Arc::clone(&clustered.context));
        Arc::new(move || match &clustered {
            Some(context) => vec![("catalog", context.catalog_ready.is_ready())],
            None => vec![],
        })
    };
    tokio::spawn(upkeep(metrics.clone()));
    let admin = AdminState { store: Arc::clone(&shared.store), checks, metrics: Arc::new(move || metrics.render()) };
    listen(&mut all, "admin", config.listen.admin, None, admin::router(admin), &shutdown)?;
    let control = ControlState {
        store: Arc::clone(&shared.store),
        directory,
        clock: Arc::clone(&clock),
        effects: Arc::new(Commanded {
            revoker: clustered.as_ref().map(|clustered| Arc::clone(&clustered.context.revoker)),
            wait: config.scim.revocation_wait.chrono().to_std().unwrap_or_default(),
            tokens,
            store: Arc::clone(&shared.store),
        }),
    };
    let path = config.control_path()?;
    all.spawn({
        let shutdown = shutdown.clone();
        async move {
            let end = async move { shutdown.cancelled().await };
            Ok(control::serve_unix(&path, control::router(control), end).await?)
        }
    });
    if let (Some(Clustered { context, .. }), true) = (&clustered, config.runs(Component::Controller)) {
        let context = Arc::clone(context);
        let shutdown = shutdown.clone();
        all.spawn(async move {
            tokio::select! {
                () = controller::run(context) => Err(ServeError::Ended("the controller")),
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }
    if let Some(found) = &found
        && config.runs(Component::Interceptor)
    {
        cluster::introduce(&config, found, &ca).await?;
        all.spawn(tend_leaf(config.clone(), ca, leaf, clock, shutdown.clone()));
    }
    info!("ready to serve");
    let outcome = until_told(&mut all, &shutdown).await;
    // Writes outlive their connections.
    scim.writes().close();
    scim.writes().wait().await;
    tokio::task::block_in_place(|| store.close());
    info!("stopped");
    outcome
}

async fn open_store(
    config: &Config,
    clock: &Clock,
    directory: &DirectoryCell,
) -> Result<Arc<SqliteStore>, ServeError> {
    let cell = Arc::clone(directory);
    let on_commit = Box::new(move |seq: i64, changes: &[Change]| {
        let mut next = Directory::clone(&cell.load());
        next.apply(seq, changes);
        cell.store(Arc::new(next));
    });
    let store = SqliteStore::open(config.sqlite_path()?, Arc::clone(clock), on_commit)?;
    let (seq, changes) = store.load_directory().await?;
    let mut first = Directory::new(config.link_authorities());
    first.apply(seq, &changes);
    directory.store(Arc::new(first));
    info!(path = config.store, seq, "store open");
    Ok(store)
}

async fn load_keys(
    config: &Config,
    cluster: Option<&Cluster>,
    clock: &Clock,
) -> Result<(CertificateAuthority, SigningKeys), ServeError> {
    let now = clock();
    if let Some(cluster) = cluster {
        let (client, namespace) = (&cluster.direct, &config.install_namespace);
        let ca = install::load_or_make(client, namespace, CA_SECRET, || CertificateAuthority::make(now)).await?;
        let keys = install::load_or_make(client, namespace, KEYS_SECRET, || SigningKeys::generate(now)).await?;
        return Ok((ca, keys));
    }
    let path = config.sqlite_path()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let ca = keys::file::load_or_make(folder, || CertificateAuthority::make(now))?;
    let keys = keys::file::load_or_make(folder, || SigningKeys::generate(now))?;
    Ok((ca, keys))
}

fn catalog_of_folder(config: &Config, in_cluster: bool) -> Result<Catalog, ServeError> {
    match &config.policies {
        Some(folder) if !in_cluster => Ok(folder::read(folder)?),
        Some(folder) => {
            warn!(folder = %folder.display(), "policies come from the cluster; the folder is not read");
            Ok(Catalog::default())
        }
        None => Ok(Catalog::default()),
    }
}

/// The UID of `kube-system` names a cluster for ever, as other projects do it.
async fn cluster_id(config: &Config, cluster: Option<&Cluster>) -> String {
    if let (None, Some(cluster)) = (&config.issuer.cluster_id, cluster) {
        match Api::<Namespace>::all(cluster.direct.clone()).get("kube-system").await {
            Ok(namespace) => return namespace.uid().unwrap_or_default(),
            Err(error) => warn!(%error, "can't read the UID of kube-system: tokens name the cluster `default`"),
        }
    }
    config.issuer.cluster_id.clone().unwrap_or_else(|| "default".into())
}

fn interceptor_state(config: &Config, cluster: Option<&Cluster>, shared: &Shared) -> InterceptorState {
    let instance = &config.cluster_interceptor.name;
    let notifier: Arc<dyn Notify> = match cluster {
        Some(cluster) => {
            Arc::new(EventNotifier::new(cluster.patient.clone(), Events::new(cluster.patient.clone(), instance)))
        }
        None => Arc::new(NobodyToTell),
    };
    InterceptorState {
        directory: Arc::clone(&shared.directory),
        catalog: Arc::clone(&shared.catalog),
        store: Arc::clone(&shared.store),
        clock: Arc::clone(&shared.clock),
        settings: Arc::new(interceptor::Settings {
            cluster_interceptor: instance.clone(),
            ticket_ttl: config.ticket.ttl.chrono(),
        }),
        notifier,
        refusals: Arc::new(Refusals::default()),
    }
}

/// Keeps the metrics' memory bounded.
async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}

async fn flush_refusals(state: InterceptorState) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        state.flush_refusals().await;
    }
}

/// Shows a fresh certificate before the old one ends; the CA stays, so EventListeners notice nothing.
async fn tend_leaf(
    config: Config,
    ca: CertificateAuthority,
    leaf: Arc<LeafCell>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(3_600)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        if leaf.get().needs_renewal(clock()) {
            match ca.issue(&cluster::server_names(&config), &addresses(&config), clock()) {
                Ok(fresh) => leaf.set(fresh),
                Err(error) => error!(%error, "can't renew our certificate"),
            }
        }
    }
}

/// Where we listen by a plain address, so that a client that uses it may verify us too.
fn addresses(config: &Config) -> Vec<std::net::IpAddr> {
    let mut addresses = vec![std::net::Ipv4Addr::LOCALHOST.into()];
    let external = config.external_url();
    let host = external.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    addresses.extend(host.split(['/', ':']).next().and_then(|host| host.parse::<std::net::IpAddr>().ok()));
    for address in [config.listen.http.ip(), config.listen.interceptor.ip()] {
        if !address.is_unspecified() {
            addresses.push(address);
        }
    }
    addresses
}

/// Runs until a signal or until a part ends; then lets the listeners drain.
async fn until_told(
    all: &mut JoinSet<Result<(), ServeError>>,
    shutdown: &CancellationToken,
) -> Result<(), ServeError> {
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

/// What follows from a command.
struct Commanded {
    revoker: Option<Arc<Revoker>>,
    wait: Duration,
    tokens: Arc<TokenTable>,
    store: Arc<dyn Store>,
}

#[async_trait::async_trait]
impl Effects for Commanded {
    async fn revoke(&self, revocations: Revocations) {
        let Some(revoker) = self.revoker.clone() else { return };
        let work = tokio::spawn(async move { revoker.revoke(revocations).await });
        if tokio::time::timeout(self.wait, work).await.is_err() {
            warn!("answering before all is proven; the rest is durable and goes on");
        }
    }

    async fn tokens_changed(&self) {
        if let Err(error) = self.tokens.reload(&*self.store).await {
            error!(%error, "can't reload the bearer tokens");
        }
    }
}
