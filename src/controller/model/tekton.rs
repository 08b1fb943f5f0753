//! Tekton and the garbage collector: runs go on once nothing holds them, end when they are told to, and what belongs to
//! an object that is gone goes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    etcd::{Key, Object, merge, text},
    world::World,
};
use crate::api::PENDING;

/// The task of our pipeline that asks for a credential.
pub const TASK: &str = "credential";
pub const TEMPLATE: &str = "deploy-prod";

/// Looks after every run, for ever.
pub async fn controller(world: Arc<World>) {
    let mut at = 0;
    loop {
        let new: Vec<_> = {
            let state = world.state();
            let new = state.etcd.log[at..].to_vec();
            at = state.etcd.revision();
            new
        };
        for change in new {
            match (change.before, change.after) {
                (None, Some(object)) if change.key.resource == "pipelineruns" => {
                    tokio::spawn(run(world.clone(), change.key, text(&object, "/metadata/uid").to_owned()));
                }
                (None, Some(object)) => drop(tokio::spawn(collect_orphan(world.clone(), change.key, object))),
                (Some(object), None) => {
                    drop(tokio::spawn(collect_owned(world.clone(), text(&object, "/metadata/uid").to_owned())));
                }
                _ => {}
            }
        }
        world.change().await;
    }
}

struct Gone;

/// One run, from its creation to its end.
async fn run(world: Arc<World>, key: Key, uid: String) {
    let _ = Run { world, key, uid }.live().await;
}

struct Run {
    world: Arc<World>,
    key: Key,
    uid: String,
}

impl Run {
    async fn live(&self) -> Result<(), Gone> {
        let run = self.until(|run| text(run, "/spec/status") != PENDING).await?;
        self.world.pause("tekton starts", 1, 15).await;
        if text(&run, "/spec/status") == "Cancelled" {
            return self.end("False", "Cancelled");
        }
        let started = self.world.state().timestamp();
        // Now and then Tekton writes the resolved spec only after it has made the CustomRun.
        let late = self.world.state().chance.one_in("late spec", 3);
        let spec = json!({"tasks": [{"name": TASK, "taskRef": task_ref()}, {"name": "deploy"}]});
        let running = json!([{"type": "Succeeded", "status": "Unknown", "reason": "Running"}]);
        let status = json!({"startTime": started, "conditions": running});
        self.patch(&json!({"status": status}))?;
        if !late {
            self.patch(&json!({"status": {"pipelineSpec": spec}}))?;
        }
        self.world.pause("tekton goes on", 1, 15).await;
        let custom = self.make_custom_run(&run)?;
        if late {
            self.world.pause("tekton goes on", 1, 15).await;
            self.patch(&json!({"status": {"pipelineSpec": spec}}))?;
        }
        let issued = self.issued(&custom).await?;
        if !issued {
            return self.end("False", "Failed");
        }
        let pod = Key::new("pods", &self.key.namespace, &format!("{}-deploy", self.key.name));
        let labels = json!({"tekton.dev/pipelineRun": self.key.name});
        self.world.put(&pod, json!({"metadata": {"labels": labels}}));
        let works = {
            let mut state = self.world.state();
            let kind = if state.chance.one_in("long step", 4) { (10_000, 45_000) } else { (50, 6_000) };
            state.chance.millis("step", kind.0, kind.1)
        };
        let cancelled = tokio::time::timeout(works, self.until(|run| text(run, "/spec/status") == "Cancelled")).await;
        self.world.pause("tekton ends", 1, 30).await;
        let ended = match cancelled {
            Err(_) => self.end("True", "Completed"),
            Ok(Ok(_)) => self.end("False", "Cancelled"),
            Ok(Err(gone)) => Err(gone),
        };
        // A cancelled pod takes its grace period.
        self.world.pause("pod's grace", 1, 2_000).await;
        self.world.delete(&pod);
        ended
    }

    fn make_custom_run(&self, run: &Object) -> Result<Key, Gone> {
        self.object()?;
        let custom = Key::new("customruns", &self.key.namespace, &format!("{}-{TASK}", self.key.name));
        let owner = json!([{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": self.key.name, "uid": self.uid,
            "controller": true}]);
        let object = json!({
            "apiVersion": "tekton.dev/v1beta1", "kind": "CustomRun",
            "metadata": {
                "annotations": run["metadata"]["annotations"],
                "labels": {"tekton.dev/pipelineTask": TASK, "tekton.dev/pipelineRun": self.key.name},
                "ownerReferences": owner,
            },
            "spec": {"customRef": task_ref()},
        });
        self.world.put(&custom, object);
        Ok(custom)
    }

    /// Whether the CustomRun has a credential in the end.
    async fn issued(&self, custom: &Key) -> Result<bool, Gone> {
        let mut told = false;
        loop {
            let Some(object) = self.world.get(custom) else { return Ok(false) };
            match text(&object, "/status/conditions/0/status") {
                "True" => return Ok(true),
                "False" => return Ok(false),
                _ => {}
            }
            if text(&*self.object()?, "/spec/status") == "Cancelled" && !told {
                told = true;
                let mut object = Value::clone(&object);
                merge(&mut object, &json!({"spec": {"status": "RunCancelled"}}));
                self.world.put(custom, object);
                continue;
            }
            self.world.change().await;
        }
    }

    fn object(&self) -> Result<Object, Gone> {
        self.world.get(&self.key).filter(|object| text(object, "/metadata/uid") == self.uid).ok_or(Gone)
    }

    async fn until(&self, holds: impl Fn(&Value) -> bool) -> Result<Object, Gone> {
        loop {
            let object = self.object()?;
            if holds(&object) {
                return Ok(object);
            }
            self.world.change().await;
        }
    }

    fn patch(&self, patch: &Value) -> Result<(), Gone> {
        let mut object = Value::clone(&*self.object()?);
        merge(&mut object, patch);
        self.world.put(&self.key, object);
        Ok(())
    }

    fn end(&self, status: &str, reason: &str) -> Result<(), Gone> {
        self.world.state().tell(|| format!("Tekton: {} ends, {reason}", self.key.name));
        self.patch(&json!({"status": {"conditions": [{"type": "Succeeded", "status": status, "reason": reason}]}}))
    }
}

fn task_ref() -> Value {
    json!({"apiVersion": "scim-tekton.dev/v1alpha1", "kind": "CredentialTemplate", "name": TEMPLATE})
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten().map(|owner| text(owner, "/uid"))
}

/// What is made for an owner that is gone already.
async fn collect_orphan(world: Arc<World>, key: Key, object: Object) {
    let Some(owner) = owners(&object).next().map(str::to_owned) else { return };
    world.pause("garbage", 50, 2_000).await;
    let lives = world.state().etcd.objects().any(|(_, object)| text(object, "/metadata/uid") == owner);
    if !lives {
        world.delete(&key);
    }
}

async fn collect_owned(world: Arc<World>, uid: String) {
    world.pause("garbage", 50, 2_000).await;
    let owned: Vec<_> = {
        let state = world.state();
        let owned = state.etcd.objects().filter(|(_, object)| owners(object).any(|owner| owner == uid));
        owned.map(|(key, _)| key.clone()).collect()
    };
    for key in owned {
        world.delete(&key);
    }
}
