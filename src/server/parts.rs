//! Everything that the components share, opened and put together before anything listens.

use std::sync::{Arc, mpsc};

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{
    ServeError,
    admin::{AdminState, Check},
    cluster::{self, Clustered, Shared},
    commanded::Commanded,
    control::{
        ControlState,
        doctor::{AskIssuer, Inspect, Names},
    },
    denials::EventNotifier,
    folder,
    high_water::{HighWater, Place},
    idp_keys,
    inspect::Inspector,
    install,
    verifier::Verifier,
};
use crate::{
    clock::{self, Clock},
    cluster::Cluster,
    config::{Component, Config, Omissible, PatchAnswer, StoreUrl, UnknownMembers},
    credential::oidc::OidcProvider,
    directory::{Builder, Change, Directory, DirectoryCell, Part},
    identity::IdpName,
    interceptor::{self, InterceptorState, NobodyToTell, Notify, Refusals},
    issuer::{self, Clients, IssuerState},
    keys::{self, CertificateAuthority, KeyCell, LeafCell, SigningKeys},
    policy::{Catalog, CatalogCell},
    revocation::{Enforce, NothingToEnforce},
    scim::{self, ScimState, TokenTable},
    store::{SqlStore, Store, StoreError},
};

/// Secrets of the install namespace with our CA and our signing keys.
const CA_SECRET: &str = "scim-tekton-ca";
const KEYS_SECRET: &str = "scim-tekton-keys";

/// What the components share.
pub struct Parts {
    /// All of it.
    pub config: Config,
    /// Time.
    pub clock: Clock,
    /// The truth.
    pub store: Arc<SqlStore>,
    /// How far it has come.
    pub high_water: Arc<HighWater>,
    /// Our CA.
    pub ca: Arc<CertificateAuthority>,
    /// The certificate that our listeners show.
    pub leaf: Arc<LeafCell>,
    /// The cluster's part, where there is a cluster.
    pub clustered: Option<Clustered>,
    directory: DirectoryCell,
    catalog: CatalogCell,
    keys: KeyCell,
    pub tokens: Arc<TokenTable>,
}

impl Parts {
    /// Opens the store, finds the cluster, loads the keys.
    pub async fn prepare(config: Config) -> Result<Self, ServeError> {
        // Before anything reads a schema.
        config.install_extensions()?;
        let clock = clock::system();
        let directory: DirectoryCell = Arc::new(ArcSwap::from_pointee(Directory::new(config.link_authorities())));
        let store = open_store(&config, &clock, &directory).await?;
        let found = cluster::connect(&config).await?;
        let high_water = Arc::new(high_water(&config, found.as_ref(), &store));
        high_water.check().await?;
        let (ca, signing) = load_keys(&config, found.as_ref(), &clock).await?;
        let leaf = LeafCell::new(ca.issue(&cluster::server_names(&config), &cluster::addresses(&config), clock())?);
        let catalog: CatalogCell = Arc::new(ArcSwap::from_pointee(catalog_of_folder(&config, found.is_some())?));
        let keys: KeyCell = Arc::new(ArcSwap::from_pointee(signing));
        let oidc = Arc::new(OidcProvider {
            keys: Arc::clone(&keys),
            issuer_url: config.external_url(),
            cluster_id: cluster_id(&config, found.as_ref()).await,
            targets: config.targets.clone(),
        });
        let shared = Shared {
            store: Arc::<SqlStore>::clone(&store),
            directory: Arc::clone(&directory),
            catalog: Arc::clone(&catalog),
            clock: Arc::clone(&clock),
            oidc,
        };
        for idp in config.idps.iter().filter(|idp| idp.jwt.is_some()) {
            // Without a token of ours nothing else makes it.
            store.make_idp(&idp.name.as_str().into()).await?;
        }
        let clustered = found.as_ref().map(|cluster| cluster::assemble(&config, cluster, &shared));
        let tokens = Arc::new(TokenTable::load(&*store).await?);
        let ca = Arc::new(ca);
        Ok(Self { config, clock, store, high_water, ca, leaf, clustered, directory, catalog, keys, tokens })
    }

