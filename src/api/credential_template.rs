//! `CredentialTemplate`: what to issue; what a pipeline's `taskRef` names.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What credential a task gets: exactly one provider.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "scim-tekton.dev",
    version = "v1alpha1",
    kind = "CredentialTemplate",
    plural = "credentialtemplates",
    namespaced,
    shortname = "credtpl",
    category = "scim-tekton",
    status = "CredentialTemplateStatus",
    derive = "PartialEq",
    derive = "Default",
    printcolumn(name = "TTL", type_ = "string", json_path = ".spec.ttl"),
    printcolumn(name = "Roles", type_ = "string", json_path = ".spec.kubernetes.roleRefs[*].name"),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.oidc.target"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("[has(self.spec.kubernetes), has(self.spec.oidc), has(self.spec.tokenExchange), has(self.spec.vault), has(self.spec.aws)].filter(x, x).size() == 1").message("spec: exactly one provider of kubernetes, oidc"),
    validation = Rule::new("!has(self.spec.tokenExchange) && !has(self.spec.vault) && !has(self.spec.aws)").message("spec: the providers tokenExchange, vault and aws are not supported yet"),
    validation = Rule::new("!has(self.spec.delivery) || self.spec.delivery == 'Secret'").message("spec.delivery: Exchange is not supported yet"),
)]
#[serde(rename_all = "camelCase")]
pub struct CredentialTemplateSpec {
    /// Lifetime of one credential, as `15m`; renewed while the run lives. A Kubernetes token lives at least 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+(s|m|h)$')").message("expected a duration such as 90s, 15m or 1h"))]
    pub ttl: Option<String>,
    /// How a step gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// A service account token of this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesCredential>,
    /// A JWT of our issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcCredential>,
    /// RFC 8693 at the IdP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_exchange: Option<Unsupported>,
    /// A lease of Vault or `OpenBao`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Unsupported>,
    /// STS `AssumeRoleWithWebIdentity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Unsupported>,
}

/// How a step gets its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// A Secret in the run's namespace.
    Secret,
    /// The step asks with its own pod token.
    Exchange,
}

/// A provider that later versions honour; admitted by no API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Unsupported {
    /// Any of it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: std::collections::BTreeMap<String, serde_json::Value>,
}

/// A service account of its own, bound to the named roles in the run's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.serviceAccountName)").message("kubernetes.serviceAccountName: not supported yet"),
    validation = Rule::new("!has(self.audiences)").message("kubernetes.audiences: not supported yet")
)]
pub struct KubernetesCredential {
    /// Roles of this namespace or ClusterRoles; the credential may what these grant, in this namespace.
    #[x_kube(validation = Rule::new("self.size() >= 1 && self.size() <= 8").message("kubernetes.roleRefs: one to eight roles"))]
    #[schemars(length(max = 8))]
    pub role_refs: Vec<RoleRef>,
    /// Audiences of the token; default: the API server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audiences: Option<Vec<String>>,
    /// A standing service account in place of roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// A Role of the namespace or a ClusterRole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RoleRef {
    /// Which kind.
    pub kind: RoleKind,
    /// Its name.
    pub name: String,
}

/// Kind of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "Kubernetes' own words")]
pub enum RoleKind {
    Role,
    ClusterRole,
}

impl RoleKind {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::ClusterRole => "ClusterRole",
        }
    }
}

/// A JWT of our issuer for one target of the admin's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.claims)").message("oidc.claims: not supported yet"))]
pub struct OidcCredential {
    /// Name of a target of the configuration (`targets.NAME`).
    pub target: String,
    /// Further claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<std::collections::BTreeMap<String, String>>,
}

/// What we found out about a CredentialTemplate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialTemplateStatus {
    /// `Ready`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Generation that the conditions speak of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
}
