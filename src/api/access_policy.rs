//! `AccessPolicy`: who may start which pipelines, on which events, with which credentials.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which subjects may start which pipelines of this namespace, on which events, with which credentials.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "scim-tekton.dev",
    version = "v1alpha1",
    kind = "AccessPolicy",
    plural = "accesspolicies",
    namespaced,
    shortname = "accpol",
    category = "scim-tekton",
    status = "AccessPolicyStatus",
    derive = "PartialEq",
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source"),
    printcolumn(name = "Pipelines", type_ = "string", json_path = ".spec.pipelines[*].name"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    validation = Rule::new("!has(self.spec.mode) || self.spec.mode == 'Enforce'").message("spec.mode: Audit is not supported yet"),
    validation = Rule::new("!has(self.spec.onRevoke) || self.spec.onRevoke == 'Cancel'").message("spec.onRevoke: only Cancel is supported yet"),
    validation = Rule::new("!has(self.spec.ambient)").message("spec.ambient: not supported yet"),
)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicySpec {
    /// `Enforce`, or `Audit`: decide, record and explain, stop nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Name of the EventSource whose events this policy judges.
    pub source: String,
    /// Who; any one matches.
    #[x_kube(validation = Rule::new("self.size() >= 1 && self.size() <= 64").message("spec.subjects: at least one subject, at most 64"))]
    #[schemars(length(max = 64))]
    pub subjects: Vec<Subject>,
    /// On which events; any one matches, none means any event that the source's type knows.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub events: Vec<EventRule>,
    /// What such a run may be.
    #[x_kube(validation = Rule::new("self.size() >= 1").message("spec.pipelines: at least one pipeline"))]
    #[schemars(length(max = 64))]
    pub pipelines: Vec<PipelineRule>,
    /// The service account that such a run must use; absent: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// CredentialTemplates of this namespace that such a run may ask for.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub credential_templates: Vec<String>,
    /// Longest time between the run's creation and its start, as `1h`, `30m`, `90s`. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+(s|m|h)$')").message("expected a duration such as 90s, 30m or 2h"))]
    pub max_start_delay: Option<String>,
    /// Longest time that such a run keeps its credentials after its start. Default 2h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+(s|m|h)$')").message("expected a duration such as 90s, 30m or 2h"))]
    pub max_run_duration: Option<String>,
    /// What happens to the run when its entitlement ends. Always `Cancel` for a person who is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_revoke: Option<OnRevoke>,
    /// `Accept`: the run's own service account may have rights of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Ambient>,
}

/// Whether a policy stops events or only records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Mode {
    Enforce,
    Audit,
}

/// What is done to a run whose entitlement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "Tekton's own words")]
pub enum OnRevoke {
    Cancel,
    CancelRunFinally,
    StopRunFinally,
    Keep,
}

/// Acceptance of a run's own service account having rights of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the name says it")]
pub enum Ambient {
    Accept,
}

/// One subject: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("[has(self.group), has(self.user), has(self.agent)].filter(x, x).size() == 1").message("a subject is exactly one of group, user, agent"))]
pub struct Subject {
    /// A group of an IdP; nested groups count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupRef>,
    /// One person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserRef>,
    /// One agent. It is entitled only beside one of its owners: let a subject mean them, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
}

/// A SCIM group, by displayName or id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.displayName) != has(self.id)").message("a group is named by exactly one of displayName, id"))]
pub struct GroupRef {
    /// The IdP that owns the group; required where several IdPs exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// SCIM `displayName`, case-insensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// SCIM `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A SCIM user, by userName or id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.userName) != has(self.id)").message("a user is named by exactly one of userName, id"))]
pub struct UserRef {
    /// The IdP that owns the user; required where several IdPs exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// SCIM `userName`, case-insensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// SCIM `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A SCIM agent, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRef {
    /// The IdP that owns the agent; required where several IdPs exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// SCIM `agentUserName`, case-insensitive.
    pub name: String,
}

/// Which events a policy speaks of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.when)").message("events[].when: CEL conditions are not supported yet"),
    validation = Rule::new("!has(self.trust) || self.trust == ['member']").message("events[].trust: only [member] is supported yet")
)]
pub struct EventRule {
    /// Event types as the source names them (`push`); none means any.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub types: Vec<String>,
    /// How much the event's author is trusted; default `[member]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub trust: Option<Vec<String>>,
    /// CEL over `body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A pipeline that a run may be of: exactly one of name, source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("!has(self.source)").message("pipelines[].source: pinned sources are not supported yet"),
    validation = Rule::new("has(self.name) || has(self.source)").message("pipelines[]: name a Pipeline of this namespace")
)]
pub struct PipelineRule {
    /// Name of a Pipeline of this namespace; whoever may edit it is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A pinned remote source, as `status.provenance.refSource` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PipelineSource>,
}

/// Where a remote Pipeline comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineSource {
    /// As `git+https://…`.
    pub uri: String,
    /// Path within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<String>,
    /// Digests by algorithm.
    #[serde(default)]
    pub digest: std::collections::BTreeMap<String, String>,
}

/// What we found out about an AccessPolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessPolicyStatus {
    /// `Ready`, `Guarded`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Generation that the conditions speak of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// How many active users the subjects match now.
    #[serde(default)]
    pub matched_users: Option<i64>,
}
