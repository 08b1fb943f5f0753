//! `EventSource`: a sender of webhooks, as the cluster's admin defines it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A source-code host or other sender, with its secrets, its repositories and the namespaces that may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "scim-tekton.dev",
    version = "v1alpha1",
    kind = "EventSource",
    plural = "eventsources",
    shortname = "evsrc",
    category = "scim-tekton",
    status = "EventSourceStatus",
    derive = "PartialEq",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.host"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    validation = Rule::new("self.spec.type == 'github'").message("spec.type: only github is supported yet")
)]
#[serde(rename_all = "camelCase")]
pub struct EventSourceSpec {
    /// What sends: decides the signature scheme and the shape of the body.
    #[serde(rename = "type")]
    pub type_: EventSourceType,
    /// Host name of the sender; numeric ids are unique within a host, no further.
    pub host: String,
    /// How a webhook proves where it comes from.
    pub webhook: Webhook,
    /// Which repositories may speak through this source.
    #[serde(default)]
    pub repositories: Repositories,
    /// Namespaces whose AccessPolicies may name this source.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// Kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EventSourceType {
    Github,
    Gitlab,
    Bitbucket,
    Gitea,
    Hmac,
    Oidc,
}

/// The shared secrets of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// One secret, or two while it is rotated; Secrets of the install namespace.
    #[x_kube(validation = Rule::new("self.size() >= 1 && self.size() <= 2").message("webhook.secretRefs: one secret, or two while rotating"))]
    #[schemars(length(max = 2))]
    pub secret_refs: Vec<SecretKeyRef>,
}

/// A key of a Secret of the install namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// Key within it.
    pub key: String,
}

/// Which repositories a source covers. Empty covers all that the secret signs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repositories {
    /// Numeric ids of the owners (users or organisations) at the host.
    #[serde(default)]
    #[schemars(with = "Vec<i64>")]
    pub owners: Vec<u64>,
}

/// What we found out about an EventSource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSourceStatus {
    /// `Ready`: its secrets exist and are not empty.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Generation that the conditions speak of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}
