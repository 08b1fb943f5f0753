//! The watches of a process, in place of kube's: changes are told late, twice, or not at all until the next list; a
//! reconciler is given what the watch told last, which may be old.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::runtime::controller::Action;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    etcd::{Change, Key, Object, text},
    world::World,
};
use crate::{
    api::{AccessPolicy, CredentialTemplate},
    controller::{
        Context, ControllerError,
        catalog::Followed as _,
        custom_run, pipeline_run,
        removals::{grant_deleted, run_deleted},
    },
    policy::update_catalog,
};

/// A watch that tells nothing is opened anew after this (`WATCH_SECONDS`).
const SILENCE: Duration = Duration::from_secs(30);

/// Opens all of them.
pub fn open(world: &Arc<World>, context: &Arc<Context>, tasks: &mut JoinSet<()>) {
    controller(world, context, tasks, "pipelineruns", pipeline_run::reconcile);
    controller(world, context, tasks, "customruns", custom_run::reconcile);
    tasks.spawn(removals(world.clone(), context.clone(), "pipelineruns"));
    tasks.spawn(removals(world.clone(), context.clone(), "grants"));
    tasks.spawn(policies(world.clone(), context.clone()));
    tasks.spawn(templates(world.clone(), context.clone()));
}

/// What a watch tells.
enum Told {
    /// A change.
    Change(Change),
    /// All that is there: what went before was perhaps not told.
    List(Vec<(Key, Object)>),
}

/// One watch of one resource.
struct Watch {
    world: Arc<World>,
    resource: &'static str,
    kind: String,
    at: usize,
    first: bool,
}

impl Watch {
    fn new(world: Arc<World>, resource: &'static str, what: &str) -> Self {
        Self { world, resource, kind: format!("watch {what} {resource}"), at: 0, first: true }
    }

    async fn next(&mut self) -> Told {
        if std::mem::take(&mut self.first) {
            self.world.pause(&self.kind, 1, 20).await;
            return self.list();
        }
        loop {
            let next = {
                let state = self.world.state();
                let new = state.etcd.log[self.at..].iter().position(|change| change.key.resource == self.resource);
                new.map(|skip| (self.at + skip + 1, state.etcd.log[self.at + skip].clone()))
            };
            let Some((at, change)) = next else {
                self.world.change().await;
                continue;
            };
            let (lost, late) = {
                let mut state = self.world.state();
                let lost = !state.calm && state.chance.one_in(&self.kind, 60);
                state.troubled |= lost;
                (lost, state.chance.millis(&self.kind, 0, 15))
            };
            if lost {
                self.world.state().count("watches lost");
                self.world.state().tell(|| format!("{} is lost", self.kind));
                tokio::time::sleep(SILENCE).await;
                return self.list();
            }
            tokio::time::sleep(late).await;
            self.at = at;
            return Told::Change(change);
        }
    }

    fn list(&mut self) -> Told {
        let state = self.world.state();
        self.at = state.etcd.revision();
        Told::List(state.etcd.list(self.resource, None).map(|(key, object)| (key.clone(), object.clone())).collect())
    }
}

fn parsed<K: DeserializeOwned>(object: &Object) -> K {
    serde_json::from_value(Value::clone(object)).unwrap()
}

type Known = Arc<Mutex<BTreeMap<Key, Object>>>;

/// A controller of one kind: each object is looked at by one at a time, again when it says so or when it changed.
fn controller<K, F, Fut>(
    world: &Arc<World>,
    context: &Arc<Context>,
    tasks: &mut JoinSet<()>,
    resource: &'static str,
    reconcile: F,
) where
    K: DeserializeOwned + Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<Context>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Action, ControllerError>> + Send + 'static,
{
    let (world, context) = (world.clone(), context.clone());
    tasks.spawn(async move {
        let known = Known::default();
        let mut workers: BTreeMap<Key, Arc<Notify>> = BTreeMap::new();
        let mut running = JoinSet::new();
        let mut watch = Watch::new(world.clone(), resource, "for");
        loop {
            let touched: Vec<Key> = match watch.next().await {
                Told::Change(Change { key, after, .. }) => {
                    let mut known = known.lock().unwrap();
                    match after {
                        Some(object) => known.insert(key.clone(), object),
                        None => known.remove(&key),
                    };
                    vec![key]
                }
                Told::List(all) => {
                    let mut known = known.lock().unwrap();
                    *known = all.into_iter().collect();
                    known.keys().cloned().collect()
                }
            };
            for key in touched {
                let wake = workers.entry(key.clone()).or_insert_with(|| {
                    let wake = Arc::new(Notify::new());
                    running.spawn(work(
                        world.clone(),
                        context.clone(),
                        key,
                        known.clone(),
                        wake.clone(),
                        reconcile.clone(),
                    ));
                    wake
                });
                wake.notify_one();
            }
        }
    });
}

