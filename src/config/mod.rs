//! The configuration: one YAML file, each key also an environment variable `SCIM_TEKTON_…`, each with a default that
//! works. What the file may hold is in `sections`; how file and environment become one is in `load`.
//!
//! No secret stands in it: secrets are named by file or environment variable. Anything above `directory` may use it.

mod extensions;
mod jwt;
mod keys;
mod limits;
mod load;
mod sections;
mod span;
mod store;
mod values;

pub use jwt::{IdpJwt, IdpMe, MeAttribute};
pub use limits::*;
pub use load::ConfigError;
pub use sections::*;
pub use span::Span;
pub use store::*;
pub use values::*;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::directory::LinkAuthority;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where everything durable stands: `sqlite://PATH` or `postgres://USER@HOST/DATABASE`.
    pub store: StoreUrl,
    /// Where we listen.
    pub listen: Listen,
    /// Under which address the world reaches our HTTP listener; the OIDC issuer's URL, exactly.
    pub external_url: Option<ExternalUrl>,
    /// What this process runs.
    pub components: BTreeSet<Component>,
    /// Folder with AccessPolicies, CredentialTemplates and EventSources, for running without a cluster.
    pub policies: Option<PathBuf>,
    /// What is to be known of identity providers beyond their tokens.
    pub idps: Vec<Idp>,
    /// Whose word is taken for the accounts of a source host, by host.
    pub link_authority: BTreeMap<String, LinkSource>,
    /// Provisioning.
    pub scim: Scim,
    /// Tickets.
    pub ticket: Ticket,
    /// The ClusterInterceptor that we create.
    pub cluster_interceptor: ClusterInterceptor,
    /// What the controller looks at.
    pub controller: Controller,
    /// Namespace of the Deployment, of EventSources' secrets, CA and keys. Default: `POD_NAMESPACE`, else `scim-tekton`.
    pub install_namespace: String,
    /// Namespace of Grants' service accounts.
    pub grants_namespace: String,
    /// Our OIDC issuer.
    pub issuer: Issuer,
    /// What tokens of our issuer may be made for, by name.
    pub targets: BTreeMap<String, Target>,
    /// Whether there is a cluster.
    pub kubernetes: Kubernetes,
    /// What is logged, and how.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreUrl::Sqlite("scim-tekton.db".into()),
            listen: Listen::default(),
            external_url: None,
            components: Component::ALL.into(),
            policies: None,
            idps: Vec::new(),
            link_authority: BTreeMap::new(),
            scim: Scim::default(),
            ticket: Ticket::default(),
            cluster_interceptor: ClusterInterceptor::default(),
            controller: Controller::default(),
            install_namespace: "scim-tekton".into(),
            grants_namespace: "scim-tekton-grants".into(),
            issuer: Issuer::default(),
            targets: BTreeMap::new(),
            kubernetes: Kubernetes::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads the file, if one is named, and lays the environment over it.
    pub fn load(file: Option<&Path>, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let yaml = match file {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?
            }
            None => String::new(),
        };
        let name = file.map_or_else(String::new, |path| path.display().to_string());
        load::from_parts(&name, &yaml, env)
    }

    /// The control socket: `listen.control`, else beside the store; with a server for a store, in the working folder.
    pub fn control_path(&self) -> PathBuf {
        match (&self.listen.control, &self.store) {
            (Some(path), _) => path.clone(),
            (None, StoreUrl::Sqlite(path)) => path.with_extension("sock"),
            (None, StoreUrl::Postgres(_)) => "scim-tekton.sock".into(),
        }
    }

    /// Where files are kept that a cluster would keep: beside the store; with a server for a store, beside the socket.
    pub fn state_folder(&self) -> PathBuf {
        let beside = match &self.store {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => self.control_path(),
        };
        match beside.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => ".".into(),
        }
    }

    /// The address under which the world reaches us: `externalUrl`, else this machine's own.
    pub fn external_url(&self) -> String {
        if let Some(url) = &self.external_url {
            return url.as_str().to_owned();
        }
        let scheme = if self.listen.tls { "https" } else { "http" };
        format!("{scheme}://{}", reachable(self.listen.http))
    }

    /// Whose word the Directory takes for Links.
    pub fn link_authorities(&self) -> Vec<LinkAuthority> {
        self.link_authority
            .iter()
            .map(|(host, source)| LinkAuthority {
                host: host.as_str().into(),
                idp: source.idp.as_str().into(),
                schema: source.attribute.schema.clone(),
                attribute: source.attribute.name.clone(),
            })
            .collect()
    }

    /// Whether this process runs a component.
    pub fn runs(&self, component: Component) -> bool {
        self.components.contains(&component)
    }
}

/// An address that a client on this machine can use for what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
