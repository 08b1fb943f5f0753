//! `GroupRoleBinding`: a SCIM group becomes RoleBindings.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GroupRef, RoleRef};

/// The members of a SCIM group get roles in namespaces.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "scim-tekton.dev",
    version = "v1alpha1",
    kind = "GroupRoleBinding",
    plural = "grouprolebindings",
    shortname = "grb",
    category = "scim-tekton",
    status = "GroupRoleBindingStatus",
    derive = "PartialEq",
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.group.displayName"),
    printcolumn(name = "Roles", type_ = "string", json_path = ".spec.roleRefs[*].name"),
    printcolumn(name = "Subjects", type_ = "integer", json_path = ".status.subjects"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    validation = Rule::new("!has(self.spec.clusterWide)").message("spec.clusterWide: not supported yet"),
    validation = Rule::new("has(self.spec.namespaces)").message("spec.namespaces: names are required"),
)]
#[serde(rename_all = "camelCase")]
pub struct GroupRoleBindingSpec {
    /// Whose members.
    pub group: GroupRef,
    /// Which roles.
    #[x_kube(validation = Rule::new("self.size() >= 1 && self.size() <= 8").message("spec.roleRefs: one to eight roles"))]
    #[schemars(length(max = 8))]
    pub role_refs: Vec<RoleRef>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Namespaces>,
    /// Everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_wide: Option<bool>,
}

/// Namespaces, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.selector)").message("namespaces.selector: not supported yet"))]
pub struct Namespaces {
    /// Their names.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub names: Vec<String>,
    /// By label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<std::collections::BTreeMap<String, String>>,
}

/// What we found out about a GroupRoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupRoleBindingStatus {
    /// `Ready`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Generation that the conditions speak of.
    #[serde(default)]
    pub observed_generation: Option<i64>,
    /// How many people hold the roles now.
    #[serde(default)]
    pub subjects: Option<i64>,
}