async fn work<K, F, Fut>(
    world: Arc<World>,
    context: Arc<Context>,
    key: Key,
    known: Known,
    wake: Arc<Notify>,
    reconcile: F,
) where
    K: DeserializeOwned,
    F: Fn(Arc<K>, Arc<Context>) -> Fut,
    Fut: Future<Output = Result<Action, ControllerError>>,
{
    let mut again = None;
    let mut before: Option<Object> = None;
    loop {
        match again.take() {
            Some(again) => drop(tokio::time::timeout(again, wake.notified()).await),
            None => wake.notified().await,
        }
        let Some(mut object) = known.lock().unwrap().get(&key).cloned() else { continue };
        {
            let mut state = world.state();
            // As if it had been begun before the last change was told.
            if let Some(old) =
                before.as_ref().filter(|old| text(old, "/metadata/uid") == text(&object, "/metadata/uid"))
                && state.chance.one_in("old object", 12)
            {
                again = Some(state.chance.millis("old object", 1, 30));
                state.count("old objects told");
                object = old.clone();
            } else if state.chance.one_in("told twice", 12) {
                again = Some(state.chance.millis("told twice", 1, 30));
            }
        }
        before = Some(object.clone());
        let done = reconcile(Arc::new(parsed(&object)), context.clone()).await;
        let asked = match done {
            Ok(action) => asked(&action),
            Err(error) => {
                world.state().tell(|| format!("{} {}: {error}", key.resource, key.name));
                Some(Duration::from_secs(2))
            }
        };
        again = match (again, asked) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// When it wants to look again. An `Action` tells it only to kube, and to who prints it.
fn asked(action: &Action) -> Option<Duration> {
    let text = format!("{action:?}");
    let text = text.split_once("Some(")?.1.split_once(')')?.0;
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(at);
    let seconds = number.parse::<f64>().ok()? * if unit == "s" { 1.0 } else { 0.001 };
    Some(Duration::from_secs_f64(seconds.max(0.001)))
}

async fn removals(world: Arc<World>, context: Arc<Context>, resource: &'static str) {
    let mut watch = Watch::new(world, resource, "for removals of");
    loop {
        let Told::Change(Change { key, before: Some(before), after: None }) = watch.next().await else { continue };
        match resource {
            "grants" => grant_deleted(&context, &key.name).await,
            _ => run_deleted(&context, text(&before, "/metadata/uid")).await,
        }
    }
}

async fn policies(world: Arc<World>, context: Arc<Context>) {
    let mut watch = Watch::new(world, "accesspolicies", "for");
    loop {
        let (changed, removed) = told(watch.next().await, || {
            let catalog = context.catalog.load();
            catalog.policies().map(|policy| named(&policy.metadata)).collect()
        });
        for (name, uid) in removed {
            update_catalog(&context.catalog, |catalog| catalog.remove_policy(&name.0, &name.1));
            AccessPolicy::removed(&context, &name, &uid).await;
        }
        for object in changed {
            let policy: AccessPolicy = parsed(&object);
            update_catalog(&context.catalog, |catalog| catalog.put_policy(policy.clone()));
            policy.changed(&context).await;
        }
    }
}

async fn templates(world: Arc<World>, context: Arc<Context>) {
    let mut watch = Watch::new(world, "credentialtemplates", "for");
    loop {
        let (changed, removed) = told(watch.next().await, || {
            let catalog = context.catalog.load();
            catalog.templates().map(|template| named(&template.metadata)).collect()
        });
        for (name, uid) in removed {
            update_catalog(&context.catalog, |catalog| catalog.remove_template(&name.0, &name.1));
            CredentialTemplate::removed(&context, &name, &uid).await;
        }
        for object in changed {
            let template: CredentialTemplate = parsed(&object);
            update_catalog(&context.catalog, |catalog| catalog.put_template(template.clone()));
        }
    }
}

type Name = (String, String);

fn named(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (Name, String) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ((text(&meta.namespace), text(&meta.name)), text(&meta.uid))
}

/// What is there now and what is gone, as `catalog::feed` tells one from the other.
fn told(told: Told, known: impl FnOnce() -> Vec<(Name, String)>) -> (Vec<Object>, Vec<(Name, String)>) {
    let name = |key: &Key| (key.namespace.clone(), key.name.clone());
    match told {
        Told::Change(Change { after: Some(object), .. }) => (vec![object], vec![]),
        Told::Change(Change { key, before, .. }) => {
            let uid = before.map(|before| text(&before, "/metadata/uid").to_owned());
            (vec![], vec![(name(&key), uid.unwrap_or_default())])
        }
        Told::List(all) => {
            let there: Vec<_> = all.iter().map(|(key, _)| name(key)).collect();
            let gone = known().into_iter().filter(|(name, _)| !there.contains(name)).collect();
            (all.into_iter().map(|(_, object)| object).collect(), gone)
        }
    }
}
