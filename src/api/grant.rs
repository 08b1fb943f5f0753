//! `Grant`: one issued credential, as the auditor sees it. A projection of the store's row; deleting one is a request
//! to revoke.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One issued credential, its owner run, its identity, its state.
#[allow(clippy::duplicated_attributes, reason = "each print column repeats its type")]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "scim-tekton.dev",
    version = "v1alpha1",
    kind = "Grant",
    plural = "grants",
    namespaced,
    shortname = "gr",
    category = "scim-tekton",
    status = "GrantStatus",
    derive = "PartialEq",
    printcolumn(name = "User", type_ = "string", json_path = ".spec.identity.userName"),
    printcolumn(name = "Run", type_ = "string", json_path = ".spec.pipelineRun.name"),
    printcolumn(name = "Template", type_ = "string", json_path = ".spec.template.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct GrantSpec {
    /// Who.
    pub identity: GrantIdentity,
    /// The run that holds it.
    pub pipeline_run: ObjectRef,
    /// Name of the pipeline's task that asked for it.
    pub task: String,
    /// Its CredentialTemplate, as it was.
    pub template: ObjectRef,
    /// Its AccessPolicy, as it was.
    pub policy: ObjectRef,
    /// The Decision that let the run start.
    pub decision_id: String,
    /// No credential of this Grant outlives this moment (RFC 3339).
    pub not_after: String,
}

/// The person behind a Grant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantIdentity {
    /// The IdP that owns the user.
    pub idp: String,
    /// SCIM `id`.
    pub id: String,
    /// SCIM `userName`.
    pub user_name: String,
}

/// A named object at a point of its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its generation, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}

/// State of a Grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GrantPhase {
    /// Being issued; nothing is handed out yet.
    #[default]
    Pending,
    /// Handed out.
    Active,
    /// To be revoked; being revoked.
    Revoking,
    /// Its credential is dead.
    Revoked,
    /// Never handed out.
    Failed,
}

/// State of a Grant in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantStatus {
    /// Where it stands.
    #[serde(default)]
    pub phase: GrantPhase,
    /// The Secret of the run's namespace that steps mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// How often it was renewed.
    #[serde(default)]
    pub renewals: i64,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// Why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the revocation achieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// In Kubernetes' convention.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// What a Revocation achieved, with times (RFC 3339, microseconds, the server's clock).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// When the revocation was asked for.
    pub asked: String,
    /// When its RoleBindings were gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rbac_gone: Option<String>,
    /// When each API server refused, by address.
    #[serde(default)]
    pub refused: std::collections::BTreeMap<String, String>,
    /// API servers that could not be asked, by address, with the reason.
    #[serde(default)]
    pub unproven: std::collections::BTreeMap<String, String>,
    /// When the run was asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_cancelled: Option<String>,
    /// When the run's pods were gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods_gone: Option<String>,
    /// What can't be recalled or proven, and until when.
    #[serde(default)]
    pub residue: Vec<String>,
}

/// Why a Grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RevocationReason {
    RunFinished,
    RunCancelled,
    RunDeleted,
    UserDeactivated,
    UserDeleted,
    GroupLost,
    PolicyChanged,
    TemplateDeleted,
    OwnerGone,
    Expired,
    Manual,
    SecurityEvent,
}

impl RevocationReason {
    /// As the Grant's status and the audit log spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunFinished => "RunFinished",
            Self::RunCancelled => "RunCancelled",
            Self::RunDeleted => "RunDeleted",
            Self::UserDeactivated => "UserDeactivated",
            Self::UserDeleted => "UserDeleted",
            Self::GroupLost => "GroupLost",
            Self::PolicyChanged => "PolicyChanged",
            Self::TemplateDeleted => "TemplateDeleted",
            Self::OwnerGone => "OwnerGone",
            Self::Expired => "Expired",
            Self::Manual => "Manual",
            Self::SecurityEvent => "SecurityEvent",
        }
    }

    /// Whether the person is gone, or nobody answers for the Agent any more: then the run is always cancelled and its pods are deleted.
    pub fn person_is_gone(self) -> bool {
        matches!(self, Self::UserDeactivated | Self::UserDeleted | Self::OwnerGone | Self::SecurityEvent)
    }

    /// Whether the run must be cancelled: it lost its entitlement while it was going.
    pub fn cancels_run(self) -> bool {
        self.person_is_gone() || matches!(self, Self::GroupLost | Self::PolicyChanged | Self::Expired | Self::Manual)
    }
}
