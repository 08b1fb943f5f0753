//! The parts that live in a cluster: connected, installed, put together.

use std::{collections::BTreeMap, sync::Arc};

use kube::Config as KubeConfig;
use tracing::{info, warn};

use super::{
    ServeError,
    install::{Reach, apply_cluster_interceptor},
};
use crate::{
    clock::Clock,
    cluster::{Cluster, Events},
    config::{Config, Enabled},
    controller::{Context, Enforcer, Namespaces, RbacSettings, RbacSync, admission::Guard, catalog::Ready},
    credential::{kubernetes::KubernetesProvider, oidc::OidcProvider},
    directory::DirectoryCell,
    keys::CertificateAuthority,
    policy::CatalogCell,
    revocation::Revoker,
    store::Store,
};

/// Name of the Service that EventListeners reach the interceptor by, and its port.
const INTERCEPTOR_SERVICE: &str = "scim-tekton-interceptor";
const INTERCEPTOR_PORT: u16 = 8443;
/// The account of the RBAC module.
const RBAC_ACCOUNT: &str = "scim-tekton-rbac";

/// Connects, if there is a cluster and it is wanted.
pub async fn connect(config: &Config) -> Result<Option<Cluster>, ServeError> {
    if config.kubernetes.enabled == Enabled::False {
        info!("kubernetes is off: the controller does not run");
        return Ok(None);
    }
    let found = match KubeConfig::infer().await {
        Ok(found) => found,
        Err(error) if config.kubernetes.enabled == Enabled::Auto => {
            info!(%error, "no cluster is configured: the controller does not run");
            return Ok(None);
        }
        Err(error) => return Err(ServeError::NoCluster(error.to_string())),
    };
    let account = format!("system:serviceaccount:{}:{RBAC_ACCOUNT}", config.install_namespace);
    let cluster = Cluster::connect(found, &account).await;
    cluster.map(Some).map_err(|error| ServeError::NoCluster(error.to_string()))
}

/// What `serve` needs of the cluster's part.
pub struct Clustered {
    /// For the controllers.
    pub context: Arc<Context>,
    /// For SCIM.
    pub enforcer: Arc<Enforcer>,
}

/// What all components share.
pub struct Shared {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The identities.
    pub directory: DirectoryCell,
    /// The policies.
    pub catalog: CatalogCell,
    /// Time.
    pub clock: Clock,
    /// The provider of JWTs.
    pub oidc: Arc<OidcProvider>,
}

/// Puts the cluster's part together.
pub fn assemble(config: &Config, cluster: &Cluster, shared: &Shared) -> Clustered {
    let instance = config.cluster_interceptor.name.as_str();
    let clock = Arc::clone(&shared.clock);
    let kubernetes =
        Arc::new(KubernetesProvider::new(cluster.clone(), Arc::clone(&clock), &config.grants_namespace, instance));
    let revoker =
        Arc::new(Revoker::new(Arc::clone(&shared.store), cluster.clone(), Arc::clone(&kubernetes), Arc::clone(&clock)));
    let namespaces = Namespaces::new(cluster.direct.clone(), &config.controller.namespace_selector);
    let catalog_ready = Arc::new(Ready::default());
    let rbac = Arc::new(RbacSync::new(
        cluster.clone(),
        Arc::clone(&shared.directory),
        (Arc::clone(&shared.catalog), Arc::clone(&catalog_ready)),
        namespaces.clone(),
        rbac_settings(config),
    ));
    let enforcer = Enforcer::new(
        Arc::clone(&revoker),
        Arc::clone(&rbac),
        config.scim.revocation_wait.chrono().to_std().unwrap_or_default(),
    );
    let context = Context {
        admission: Arc::new(Guard::new(Arc::clone(&clock))),
        store: Arc::clone(&shared.store),
        cluster: cluster.clone(),
        directory: Arc::clone(&shared.directory),
        catalog: Arc::clone(&shared.catalog),
        catalog_ready,
        revoker,
        kubernetes,
        oidc: Arc::clone(&shared.oidc),
        rbac,
        events: Events::new(cluster.direct.clone(), instance),
        namespaces,
        clock,
        instance: instance.to_owned(),
        install_namespace: config.install_namespace.clone(),
        grants_namespace: config.grants_namespace.clone(),
    };
    Clustered { context: Arc::new(context), enforcer: Arc::new(enforcer) }
}

/// Makes or mends our ClusterInterceptor. Called when the interceptor listens: an EventListener may use it at once.
pub async fn introduce(config: &Config, cluster: &Cluster, ca: &CertificateAuthority) -> Result<(), ServeError> {
    let reach = match &config.cluster_interceptor.url {
        Some(url) => Reach::Url(url.clone()),
        None => Reach::Service {
            namespace: config.install_namespace.clone(),
            name: INTERCEPTOR_SERVICE.into(),
            port: INTERCEPTOR_PORT,
        },
    };
    let name = &config.cluster_interceptor.name;
    Ok(apply_cluster_interceptor(&cluster.direct, name, &reach, ca.certificate_pem()).await?)
}

/// The names that our certificates are for.
pub fn server_names(config: &Config) -> Vec<String> {
    let namespace = &config.install_namespace;
    let mut names = vec!["localhost".to_owned()];
    for service in ["scim-tekton", INTERCEPTOR_SERVICE] {
        names.push(format!("{service}.{namespace}.svc"));
        names.push(format!("{service}.{namespace}.svc.cluster.local"));
    }
    let external = config.external_url();
    let host = external.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    if !host.is_empty() && host.parse::<std::net::IpAddr>().is_err() && !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    names
}

/// Where we listen by a plain address, so that a client that uses it may verify us too.
pub fn addresses(config: &Config) -> Vec<std::net::IpAddr> {
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

fn rbac_settings(config: &Config) -> RbacSettings {
    let username_prefixes: BTreeMap<_, _> = config
        .idps
        .iter()
        .filter(|idp| {
            let known = idp.kubernetes.username_attribute == "userName";
            if !known {
                warn!(idp = idp.name.as_str(), "idps[].kubernetes.usernameAttribute: only userName is supported yet");
            }
            known
        })
        .map(|idp| (idp.name.as_str().into(), idp.kubernetes.username_prefix.clone()))
        .collect();
    RbacSettings { username_prefixes, instance: config.cluster_interceptor.name.clone() }
}
