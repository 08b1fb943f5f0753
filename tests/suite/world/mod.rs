//! The world in which the suite plays: the cluster that runs, our installed instance in it, an identity provider, a
//! source host, and teams with namespaces of their own.

mod alone;
mod caller;
mod command;
mod disk;
mod github;
mod idp;
mod instance;
mod ledger;
mod pipelines;
mod prober;
mod process;
mod shop;
mod wait;
mod witness;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use kube::{Client, Config, config::KubeConfigOptions};

pub use alone::*;
pub use caller::*;
pub use command::*;
pub use disk::*;
pub use github::*;
pub use idp::*;
pub use instance::*;
pub use ledger::*;
pub use prober::*;
pub use process::*;
pub use shop::*;
pub use wait::*;
pub use witness::*;

/// Any failure of a test, as a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a test comes to.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Everything that tests share.
pub struct World {
    /// `target/cluster/env`.
    pub env: BTreeMap<String, String>,
    admin: Config,
    /// The cluster's admin.
    pub kube: Client,
    /// Our installed instance.
    pub instance: Instance,
    /// The identity provider `okta`, with its token.
    pub okta: Idp,
}

impl World {
    /// Finds the cluster and our instance; fails with what is missing.
    pub async fn connect() -> Outcome<Arc<Self>> {
        let file = std::env::var("CLUSTER_ENV").unwrap_or_else(|_| "target/cluster/env".into());
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{file}: {error}: no cluster runs; `make cluster install` starts one"))?;
        let env: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
            .collect();
        let kubeconfig = env.get("KUBECONFIG").ok_or("target/cluster/env names no KUBECONFIG")?;
        let kubeconfig = kube::config::Kubeconfig::read_from(PathBuf::from(kubeconfig))?;
        let admin = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let kube = Client::try_from(admin.clone())?;
        let instance = Instance::installed(&kube).await?;
        let okta = Idp::connect(&instance, "okta").await?;
        Ok(Arc::new(Self { env, admin, kube, instance, okta }))
    }

    /// The same cluster with an instance of the suite's own, which is started.
    pub async fn of_its_own(&self) -> Outcome<Arc<Self>> {
        let process = Arc::new(Process::prepare(self.env("CLUSTER_CA")).await?);
        process.start().await?;
        let instance = Instance::own(&self.kube, &process).await?;
        let okta = Idp::connect(&instance, "okta").await?;
        let (env, admin, kube) = (self.env.clone(), self.admin.clone(), self.kube.clone());
        Ok(Arc::new(Self { env, admin, kube, instance, okta }))
    }

    /// The process of an instance of the suite's own.
    pub fn process(&self) -> Outcome<&Arc<Process>> {
        Ok(self.instance.process.as_ref().ok_or("this instance is no process of ours")?)
    }

    /// The cluster's admin, at one API server by its own address.
    pub fn kube_at(&self, server: &str) -> Outcome<Client> {
        let mut config = self.admin.clone();
        config.cluster_url = server.parse()?;
        Ok(Client::try_from(config)?)
    }

    /// A value of `target/cluster/env`.
    pub fn env(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("target/cluster/env has no {key}"))
    }

    /// Both API servers, by their own addresses.
    pub fn api_servers(&self) -> [String; 2] {
        [self.env("APISERVER_1").to_owned(), self.env("APISERVER_2").to_owned()]
    }

    /// The API servers' CA.
    pub fn cluster_ca(&self) -> Outcome<reqwest::Certificate> {
        Ok(reqwest::Certificate::from_pem(&std::fs::read(self.env("CLUSTER_CA"))?)?)
    }
}

/// Eight characters that nobody else has.
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..8].to_owned()
}

/// Fails with a sentence unless it holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(format!($($sentence)+).into());
        }
    };
}