    /// The store, for whoever needs no more than that.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::<SqlStore>::clone(&self.store)
    }

    /// For the SCIM endpoints.
    pub fn scim_state(&self) -> ScimState {
        let enforce: Arc<dyn Enforce> = match &self.clustered {
            Some(clustered) => Arc::<crate::controller::Enforcer>::clone(&clustered.enforcer),
            None => Arc::new(NothingToEnforce),
        };
        let idps = self.config.idps.iter().map(|idp| {
            let patch_answer = match idp.scim.patch_answer {
                PatchAnswer::Auto => scim::PatchAnswer::Auto,
                PatchAnswer::Resource => scim::PatchAnswer::Resource,
                PatchAnswer::NoContent => scim::PatchAnswer::NoContent,
            };
            let requests_per_second = idp.scim.requests_per_second.unwrap_or(self.config.scim.requests_per_second);
            let settings = scim::IdpSettings {
                mode: idp.scim.mode.into(),
                patch_answer,
                requests_per_second,
                skip_unknown_members: idp.scim.unknown_members == UnknownMembers::Ignore,
                advertise_password: idp.scim.advertise_password,
                omit: self.config.scim.omit.union(&idp.scim.omit).map(|one| omissible(*one)).collect(),
                advertise_limits: idp.scim.advertise_limits.unwrap_or(self.config.scim.advertise_limits),
                jwt: idp.jwt.as_ref().map(idp_keys::settings),
            };
            (IdpName::from(idp.name.as_str()), settings)
        });
        let default = scim::IdpSettings {
            requests_per_second: self.config.scim.requests_per_second,
            omit: self.config.scim.omit.iter().map(|one| omissible(*one)).collect(),
            advertise_limits: self.config.scim.advertise_limits,
            ..scim::IdpSettings::default()
        };
        let cursor_timeout = self.config.scim.cursor_timeout.chrono();
        let (bulk, limits) = (self.config.scim.bulk, (&self.config.scim).into());
        let settings = scim::Settings {
            idps: idps.collect(),
            default,
            cursor_timeout,
            bulk,
            limits,
            agents: self.config.scim.agents,
        };
        let (clock, tokens) = (Arc::clone(&self.clock), Arc::clone(&self.tokens));
        ScimState::new(self.shared_store(), clock, enforce, tokens, &self.config.external_url(), settings)
    }

    /// SCIM and the issuer, as far as this process runs them.
    pub fn http_router(&self, scim: &ScimState) -> Result<axum::Router, ServeError> {
        let mut http = axum::Router::new();
        if self.config.runs(Component::Scim) {
            http = http.merge(scim::router(scim.clone()));
        }
        if self.config.runs(Component::Issuer) {
            let environment = std::env::vars().collect();
            let clients = Clients::load(&self.config.issuer.clients, &environment)?;
            let (keys, clock) = (Arc::clone(&self.keys), Arc::clone(&self.clock));
            let state = IssuerState::new(&self.config.external_url(), keys, self.shared_store(), clients, clock)?;
            http = http.merge(issuer::router(state));
        }
        Ok(http)
    }

    /// For the interceptor.
    pub fn interceptor_state(&self) -> InterceptorState {
        let notifier: Arc<dyn Notify> = match &self.clustered {
            Some(Clustered { context, .. }) => {
                Arc::new(EventNotifier::new(context.cluster.direct.clone(), context.events.clone()))
            }
            None => Arc::new(NobodyToTell),
        };
        InterceptorState {
            directory: Arc::clone(&self.directory),
            catalog: Arc::clone(&self.catalog),
            store: self.shared_store(),
            clock: Arc::clone(&self.clock),
            settings: Arc::new(interceptor::Settings::from(&self.config)),
            notifier,
            refusals: Arc::new(Refusals::default()),
        }
    }

    /// For the admin listener.
    pub fn admin_state(&self, metrics: PrometheusHandle) -> AdminState {
        let context = self.clustered.as_ref().map(|clustered| Arc::clone(&clustered.context));
        let controls = self.config.runs(Component::Controller);
        let checks = Arc::new(move || match &context {
            Some(context) => {
                let mut checks = vec![Check::part("catalog", context.catalog_ready.is_ready())];
                // Only who redeems and issues looks.
                if controls {
                    checks.push(Check::detail("admission", context.admission.check().is_ok()));
                }
                checks
            }
            None => vec![],
        });
        AdminState { store: self.shared_store(), checks, metrics: Arc::new(move || metrics.render()) }
    }

    /// For `doctor`.
    fn inspector(&self, clustered: &Clustered) -> Arc<dyn Inspect> {
        let config = &self.config;
        Arc::new(Inspector {
            cluster: clustered.context.cluster.clone(),
            names: Names {
                install: config.install_namespace.clone(),
                grants: config.grants_namespace.clone(),
                interceptor: config.cluster_interceptor.name.clone(),
            },
            intercepts: config.runs(Component::Interceptor),
            admission: config.runs(Component::Controller).then(|| Arc::clone(&clustered.context.admission)),
            ca: self.ca.certificate_pem().to_owned(),
            clock: Arc::clone(&self.clock),
        })
    }

    /// For `doctor`: as somebody sees our issuer who knows its name and trusts our CA.
    fn verifier(&self) -> Arc<dyn AskIssuer> {
        Arc::new(Verifier {
            url: self.config.external_url(),
            ca: self.ca.certificate_pem().to_owned(),
            keys: Arc::clone(&self.keys),
            clock: Arc::clone(&self.clock),
        })
    }

    /// For the command line.
    pub fn control_state(&self, scim: &ScimState) -> ControlState {
        ControlState {
            store: self.shared_store(),
            directory: Arc::clone(&self.directory),
            catalog: Arc::clone(&self.catalog),
            settings: Arc::new(interceptor::Settings::from(&self.config)),
            cluster: self.clustered.as_ref().map(|clustered| self.inspector(clustered)),
            issuer: self.config.runs(Component::Issuer).then(|| self.verifier()),
            clock: Arc::clone(&self.clock),
            scim: scim.clone(),
            effects: Arc::new(Commanded {
                revoker: self.clustered.as_ref().map(|clustered| Arc::clone(&clustered.context.revoker)),
                wait: self.config.scim.revocation_wait.chrono().to_std().unwrap_or_default(),
                tokens: Arc::clone(&self.tokens),
                store: self.shared_store(),
            }),
        }
    }
}

