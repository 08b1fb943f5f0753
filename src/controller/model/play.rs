//! Plays a history in a world of its own, on one thread, in a time that jumps: the same each time.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{
    deeds::Deeds,
    end,
    etcd::Key,
    history::{Act, Step},
    process::{Parts, Process},
    servers::Health,
    tekton::{self, TEMPLATE},
    watched_store::Kept,
    world::{NAMESPACES, World},
};
use crate::{
    config::StoreUrl,
    directory::{Change, Directory, DirectoryCell},
    keys::SigningKeys,
    store::{SqlStore, Store as _},
    ticket::SecretHash,
};

/// How long nothing happens in the end: longer than a lost watch and the comparison after it, and than any step.
const QUIET: Duration = Duration::from_mins(2);

/// What became of a history.
pub struct Played {
    pub violation: Option<String>,
    pub counts: BTreeMap<&'static str, u64>,
    pub story: Vec<String>,
    /// The same for the same history.
    pub print: u64,
}

/// Plays it.
pub fn play(seed: u64, history: &[Step], told: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let stage = Stage::set(seed, told).await;
        for step in history {
            sleep(Duration::from_millis(step.after)).await;
            if stage.world.state().rules.broken.is_some() {
                break;
            }
            stage.begin(*step);
        }
        stage.end().await
    })
}

/// A world, and our process in it.
pub struct Stage {
    pub world: Arc<World>,
    pub kept: Arc<Kept>,
    keys: Arc<ArcSwap<SigningKeys>>,
    process: Mutex<Option<Process>>,
    pub deeds: Deeds,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(seed: u64, told: bool) -> Arc<Self> {
        // An RSA key takes longer than a history.
        static KEYS: OnceLock<Arc<ArcSwap<SigningKeys>>> = OnceLock::new();
        let world = World::new(seed, told);
        let directory: DirectoryCell = Arc::new(ArcSwap::from_pointee(Directory::default()));
        let folder = tempfile::tempdir_in(memory()).unwrap();
        let cell = directory.clone();
        let feed = move |seq: i64, changes: &[Change]| {
            let mut next = Directory::clone(&cell.load());
            next.apply(seq, changes);
            cell.store(Arc::new(next));
        };
        let store =
            SqlStore::open(&StoreUrl::Sqlite(folder.path().join("store.db")), world.clock(), Box::new(feed)).unwrap();
        store.create_token(&"okta".into(), SecretHash::of("okta"), None).await.unwrap();
        let keys =
            KEYS.get_or_init(|| Arc::new(ArcSwap::from_pointee(SigningKeys::generate(world.state().now()).unwrap())));
        let stage = Arc::new(Self {
            kept: Kept::new(store, directory),
            keys: keys.clone(),
            process: Mutex::default(),
            deeds: Deeds::default(),
            _folder: folder,
            world,
        });
        stage.furnish().await;
        for server in 0..2 {
            tokio::spawn(stage.world.clone().follow(server));
        }
        tokio::spawn(tekton::controller(stage.world.clone()));
        stage.start();
        sleep(Duration::from_millis(100)).await;
        stage
    }

