//! One life of our process, put together of the real parts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::executor::block_on;
use tokio::{task::JoinSet, time::Instant};

use super::{
    line::{Life, Line},
    watched_store::{Kept, WatchedStore},
    watches,
    world::{GRANTS, World},
};
use crate::{
    api::{AccessPolicy, CredentialTemplate, GrantPhase},
    cluster::{ApiServer, Cluster, Events},
    controller::{
        Context, Enforcer, Namespaces, RbacSettings, RbacSync, admission::Guard, catalog::Ready, removals, renew,
    },
    credential::{kubernetes::KubernetesProvider, oidc::OidcProvider},
    keys::SigningKeys,
    policy::Catalog,
    revocation::{Enforce as _, Revoker},
    store::{Provisioned, Store},
};

/// Name of our instance.
pub const INSTANCE: &str = "scim";
/// `scim.revocationWait`.
const WAIT: Duration = Duration::from_secs(5);

pub struct Process {
    pub parts: Parts,
    tasks: JoinSet<()>,
}

/// What requests need of it. They may outlive it, and do nothing then.
#[derive(Clone)]
pub struct Parts {
    pub context: Arc<Context>,
    pub store: Arc<WatchedStore>,
    pub life: Life,
    enforcer: Arc<Enforcer>,
}

impl Process {
    /// Starts one, as `server::cluster::assemble` and `controller::run` do.
    pub fn start(world: &Arc<World>, kept: &Arc<Kept>, keys: &Arc<ArcSwap<SigningKeys>>) -> Self {
        let (life, clock) = (Life::default(), world.clock());
        let client = |server| Line { world: Arc::clone(world), life: life.clone(), server }.client();
        let servers = [0, 1].map(|number| ApiServer {
            address: format!("server-{number}").into(),
            client: client(Some(number)),
            rbac: client(Some(number)),
            anonymous: client(Some(number)),
        });
        let cluster = Cluster::of(client(None), servers.into());
        let watched = Arc::new(WatchedStore { kept: Arc::clone(kept), world: Arc::clone(world), life: life.clone() });
        let store: Arc<dyn Store> = Arc::<WatchedStore>::clone(&watched);
        let kubernetes = Arc::new(KubernetesProvider::new(cluster.clone(), clock.clone(), GRANTS, INSTANCE));
        let revoker = Arc::new(Revoker::new(store.clone(), cluster.clone(), kubernetes.clone(), clock.clone()));
        let namespaces = Namespaces::new(cluster.direct.clone(), "");
        let (catalog, catalog_ready) = (Arc::new(ArcSwap::from_pointee(listed(world))), Arc::new(Ready::default()));
        (0..6).for_each(|_| catalog_ready.listed());
        let rbac = Arc::new(RbacSync::new(
            cluster.clone(),
            kept.directory.clone(),
            (catalog.clone(), catalog_ready.clone()),
            namespaces.clone(),
            RbacSettings::default(),
        ));
        let oidc = Arc::new(OidcProvider {
            keys: keys.clone(),
            issuer_url: "https://scim-tekton.test".into(),
            cluster_id: "model".into(),
            targets: BTreeMap::new(),
        });
        let context = Arc::new(Context {
            store,
            events: Events::new(cluster.direct.clone(), INSTANCE),
            cluster,
            directory: kept.directory.clone(),
            catalog,
            catalog_ready,
            revoker: revoker.clone(),
            kubernetes,
            oidc,
            rbac: rbac.clone(),
            admission: Guard::that_holds(),
            grants_namespace: GRANTS.into(),
            namespaces,
            clock,
            instance: INSTANCE.into(),
            install_namespace: "scim-tekton".into(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(revoker.clone().sweep());
        tasks.spawn(removals::ended_while_we_were_down(context.clone()));
        tasks.spawn(renew::keep(context.clone()));
        watches::open(world, &context, &mut tasks);
        let enforcer = Arc::new(Enforcer::new(revoker, rbac, WAIT));
        Self { parts: Parts { context, store: watched, life, enforcer }, tasks }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.parts.life.end();
        self.tasks.abort_all();
    }
}

impl Parts {
    /// What a SCIM request does between its write and its answer; then the answer is judged.
    pub async fn enforce(&self, provisioned: &Provisioned) {
        let asked = Instant::now();
        self.enforcer.enforce(provisioned).await;
        self.life.goes_on().await;
        let in_time = asked.elapsed() < WAIT;
        let mut unproven = Vec::new();
        for grant in &provisioned.revocations.grants {
            let row = block_on(self.store.kept.store.grant(grant.id)).unwrap().unwrap();
            if row.revoked_at.is_none() {
                unproven.push(row);
            }
        }
        let mut state = self.store.world.state();
        state.mark("answered");
        state.tell(|| format!("SCIM answers; unproven: {}", unproven.len()));
        if !provisioned.revocations.grants.is_empty() {
            state.count(if unproven.is_empty() {
                "answers after all was proven"
            } else {
                "answers before all was proven"
            });
        }
        if let Some(row) =
            unproven.iter().find(|row| row.phase == GrantPhase::Active || row.phase == GrantPhase::Pending)
        {
            state.violation(format!("G2: SCIM answered, and grant {} is {:?}", row.id, row.phase));
        }
        if let (Some(row), true, false) = (unproven.first(), in_time, state.troubled) {
            state.violation(format!(
                "G2: SCIM answered in time and nothing was wrong, but grant {} is {:?}",
                row.id, row.phase
            ));
        }
    }
}

/// The first lists of the watches that feed the catalog.
fn listed(world: &World) -> Catalog {
    let mut catalog = Catalog::default();
    let state = world.state();
    for (_, policy) in state.etcd.list("accesspolicies", None) {
        catalog.put_policy(serde_json::from_value::<AccessPolicy>(serde_json::Value::clone(policy)).unwrap());
    }
    for (_, template) in state.etcd.list("credentialtemplates", None) {
        catalog.put_template(serde_json::from_value::<CredentialTemplate>(serde_json::Value::clone(template)).unwrap());
    }
    catalog
}
