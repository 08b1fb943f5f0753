//! A team with a namespace of its own: policy, templates, pipelines, EventListeners; dumped when its test fails.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams, PostParams},
};
use scim_tekton::api::{Grant, GrantPhase, tekton::PipelineRun};
use serde_json::{Value, json};

use super::{
    INSTANCE_OF_NAMESPACE, OUR_TIME, Outcome, POD_TIME, Person, Webhook, World, apply, ask_interceptor, eventually,
    kubectl, push_by, sign, unique,
};
use crate::ensure;

/// A team's namespace.
pub struct Shop {
    /// The world that it is in.
    pub world: Arc<World>,
    /// Its namespace.
    pub namespace: String,
    /// Its EventSource, and the Secret of the same name in the install namespace.
    pub source: String,
    /// The webhook's secret.
    pub secret: String,
    /// displayName of the group that may deploy.
    pub group: String,
    /// SCIM id of that group.
    pub group_id: String,
}

impl Shop {
    /// Makes a namespace with all that a team needs, and its group, empty.
    pub async fn open(world: &Arc<World>, name: &str) -> Outcome<Self> {
        let id = unique();
        let group = format!("deployers-{id}");
        let group_id = world.okta.push_group(&group, &[]).await?;
        let shop = Self {
            world: Arc::clone(world),
            namespace: format!("{name}-{id}"),
            source: format!("github-{id}"),
            secret: format!("webhook-secret-{id}"),
            group,
            group_id,
        };
        // Labelled from the first moment, so that no other instance takes it for its own.
        let labels = match &world.instance.process {
            Some(_) => format!("{INSTANCE_OF_NAMESPACE}: {}", world.instance.name),
            None => String::new(),
        };
        let namespace = &shop.namespace;
        apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {{{labels}}}}}}}"))
            .await?;
        apply(&shop.fill(include_str!("fixtures/team.yaml"))).await?;
        let source = shop.source.clone();
        eventually("the EventSource is Ready", OUR_TIME, || async {
            let ready =
                kubectl(&["get", "eventsource", &source, "-o", "jsonpath={.status.conditions[0].status}"]).await?;
            Ok((ready == "True").then_some(()))
        })
        .await?;
        Ok(shop)
    }

    /// Runs a test in a namespace of its own, and dumps it if it fails.
    pub async fn with<F, Fut>(world: &Arc<World>, name: &str, test: F) -> Outcome
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Outcome>,
    {
        let shop = Arc::new(Self::open(world, name).await?);
        let outcome = test(Arc::clone(&shop)).await;
        if let Err(error) = &outcome {
            eprintln!("--- {name}: {error}; dump of namespace {}:", shop.namespace);
            shop.dump().await;
        }
        shop.close().await;
        outcome
    }

    /// A fixture with this team's names.
    pub fn fill(&self, yaml: &str) -> String {
        yaml.replace("@NS@", &self.namespace)
            .replace("@SOURCE@", &self.source)
            .replace("@SECRET@", &self.secret)
            .replace("@GROUP@", &self.group)
            .replace("@INTERCEPTOR@", self.world.instance.name)
            .replace("@TOOLBOX@", self.world.env("TOOLBOX_IMAGE"))
    }

    /// Starts a real EventListener that starts this pipeline; gives its URL.
    pub async fn listen(&self, pipeline: &str) -> Outcome<String> {
        apply(&self.trigger_of(pipeline)).await?;
        let listener = format!("eventlistener/{pipeline}");
        kubectl(&["wait", "-n", &self.namespace, &listener, "--for=condition=Available", "--timeout=120s"]).await?;
        Ok(format!("http://el-{pipeline}.{}.svc.cluster.local:8080/", self.namespace))
    }

    /// Only the objects of a trigger, for events that are sent to our port.
    pub async fn trigger(&self, pipeline: &str) -> Outcome {
        let all = self.trigger_of(pipeline);
        let without_listener: Vec<_> =
            all.split("\n---\n").filter(|doc| !doc.contains("kind: EventListener")).collect();
        apply(&without_listener.join("\n---\n")).await
    }

    fn trigger_of(&self, pipeline: &str) -> String {
        self.fill(include_str!("fixtures/listener.yaml")).replace("@PIPELINE@", pipeline)
    }

    /// A person of this team's own.
    pub async fn person(&self, name: &str) -> Outcome<Person> {
        let github = u64::from(uuid::Uuid::new_v4().as_fields().0) + 1_000_000;
        self.world.okta.provision(&format!("{name}-{}@example.com", unique()), github).await
    }

    /// A person who may deploy.
    pub async fn deployer(&self, name: &str) -> Outcome<Person> {
        let person = self.person(name).await?;
        self.world.okta.add_member(&self.group_id, &person).await?;
        Ok(person)
    }

    /// This person's push, signed with the team's secret.
    pub fn push(&self, person: &Person) -> Webhook {
        sign(&push_by(person.github), &self.secret)
    }

    /// What our interceptor answers to a webhook for the trigger of this pipeline.
    pub async fn decide(&self, webhook: &Webhook, pipeline: &str) -> Outcome<Value> {
        let trigger = format!("namespaces/{}/triggers/push-{pipeline}", self.namespace);
        ask_interceptor(&self.world.instance, &webhook.interceptor_request(&trigger, "deploy")).await
    }

    /// A ticket for a push of this person.
    pub async fn ticket(&self, person: &Person, pipeline: &str) -> Outcome<String> {
        let name = person.user_name.clone();
        // The trigger that was made a moment ago may not have reached the catalog yet.
        eventually(&format!("a ticket for {name}"), OUR_TIME, || async {
            let answer = self.decide(&self.push(person), pipeline).await?;
            match answer["extensions"]["scim"]["ticket"].as_str() {
                Some(ticket) => Ok(Some(ticket.to_owned())),
                None => Err(format!("{}", answer["status"]["message"]).into()),
            }
        })
        .await
    }

    /// Creates a PipelineRun as a TriggerTemplate does.
    pub async fn create_run(&self, pipeline: &str, ticket: Option<&str>, pending: bool) -> Outcome<PipelineRun> {
        self.runs()
            .create(&PostParams::default(), &self.run_object(pipeline, ticket, pending)?)
            .await
            .map_err(Into::into)
    }

    /// Starts a pipeline for this person; the run's name.
    pub async fn start(&self, person: &Person, pipeline: &str) -> Outcome<String> {
        let ticket = self.ticket(person, pipeline).await?;
        Ok(self.create_run(pipeline, Some(&ticket), true).await?.name_any())
    }

    /// A PipelineRun as a TriggerTemplate makes it, not yet sent.
    pub fn run_object(&self, pipeline: &str, ticket: Option<&str>, pending: bool) -> Outcome<PipelineRun> {
        let annotations = ticket.map(|ticket| json!({"scim-tekton.dev/ticket": ticket}));
        Ok(serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"generateName": format!("{pipeline}-"), "namespace": self.namespace, "annotations": annotations},
            "spec": {
                "pipelineRef": {"name": pipeline},
                "status": pending.then_some("PipelineRunPending"),
            },
        }))?)
    }

    /// The namespace's PipelineRuns.
    pub fn runs(&self) -> Api<PipelineRun> {
        Api::namespaced(self.world.kube.clone(), &self.namespace)
    }

    /// Waits for the first PipelineRun of a pipeline that is not among these.
    pub async fn new_run(&self, pipeline: &str, known: &[String]) -> Outcome<PipelineRun> {
        let label = ListParams::default();
        eventually(&format!("a PipelineRun of {pipeline}"), OUR_TIME, || async {
            let runs = self.runs().list(&label).await?.items;
            Ok(runs.into_iter().find(|run| {
                let name = run.name_any();
                name.starts_with(&format!("{pipeline}-")) && !known.contains(&name)
            }))
        })
        .await
    }

    /// Waits for a run's end: the reason of its Succeeded condition.
    pub async fn ended(&self, run: &str) -> Outcome<(String, String)> {
        eventually(&format!("the end of {run}"), POD_TIME, || async {
            let run = self.runs().get(run).await?;
            let conditions = run.status.map(|status| status.conditions).unwrap_or_default();
            Ok(conditions
                .into_iter()
                .find(|c| c.type_ == "Succeeded" && c.status != "Unknown")
                .map(|c| (c.status, c.reason)))
        })
        .await
    }

    /// Waits until the Grants of a run are in this phase, at least `count` of them.
    pub async fn grants(&self, run: &str, phase: GrantPhase, count: usize) -> Outcome<Vec<Grant>> {
        let api: Api<Grant> = Api::namespaced(self.world.kube.clone(), &self.namespace);
        eventually(&format!("{count} Grants of {run} {phase:?}"), POD_TIME, || async {
            let all = api.list(&ListParams::default()).await?.items;
            let ours: Vec<_> = all.into_iter().filter(|grant| grant.spec.pipeline_run.name == run).collect();
            let right = ours.iter().all(|grant| grant.status.as_ref().is_some_and(|status| status.phase == phase));
            Ok((right && ours.len() >= count).then_some(ours))
        })
        .await
    }

    /// Names of the namespace's objects of a kind that belong to a run.
    pub async fn children(&self, kind: &str, run: &str) -> Outcome<String> {
        let label = format!("tekton.dev/pipelineRun={run}");
        kubectl(&["get", kind, "-n", &self.namespace, "-l", &label, "-o", "name"]).await
    }

    /// The run's pod of a task, once it is running.
    pub async fn running_pod(&self, run: &str, task: &str) -> Outcome<String> {
        let pods: Api<Pod> = Api::namespaced(self.world.kube.clone(), &self.namespace);
        let label = format!("tekton.dev/pipelineRun={run},tekton.dev/pipelineTask={task}");
        eventually(&format!("the pod of {run}'s task {task}"), POD_TIME, || async {
            let pods = pods.list(&ListParams::default().labels(&label)).await?.items;
            Ok(pods
                .into_iter()
                .find(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running"))
                .map(|pod| pod.name_any()))
        })
        .await
    }

    /// What a pod's step has said so far.
    pub async fn log(&self, pod: &str, step: &str) -> Outcome<String> {
        let pods: Api<Pod> = Api::namespaced(self.world.kube.clone(), &self.namespace);
        let params = LogParams { container: Some(format!("step-{step}")), ..LogParams::default() };
        Ok(pods.logs(pod, &params).await?)
    }

    /// Waits for a Kubernetes Event about an object whose reason is this; gives its note.
    pub async fn event_about(&self, object: &str, reason: &str) -> Outcome<String> {
        let events: Api<Event> = Api::namespaced(self.world.kube.clone(), &self.namespace);
        eventually(&format!("an Event {reason} about {object}"), OUR_TIME, || async {
            let events = events.list(&ListParams::default()).await?.items;
            Ok(events
                .into_iter()
                .filter(|event| event.involved_object.name.as_deref() == Some(object))
                .find(|event| event.reason.as_deref() == Some(reason))
                .map(|event| event.message.unwrap_or_default()))
        })
        .await
    }

    /// Whether no PipelineRun of this namespace has a name that is not among these.
    pub async fn no_other_run(&self, known: &[String]) -> Outcome {
        let runs = self.runs().list(&ListParams::default()).await?;
        let other: Vec<_> = runs.iter().map(ResourceExt::name_any).filter(|name| !known.contains(name)).collect();
        ensure!(other.is_empty(), "a PipelineRun that should not be there: {other:?}");
        Ok(())
    }

    async fn dump(&self) {
        for kind in ["pipelineruns", "customruns", "taskruns", "grants", "pods", "events"] {
            let output = if kind == "events" || kind == "pods" { "wide" } else { "yaml" };
            match kubectl(&["get", kind, "-n", &self.namespace, "-o", output]).await {
                Ok(text) => eprintln!("# {kind}\n{}", text.chars().take(20_000).collect::<String>()),
                Err(error) => eprintln!("# {kind}: {error}"),
            }
        }
        if let Some(process) = &self.world.instance.process {
            eprintln!("# the end of the log of {}\n{}", self.world.instance.name, process.log_end());
            return;
        }
        match kubectl(&["logs", "-n", "scim-tekton", "deploy/scim-tekton", "--since=60s", "--tail=200"]).await {
            Ok(text) => eprintln!("# our log\n{text}"),
            Err(error) => eprintln!("# our log: {error}"),
        }
    }

    /// Removes everything of this team.
    pub async fn close(&self) {
        let suite = format!("suite={}", self.namespace);
        let _ = kubectl(&[
            "delete",
            "eventsource,grouprolebinding,clusterrole,clusterrolebinding",
            "-l",
            &suite,
            "--wait=false",
        ])
        .await;
        let _ = kubectl(&["delete", "secret", "-n", "scim-tekton", "-l", &suite, "--wait=false"]).await;
        let _ = kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]).await;
    }
}

/// How long one of 20 or 100 may take.
pub const BATCH_TIME: Duration = Duration::from_mins(3);
