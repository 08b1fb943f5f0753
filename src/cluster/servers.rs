//! Where the API servers are, and a client for each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::AuthInfo,
    runtime::{WatchStreamExt as _, watcher},
};
use tracing::{debug, info, warn};

/// How long an answer of an API server may take where somebody waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the list of API servers is read again if no change is told.
const REFRESH: Duration = Duration::from_secs(30);
/// Those of the Service `kubernetes`.
const OF_KUBERNETES: &str = "kubernetes.io/service-name=kubernetes";

/// One API server, by its own address.
pub struct ApiServer {
    /// `host:port`.
    pub address: Arc<str>,
    /// Ourselves, without retries and with a time limit.
    pub client: Client,
    /// The account of the RBAC module, so too.
    pub rbac: Client,
    /// Nobody: for requests that bring a token of their own.
    pub anonymous: Client,
}

/// The cluster: our clients, and every API server that can be addressed.
#[derive(Clone)]
pub struct Cluster {
    config: Config,
    /// For watches and for what nobody waits for: retries, no time limit.
    pub patient: Client,
    /// For what a caller waits for: no retries (a retried create could revive what was revoked), a time limit.
    pub direct: Client,
    /// The account of the RBAC module, which has its own `bind` list.
    pub rbac: Client,
    rbac_account: Arc<str>,
    servers: Arc<ArcSwap<Vec<Arc<ApiServer>>>>,
    down: Arc<AtomicBool>,
}

impl Cluster {
    /// Connects with this configuration; `rbac_account` is impersonated by the RBAC module.
    pub async fn connect(config: Config, rbac_account: &str) -> Result<Self, kube::Error> {
        let cluster = Self {
            patient: Client::try_from(patient(config.clone()))?,
            direct: Client::try_from(hurried(config.clone()))?,
            rbac: Client::try_from(impersonating(hurried(config.clone()), rbac_account))?,
            rbac_account: rbac_account.into(),
            servers: Arc::default(),
            down: Arc::default(),
            config,
        };
        cluster.refresh().await?;
        Ok(cluster)
    }

    /// A cluster of these clients, which answer as they like.
    #[cfg(test)]
    pub(crate) fn of(direct: Client, servers: Vec<ApiServer>) -> Self {
        let servers = servers.into_iter().map(Arc::new).collect::<Vec<_>>();
        Self {
            config: Config::new(http::Uri::from_static("https://kubernetes.test")),
            patient: direct.clone(),
            rbac: direct.clone(),
            direct,
            rbac_account: "rbac".into(),
            servers: Arc::new(ArcSwap::from_pointee(servers)),
            down: Arc::default(),
        }
    }

    /// Every API server that can be addressed, as of now.
    pub fn servers(&self) -> Arc<Vec<Arc<ApiServer>>> {
        self.servers.load_full()
    }

    /// Whether none answered when all were last asked at once: then nobody waits for what can't be done now.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// All were asked at once: whether one has answered.
    pub fn note_answer(&self, answered: bool) {
        let changed = self.down.swap(!answered, Ordering::Relaxed) == answered;
        match (changed, answered) {
            (true, true) => info!("an API server answers again"),
            (true, false) => warn!("no API server answers; whoever takes rights away is not held up by that"),
            (false, _) => {}
        }
    }

    /// The certificate authority of the API servers, PEM.
    pub fn ca_pem(&self) -> String {
        use base64::Engine as _;
        let mut pem = String::new();
        for der in self.config.root_cert.iter().flatten() {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            for line in text.as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        pem
    }

    /// Keeps the list of API servers fresh, for ever: a new one is asked from the moment that it is announced.
    pub async fn keep_fresh(self) {
        let slices: Api<EndpointSlice> = Api::namespaced(self.patient.clone(), "default");
        let ours = watcher::Config::default().timeout(30).labels(OF_KUBERNETES);
        let told = watcher(slices, ours).default_backoff().touched_objects();
        pin_mut!(told);
        loop {
            let changed = tokio::time::timeout(REFRESH, told.next()).await;
            if let Ok(Some(Err(error))) = changed {
                debug!(%error, "the watch of the API servers' addresses broke; it is opened again");
            }
            if let Err(error) = self.refresh().await {
                warn!(%error, "can't read the API servers' addresses; the old ones stay in use");
            }
        }
    }

    async fn refresh(&self) -> Result<(), kube::Error> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.direct.clone(), "default");
        let slices = slices.list(&ListParams::default().labels(OF_KUBERNETES)).await?;
        let mut found: BTreeMap<Arc<str>, Arc<ApiServer>> = BTreeMap::new();
        let known = self.servers();
        for slice in slices {
            let port = slice.ports.iter().flatten().find_map(|port| port.port).unwrap_or(443);
            for host in slice.endpoints.iter().flatten().flat_map(|endpoint| &endpoint.addresses) {
                let host = if slice.address_type == "IPv6" { format!("[{host}]") } else { host.clone() };
                let address: Arc<str> = format!("{host}:{port}").into();
                let server = match known.iter().find(|server| server.address == address) {
                    Some(server) => Arc::clone(server),
                    None => Arc::new(self.server(Arc::clone(&address))?),
                };
                found.insert(address, server);
            }
        }
        if found.is_empty() {
            // A managed cloud may hide them: the one address that we know is the one that is asked.
            let address: Arc<str> = self.config.cluster_url.authority().map_or("kubernetes", |url| url.as_str()).into();
            debug!(%address, "no addressable API servers in the EndpointSlice");
            found.insert(Arc::clone(&address), Arc::new(self.server(address)?));
        }
        let servers: Vec<_> = found.into_values().collect();
        if servers.iter().map(|server| &server.address).ne(known.iter().map(|server| &server.address)) {
            info!(addresses = ?servers.iter().map(|server| &server.address).collect::<Vec<_>>(), "API servers");
            self.servers.store(Arc::new(servers));
        }
        Ok(())
    }

    fn server(&self, address: Arc<str>) -> Result<ApiServer, kube::Error> {
        let mut config = hurried(self.config.clone());
        if let Ok(url) = format!("https://{address}").parse() {
            config.cluster_url = url;
        }
        if config.tls_server_name.is_none() {
            config.tls_server_name = Some("kubernetes.default.svc".into());
        }
        let client = Client::try_from(config.clone())?;
        let rbac = Client::try_from(impersonating(config.clone(), &self.rbac_account))?;
        config.auth_info = AuthInfo::default();
        let anonymous = Client::try_from(config)?;
        Ok(ApiServer { address, client, rbac, anonymous })
    }
}

/// Watches are opened anew each 30 s, so that nothing healthy is silent for longer than this.
fn patient(mut config: Config) -> Config {
    config.read_timeout = Some(Duration::from_secs(45));
    config.reset_reader_on_write = true;
    config
}

fn hurried(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(ANSWER_TIMEOUT);
    config.read_timeout = Some(ANSWER_TIMEOUT);
    config.reset_reader_on_write = true;
    config
}

fn impersonating(mut config: Config, account: &str) -> Config {
    config.auth_info.impersonate = Some(account.to_owned());
    config
}

/// Whether an error says that the object does not exist.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether our admission policies kept us from an object that does not carry our label: what we made is not there.
pub fn is_not_ours(error: &kube::Error) -> bool {
    let by_policy = "ValidatingAdmissionPolicy 'scim-tekton-own-accounts'";
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains(by_policy))
}

/// Whether an error says that the object exists, or has changed meanwhile.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// Whether an error says that the namespace is being deleted: nothing is made in it any more.
pub fn is_terminating(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.any(|cause| cause.reason == "NamespaceTerminating")
}
