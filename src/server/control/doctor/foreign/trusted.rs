//! Who is expected to have power over us, and why. Everybody else is told about.

use k8s_openapi::api::rbac::v1::Subject;

use super::super::rights::Names;

/// What a subject is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The control plane or ourselves.
    Expected,
    /// Tekton's own programs: its controller makes the runs' pods, and our tickets rest on its word (DESIGN §5).
    Tekton,
    /// Somebody else.
    Foreign,
}

/// The control plane's own users and groups. `system:` is reserved to it.
const CONTROL_PLANE: [(&str, &str); 5] = [
    ("Group", "system:masters"), // no authorizer is asked about them at all
    ("User", "system:apiserver"),
    ("User", "system:kube-controller-manager"),
    ("User", "system:kube-scheduler"),
    ("Group", "system:nodes"), // the node authorizer gives them the Secrets of their pods anyway
];
/// Where Tekton's releases, its operator and `OpenShift` put their programs.
const TEKTON: [&str; 4] = ["tekton-pipelines", "tekton-pipelines-resolvers", "tekton-operator", "openshift-pipelines"];
/// Our own.
const OURS: [&str; 2] = ["scim-tekton", "scim-tekton-rbac"];

/// What this subject of this binding is to us.
pub(super) fn trust(subject: &Subject, binding: &str, role: &str, names: &Names) -> Trust {
    let (kind, name) = (subject.kind.as_str(), subject.name.as_str());
    if kind != "ServiceAccount" {
        let known = CONTROL_PLANE.contains(&(kind, name)) || (kind == "User" && name.starts_with("system:node:"));
        return if known { Trust::Expected } else { Trust::Foreign };
    }
    let namespace = subject.namespace.as_deref().unwrap_or_default();
    // The controller manager's controllers, as the API server itself binds them: no list of ours to grow old.
    let controller = format!("system:controller:{name}");
    if namespace == "kube-system" && binding == controller && role == controller {
        return Trust::Expected;
    }
    if namespace == names.install && OURS.contains(&name) {
        return Trust::Expected;
    }
    if TEKTON.contains(&namespace) && (name.starts_with("tekton-") || name.starts_with("openshift-pipelines-")) {
        return Trust::Tekton;
    }
    Trust::Foreign
}
