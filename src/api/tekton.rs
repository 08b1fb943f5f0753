//! The parts of Tekton's kinds that matter to us. Partial on purpose: every field has a default, unknown fields are
//! ignored, and such objects are only ever patched, never written back whole.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `tekton.dev/v1` PipelineRun.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(group = "tekton.dev", version = "v1", kind = "PipelineRun", plural = "pipelineruns", namespaced)]
#[kube(schema = "disabled", status = "PipelineRunStatus", derive = "PartialEq", derive = "Default")]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineRunSpec {
    /// Which Pipeline.
    pub pipeline_ref: Option<PipelineRef>,
    /// An inline Pipeline.
    pub pipeline_spec: Option<Value>,
    /// `PipelineRunPending`, `Cancelled`, ….
    pub status: Option<String>,
    /// Service accounts of all tasks.
    pub task_run_template: Option<TaskRunTemplate>,
    /// Service accounts and more of single tasks.
    pub task_run_specs: Vec<TaskRunSpecOverride>,
}

impl PipelineRun {
    /// Its `Succeeded` condition.
    pub fn succeeded(&self) -> Option<&TektonCondition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Succeeded")
    }

    /// Whether it has ended, well or not.
    pub fn is_done(&self) -> bool {
        self.succeeded().is_some_and(|succeeded| succeeded.status == "True" || succeeded.status == "False")
    }
}

/// Reference to a Pipeline: by name in the namespace, or through a resolver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineRef {
    /// Name in the namespace.
    pub name: Option<String>,
    /// Name of a resolver.
    pub resolver: Option<String>,
    /// Its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Value>,
}

/// What all TaskRuns of a run share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskRunTemplate {
    /// Their service account.
    pub service_account_name: Option<String>,
}

/// What one task of a run changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskRunSpecOverride {
    /// The task.
    pub pipeline_task_name: Option<String>,
    /// Its service account.
    pub service_account_name: Option<String>,
}

/// What Tekton says of a PipelineRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineRunStatus {
    /// Knative's: `Succeeded`.
    pub conditions: Vec<TektonCondition>,
    /// RFC 3339.
    pub start_time: Option<String>,
    /// RFC 3339.
    pub completion_time: Option<String>,
    /// The Pipeline as resolved and substituted.
    pub pipeline_spec: Option<PipelineSpec>,
    /// What Tekton made of it, or adopted.
    pub child_references: Vec<ChildReference>,
}

/// A TaskRun, CustomRun or PipelineRun of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChildReference {
    /// `CustomRun`, ….
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The pipeline's task.
    pub pipeline_task_name: String,
}

/// A resolved Pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineSpec {
    /// Its tasks.
    pub tasks: Vec<PipelineTask>,
    /// Its tasks of the end.
    #[serde(rename = "finally")]
    pub finally_tasks: Vec<PipelineTask>,
}

/// A task of a resolved Pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineTask {
    /// Its name within the Pipeline.
    pub name: String,
    /// What it runs.
    pub task_ref: Option<TaskRef>,
    /// A matrix fans it out.
    pub matrix: Option<Value>,
}

/// Reference to a Task or a custom task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskRef {
    /// API group and version of a custom task.
    pub api_version: Option<String>,
    /// Kind of a custom task.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

impl TaskRef {
    /// Whether it names a CredentialTemplate of ours, in any version.
    pub fn is_credential_template(&self) -> bool {
        let group = self.api_version.as_deref().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        group == Some(super::GROUP) && self.kind.as_deref() == Some("CredentialTemplate")
    }
}

/// Knative's condition: no observedGeneration, and a lastTransitionTime that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TektonCondition {
    /// `Succeeded`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// One word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// `tekton.dev/v1beta1` CustomRun: a custom task's run. Its status is the custom controller's alone.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(group = "tekton.dev", version = "v1beta1", kind = "CustomRun", plural = "customruns", namespaced)]
#[kube(schema = "disabled", status = "CustomRunStatus", derive = "PartialEq", derive = "Default")]
#[serde(rename_all = "camelCase", default)]
pub struct CustomRunSpec {
    /// What it runs.
    pub custom_ref: Option<TaskRef>,
    /// `RunCancelled`.
    pub status: Option<String>,
    /// Why.
    pub status_message: Option<String>,
    /// How often a failed attempt is followed by another.
    pub retries: i64,
    /// How long one attempt may take, as Go writes durations.
    pub timeout: Option<String>,
}

/// Status of a CustomRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomRunStatus {
    /// `Succeeded`.
    pub conditions: Vec<TektonCondition>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// For the tasks after it.
    pub results: Vec<CustomRunResult>,
    /// Statuses of the attempts that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retries_status: Vec<Value>,
}

impl CustomRun {
    /// Its `Succeeded` condition.
    pub fn succeeded(&self) -> Option<&TektonCondition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Succeeded")
    }
}

/// Result of a CustomRun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomRunResult {
    /// Its name.
    pub name: String,
    /// Its value: a string, or Tekton refuses the status.
    pub value: String,
}

/// `triggers.tekton.dev/v1beta1` Trigger.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(group = "triggers.tekton.dev", version = "v1beta1", kind = "Trigger", plural = "triggers", namespaced)]
#[kube(schema = "disabled", derive = "PartialEq", derive = "Default")]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerSpec {
    /// Its name, where it stands inline in an EventListener.
    pub name: Option<String>,
    /// What an event passes through.
    pub interceptors: Vec<TriggerInterceptor>,
    /// Whom the sink impersonates (FACTS 34); not supported yet.
    pub service_account_name: Option<String>,
    /// Reference to a Trigger object, where it stands in an EventListener.
    pub trigger_ref: Option<String>,
}

/// Use of an interceptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TriggerInterceptor {
    /// Which.
    #[serde(rename = "ref")]
    pub ref_: InterceptorRef,
    /// With what.
    pub params: Vec<InterceptorParam>,
}

/// Which interceptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterceptorRef {
    /// Its name.
    pub name: Option<String>,
    /// `ClusterInterceptor` (also the default) or `NamespacedInterceptor`.
    pub kind: Option<String>,
}

/// Parameter of an interceptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterceptorParam {
    /// Its name.
    pub name: String,
    /// Any JSON.
    pub value: Value,
}

/// `triggers.tekton.dev/v1beta1` EventListener.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "triggers.tekton.dev",
    version = "v1beta1",
    kind = "EventListener",
    plural = "eventlisteners",
    namespaced
)]
#[kube(schema = "disabled", derive = "PartialEq", derive = "Default")]
#[serde(rename_all = "camelCase", default)]
pub struct EventListenerSpec {
    /// The sink's own account.
    pub service_account_name: Option<String>,
    /// Triggers, inline or by reference.
    pub triggers: Vec<TriggerSpec>,
}

/// `triggers.tekton.dev/v1alpha1` ClusterInterceptor.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "triggers.tekton.dev",
    version = "v1alpha1",
    kind = "ClusterInterceptor",
    plural = "clusterinterceptors"
)]
#[kube(schema = "disabled", derive = "PartialEq", derive = "Default")]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInterceptorSpec {
    /// Where it listens.
    pub client_config: InterceptorClientConfig,
}

/// Where an interceptor listens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterceptorClientConfig {
    /// PEM, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// A whole URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<BTreeMap<String, Value>>,
}