/// As `ServiceProviderConfig` spells it.
fn omissible(member: Omissible) -> &'static str {
    match member {
        Omissible::Pagination => "pagination",
        Omissible::SecurityEvents => "securityEvents",
    }
}

async fn open_store(config: &Config, clock: &Clock, directory: &DirectoryCell) -> Result<Arc<SqlStore>, ServeError> {
    let cell = Arc::clone(directory);
    let on_commit = Box::new(move |seq: i64, changes: &[Change]| {
        let mut next = Directory::clone(&cell.load());
        next.apply(seq, changes);
        cell.store(Arc::new(next));
    });
    let store = SqlStore::open(&config.store, Arc::clone(clock), on_commit)?;
    directory.store(Arc::new(load(&store, Builder::new(config.link_authorities())).await?));
    let now = directory.load();
    info!(store = %config.store, seq = now.seq(), "store open");
    // Their identity provider could not deactivate them.
    if !config.scim.agents && now.agents().next().is_some() {
        return Err(ServeError::AgentsOff);
    }
    for idp in now.idps().iter().filter(|idp| !now.is_confirmed(idp)) {
        warn!(%idp, "people of this IdP are denied since a backup was restored: `scim-tekton idp confirm`");
    }
    Ok(store)
}

/// A Directory as the store has it. One thread reads, another takes in, and between them are a few chunks at most: a
/// million resources don't stand in memory twice.
async fn load(store: &SqlStore, mut builder: Builder) -> Result<Directory, StoreError> {
    let (sender, chunks) = mpsc::sync_channel::<(i64, Vec<Part>)>(2);
    let attributes = builder.attributes();
    let building = spawn_blocking(move || {
        for (seq, parts) in chunks {
            builder.add(seq, parts);
        }
        builder.finish()
    });
    // If nobody takes it any more, `building` tells why.
    store.feed_directory(attributes, Box::new(move |seq, parts| drop(sender.send((seq, parts))))).await?;
    building.await.map_err(|error| StoreError::Failed(format!("the directory was not built: {error}")))
}

fn high_water(config: &Config, cluster: Option<&Cluster>, store: &Arc<SqlStore>) -> HighWater {
    let place = match cluster {
        Some(cluster) => Place::Secret {
            client: cluster.direct.clone(),
            namespace: config.install_namespace.clone(),
            instance: config.cluster_interceptor.name.clone(),
        },
        None => match &config.store {
            StoreUrl::Sqlite(path) => Place::beside(path),
            StoreUrl::Postgres(_) => Place::beside(&config.control_path()),
        },
    };
    HighWater::new(Arc::clone(store), config.store.clone(), place)
}

async fn load_keys(
    config: &Config,
    cluster: Option<&Cluster>,
    clock: &Clock,
) -> Result<(CertificateAuthority, SigningKeys), ServeError> {
    let now = clock();
    if let Some(cluster) = cluster {
        let (client, namespace) = (&cluster.direct, &config.install_namespace);
        let instance = &config.cluster_interceptor.name;
        let ca =
            install::load_or_make(client, namespace, CA_SECRET, instance, || CertificateAuthority::make(now)).await?;
        let keys =
            install::load_or_make(client, namespace, KEYS_SECRET, instance, || SigningKeys::generate(now)).await?;
        return Ok((ca, keys));
    }
    let folder = &config.state_folder();
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
