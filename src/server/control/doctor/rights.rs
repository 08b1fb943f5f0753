//! What our own accounts may do: all that `config/` gives them, and nothing that would make us dangerous.

use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use super::{super::wire::Finding, Inspect, listed};
use crate::cluster::Action;

/// What is installed, compiled in: so it is what this version needs.
const FILES: [(&str, &str); 2] = [
    ("config/210-clusterrole.yaml", include_str!("../../../../config/210-clusterrole.yaml")),
    ("config/220-roles.yaml", include_str!("../../../../config/220-roles.yaml")),
];
/// How `config/` calls what may be called otherwise.
const INSTALL: &str = "scim-tekton";
const GRANTS: &str = "scim-tekton-grants";
const INTERCEPTOR: &str = "scim";
/// The account of GroupRoleBindings.
const RBAC: &str = "scim-tekton-rbac";

/// What nobody gave us: verb, API group, resource, subresource, name. With any of these, whoever takes over this
/// program takes over more than we promise, or our own admission policies no longer bind us.
const BEYOND: [(&str, &str, &str, &str, &str); 17] = [
    ("*", "*", "*", "", ""),
    ("get", "", "secrets", "", ""),
    ("list", "", "secrets", "", ""),
    ("create", "", "pods", "", ""),
    ("create", "", "pods", "exec", ""),
    ("create", "", "serviceaccounts", "token", ""),
    ("impersonate", "", "users", "", ""),
    ("impersonate", "", "groups", "", ""),
    ("impersonate", "", "serviceaccounts", "", ""),
    ("bind", "rbac.authorization.k8s.io", "roles", "", ""),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", ""),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "", "cluster-admin"),
    ("escalate", "rbac.authorization.k8s.io", "roles", "", ""),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", "", ""),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", ""),
    ("patch", "admissionregistration.k8s.io", "validatingadmissionpolicies", "", ""),
    ("delete", "admissionregistration.k8s.io", "validatingadmissionpolicybindings", "", ""),
];

/// How this installation calls what `config/` calls `scim-tekton`, `scim-tekton-grants` and `scim`.
#[derive(Clone, Debug)]
pub struct Names {
    /// The install namespace.
    pub install: String,
    /// The grants namespace.
    pub grants: String,
    /// The ClusterInterceptor.
    pub interceptor: String,
}

/// Which of our accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The one that we run as.
    Own,
    /// The one of GroupRoleBindings, which we impersonate.
    Rbac,
}

/// A right of one of our accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Whose.
    pub account: Account,
    /// To do what.
    pub action: Action,
    file: &'static str,
}

impl Right {
    /// As a person would say it: `get secrets in scim-tekton`.
    fn told(&self) -> String {
        let Action { verb, group, resource, subresource, name, namespace } = &self.action;
        let mut told = format!("{verb} {resource}");
        for (before, part) in [("/", subresource), (".", group), (" ", name), (" in ", namespace)] {
            if !part.is_empty() {
                told.push_str(before);
                told.push_str(part);
            }
        }
        if self.account == Account::Rbac { format!("{told} as {RBAC}") } else { told }
    }
}

pub(super) async fn check(cluster: &dyn Inspect) -> Vec<Finding> {
    let (needed, beyond) = (needed(cluster.names()), beyond());
    let held = cluster.may(needed.clone()).await;
    let more = cluster.may(beyond.clone()).await;
    vec![missing(&needed, &held), surplus(&beyond, &more)]
}

fn missing(needed: &[Right], held: &[Result<bool, String>]) -> Finding {
    const CHECK: &str = "rights";
    if let Some(Err(why)) = held.iter().find(|held| held.is_err()) {
        return unseen(CHECK, why);
    }
    let missing: Vec<_> = needed.iter().zip(held).filter(|(_, held)| **held == Ok(false)).collect();
    if missing.is_empty() {
        return Finding::ok(CHECK, format!("all {} that config/ gives are held", needed.len()));
    }
    let files =
        FILES.map(|(file, _)| file).into_iter().filter(|file| missing.iter().any(|(right, _)| right.file == *file));
    let mend = files.fold("kubectl apply".to_owned(), |mend, file| format!("{mend} -f {file}"));
    let found = listed(missing.iter().map(|(right, _)| right.told()));
    Finding::fail(CHECK, format!("we may not: {found}"), format!("{mend}, of the version that runs"))
}

fn surplus(beyond: &[Right], held: &[Result<bool, String>]) -> Finding {
    const CHECK: &str = "rights beyond config";
    if let Some(Err(why)) = held.iter().find(|held| held.is_err()) {
        return unseen(CHECK, why);
    }
    let mut surplus: Vec<_> =
        beyond.iter().zip(held).filter(|(_, held)| **held == Ok(true)).map(|(right, _)| right).collect();
    if surplus.is_empty() {
        return Finding::ok(CHECK, "none of the dangerous ones");
    }
    // Who may do everything may do the rest of the table too.
    for account in [Account::Own, Account::Rbac] {
        if surplus.iter().any(|right| right.account == account && right.action.verb == "*") {
            surplus.retain(|right| right.account != account || right.action.verb == "*");
        }
    }
    let mend = "find who gave it (kubectl get clusterrolebindings -o wide) and take it away; roles that we may bind are \
                named one by one (config/230-bind.yaml)";
    Finding::warn(CHECK, format!("we may: {}", listed(surplus.iter().map(|right| right.told()))), mend)
}

fn unseen(check: &str, why: &str) -> Finding {
    let mend =
        "everybody may ask the API server this about themselves (ClusterRole system:basic-user): its log says more";
    Finding::warn(check, format!("can't be looked at: {why}"), mend)
}