    /// What is there before anything happens.
    async fn furnish(&self) {
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "update"]}]);
        for namespace in NAMESPACES {
            let role =
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {}, "rules": rules});
            self.world.put(&Key::new("roles", namespace, "deployer"), role);
            self.put_policy(namespace, 0);
            self.put_template(namespace);
        }
        self.deeds.first_people(&self.kept).await;
    }

    pub fn put_policy(&self, namespace: &str, subjects: usize) {
        let deployers = json!({"group": {"displayName": "deployers"}});
        let subjects = match subjects {
            0 => json!([deployers]),
            1 => json!([deployers, {"user": {"userName": "bob"}}]),
            _ => json!([{"user": {"userName": "alice"}}]),
        };
        let duration = if namespace == "prod" { "2h" } else { "25s" };
        let policy = json!({
            "apiVersion": "scim-tekton.dev/v1alpha1", "kind": "AccessPolicy", "metadata": {},
            "spec": {
                "source": "github", "subjects": subjects, "pipelines": [{"name": "deploy"}],
                "serviceAccountName": "deployer", "credentialTemplates": [TEMPLATE],
                "maxStartDelay": "20s", "maxRunDuration": duration,
            }
        });
        self.world.put(&Key::new("accesspolicies", namespace, "deploy"), policy);
    }

    pub fn put_template(&self, namespace: &str) {
        let template = json!({
            "apiVersion": "scim-tekton.dev/v1alpha1", "kind": "CredentialTemplate", "metadata": {},
            "spec": {"ttl": "10m", "kubernetes": {"roleRefs": [{"kind": "Role", "name": "deployer"}]}}
        });
        self.world.put(&Key::new("credentialtemplates", namespace, TEMPLATE), template);
    }

    fn start(&self) {
        let mut process = self.process.lock().unwrap();
        if process.is_none() {
            *process = Some(Process::start(&self.world, &self.kept, &self.keys));
            self.world.state().tell(|| "our process starts".into());
        }
    }

    /// The process that runs, if one does.
    pub fn process(&self) -> Option<Parts> {
        self.process.lock().unwrap().as_ref().map(|process| process.parts.clone())
    }

    /// Begins what happens; much of it goes on while the next things happen.
    fn begin(self: &Arc<Self>, step: Step) {
        self.world.state().tell(|| format!("—— {:?}", step.act));
        self.world.state().mark(&format!("{step:?}"));
        self.world.state().count("acts");
        let stage = Arc::clone(self);
        let act = async move {
            match step.act {
                Act::Kill { millis } => stage.kill(millis).await,
                Act::StopServer { server, millis } => stage.ail(server, Health::Paused, millis).await,
                Act::ServerDown { server, millis } => stage.ail(server, Health::Down, millis).await,
                Act::Lag { server, lag, millis } => {
                    stage.world.state().servers[server].lag = Duration::from_millis(lag);
                    stage.world.state().troubled = true;
                    sleep(Duration::from_millis(millis)).await;
                    stage.world.state().servers[server].lag = Duration::ZERO;
                }
                act => stage.act(act).await,
            }
        };
        tokio::spawn(act);
    }

    async fn kill(&self, millis: u64) {
        let Some(process) = self.process.lock().unwrap().take() else { return };
        process.kill();
        {
            let mut state = self.world.state();
            state.count("kills");
            state.troubled = true;
            state.tell(|| "our process is killed".into());
        }
        sleep(Duration::from_millis(millis)).await;
        self.start();
    }

    async fn ail(&self, server: usize, health: Health, millis: u64) {
        if self.world.health(server) != Health::Up {
            return;
        }
        self.world.state().count("servers that stop");
        self.world.set_health(server, health);
        sleep(Duration::from_millis(millis)).await;
        self.world.set_health(server, Health::Up);
    }

    /// Runs something against the process that runs, again if it dies meanwhile.
    pub async fn until_done<F: Future<Output = ()>>(&self, work: impl Fn(Parts) -> F) {
        for _ in 0..40 {
            if let Some(parts) = self.process()
                && timeout(Duration::from_secs(20), work(parts)).await.is_ok()
            {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Lets everything become well and come to rest, and judges what is left.
    async fn end(&self) -> Played {
        if self.world.state().rules.broken.is_none() {
            sleep(Duration::from_secs(15)).await;
            self.world.state().calm = true;
            for server in 0..2 {
                self.world.state().servers[server].lag = Duration::ZERO;
                self.world.set_health(server, Health::Up);
            }
            self.start();
            // In parts: a history that has failed need not be played to its end.
            for _ in 0..10 {
                if self.world.state().rules.broken.is_none() {
                    sleep(QUIET / 10).await;
                }
            }
        }
        if self.world.state().rules.broken.is_none() {
            end::judge(self).await;
        }
        let mut state = self.world.state();
        Played {
            violation: state.rules.broken.clone(),
            counts: state.counts.clone(),
            story: state.story.take().unwrap_or_default(),
            print: state.print,
        }
    }
}

/// Where a file costs no disk.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