/// What `config/` gives our accounts.
fn needed(names: &Names) -> Vec<Right> {
    FILES.iter().flat_map(|(file, text)| given(file, text, names)).collect()
}

fn beyond() -> Vec<Right> {
    let actions = BEYOND.map(|(verb, group, resource, subresource, name)| Action {
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        name: name.into(),
        namespace: String::new(),
    });
    let of = |account| actions.clone().map(|action| Right { account, action, file: "" });
    of(Account::Own).into_iter().chain(of(Account::Rbac)).collect()
}

/// What a manifest gives. A test holds that all of it is understood.
fn given(file: &'static str, text: &str, names: &Names) -> Vec<Right> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let mut rights = Vec::new();
    for binding in &documents {
        let Some(role_kind) = text_at(binding, "/roleRef/kind") else { continue };
        let place = text_at(binding, "/metadata/namespace");
        let bound = documents.iter().find(|role| {
            text_at(role, "/kind") == Some(role_kind)
                && text_at(role, "/metadata/name") == text_at(binding, "/roleRef/name")
                && text_at(role, "/metadata/namespace") == place
        });
        let bound = bound.and_then(|role| role.get("rules")).cloned().unwrap_or_default();
        let rules: Vec<PolicyRule> = serde_json::from_value(bound).unwrap_or_default();
        let account = if text_at(binding, "/subjects/0/name") == Some(RBAC) { Account::Rbac } else { Account::Own };
        let namespace = match place.unwrap_or_default() {
            INSTALL => &names.install,
            GRANTS => &names.grants,
            other => other,
        };
        rights.extend(rules.iter().flat_map(|rule| expand(rule, names)).map(|mut action| {
            action.namespace = namespace.into();
            Right { account, action, file }
        }));
    }
    rights
}

fn text_at<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    document.pointer(pointer).and_then(Value::as_str)
}

/// Every single action that a rule allows.
fn expand(rule: &PolicyRule, names: &Names) -> Vec<Action> {
    let mut actions = Vec::new();
    let any = [String::new()];
    let objects = rule.resource_names.as_deref().filter(|only| !only.is_empty()).unwrap_or(&any);
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            for name in objects {
                let ours = resource == "clusterinterceptors" && name == INTERCEPTOR;
                let name = if ours { &names.interceptor } else { name };
                actions.extend(rule.verbs.iter().map(|verb| Action {
                    verb: verb.clone(),
                    group: group.clone(),
                    resource: resource.to_owned(),
                    subresource: subresource.to_owned(),
                    name: name.clone(),
                    namespace: String::new(),
                }));
            }
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::control::wire::Verdict;

    fn names() -> Names {
        Names { install: "here".into(), grants: "there".into(), interceptor: "second".into() }
    }

    #[test]
    fn every_rule_of_config_is_understood_under_the_installations_own_names() {
        let needed = needed(&names());
        let told: Vec<_> = needed.iter().map(Right::told).collect();
        for right in [
            "redeem tickets.scim-tekton.dev",
            "patch customruns/status.tekton.dev",
            "create clusterinterceptors.triggers.tekton.dev second",
            "delete secrets",
            "get secrets in here",
            "update secrets scim-tekton-keys in here",
            "impersonate serviceaccounts scim-tekton-rbac in here",
            "create serviceaccounts/token in there",
            "watch endpointslices.discovery.k8s.io in default",
            "update rolebindings.rbac.authorization.k8s.io as scim-tekton-rbac",
        ] {
            assert!(told.iter().any(|told| told == right), "{right} is not in {told:#?}");
        }
        let mut rules = 0;
        for (_, text) in FILES {
            for document in serde_saphyr::from_multiple::<Value>(text).unwrap() {
                for rule in document["rules"].as_array().into_iter().flatten() {
                    let count = |key: &str| rule[key].as_array().map_or(1, Vec::len);
                    rules += count("apiGroups") * count("resources") * count("verbs") * count("resourceNames");
                }
            }
        }
        assert_eq!(needed.len(), rules);
    }

    #[test]
    fn config_gives_nothing_of_the_table_of_dangerous_rights() {
        let given = needed(&names());
        for right in beyond() {
            assert!(
                !given.iter().any(|given| given.account == right.account && given.action == right.action),
                "{right:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_fails_and_names_its_file_and_what_is_too_much_is_a_warning() {
        let needed = needed(&names());
        let mut held: Vec<_> = needed.iter().map(|_| Ok(true)).collect();
        assert_eq!(missing(&needed, &held).verdict, Verdict::Ok);
        let lost = needed.iter().position(|right| right.told() == "get secrets in here").unwrap();
        held[lost] = Ok(false);
        let found = missing(&needed, &held);
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Fail, "we may not: get secrets in here"));
        assert_eq!(found.mend.unwrap(), "kubectl apply -f config/220-roles.yaml, of the version that runs");
        held[0] = Err("no route".into());
        assert_eq!(missing(&needed, &held).verdict, Verdict::Warn);

        let beyond = beyond();
        let mut held: Vec<_> = beyond.iter().map(|_| Ok(false)).collect();
        assert_eq!(surplus(&beyond, &held).verdict, Verdict::Ok);
        held[1] = Ok(true);
        let found = surplus(&beyond, &held);
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Warn, "we may: get secrets"));
        held[0] = Ok(true);
        held[BEYOND.len() + 3] = Ok(true);
        let found = surplus(&beyond, &held).found;
        assert_eq!(found, "we may: * *.*, create pods as scim-tekton-rbac");
    }
}
