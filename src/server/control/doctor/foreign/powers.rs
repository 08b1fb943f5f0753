//! What an RBAC rule lets somebody do to us (Kubernetes docs, "Using RBAC Authorization" and "RBAC Good Practices").

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::PolicyRule;

/// What somebody can do to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Power {
    /// Everything, in the whole cluster.
    All,
    /// Read or replace our Secrets: signing keys, webhooks' secrets, tokens.
    Secrets,
    /// Make a pod in our namespaces, or enter one: a pod mounts any Secret and acts as any account of its namespace.
    Pods,
    /// Act as our accounts.
    Accounts,
}

/// How far a rule reaches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach<'a> {
    /// By a binding for the whole cluster. A rule for single names concerns us only if one of them is ours.
    Everywhere(&'a BTreeSet<String>),
    /// By a RoleBinding in one of our namespaces.
    Here,
}

struct Question {
    power: Power,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
    namespaced: bool,
}

const fn ask(
    power: Power,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
) -> Question {
    Question { power, verbs, group, resources, namespaced: true }
}

/// Of what stands in no namespace.
const fn ask_cluster(
    power: Power,
    verbs: &'static [&'static str],
    group: &'static str,
    resources: &'static [&'static str],
) -> Question {
    Question { power, verbs, group, resources, namespaced: false }
}

const WRITE: &[&str] = &["create", "update", "patch"];

const QUESTIONS: [Question; 12] = [
    // The answer to a patch shows the whole Secret.
    ask(Power::Secrets, &["get", "list", "watch", "update", "patch"], "", &["secrets"]),
    // A patch may change a running pod's image.
    ask(Power::Pods, WRITE, "", &["pods", "replicationcontrollers"]),
    ask(Power::Pods, WRITE, "apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]),
    ask(Power::Pods, WRITE, "batch", &["jobs", "cronjobs"]),
    ask(Power::Pods, &["create"], "tekton.dev", &["taskruns", "pipelineruns"]),
    ask(Power::Pods, &["create", "get"], "", &["pods/exec", "pods/attach"]),
    ask(Power::Pods, &["update", "patch"], "", &["pods/ephemeralcontainers"]),
    // The kubelet's API runs commands in every container of its node.
    ask_cluster(Power::Pods, &["create", "get"], "", &["nodes/proxy"]),
    ask(Power::Accounts, &["create"], "", &["serviceaccounts/token"]),
    ask(Power::Accounts, &["impersonate"], "", &["serviceaccounts"]),
    // Constrained impersonation (KEP-5284).
    ask(Power::Accounts, &["impersonate:serviceaccount"], "authentication.k8s.io", &["serviceaccounts"]),
    // No ServiceAccount, but those who rule them all.
    ask_cluster(Power::Accounts, &["impersonate"], "", &["users"]),
];

/// What this rule gives.
pub(super) fn powers(rule: &PolicyRule, reach: Reach<'_>) -> BTreeSet<Power> {
    if matches!(reach, Reach::Everywhere(_)) && is_everything(rule) {
        return BTreeSet::from([Power::All]);
    }
    QUESTIONS.iter().filter(|question| allows(rule, question, reach)).map(|question| question.power).collect()
}

fn allows(rule: &PolicyRule, question: &Question, reach: Reach<'_>) -> bool {
    let named = rule.resource_names.as_deref().unwrap_or_default();
    let concerns_us = match reach {
        Reach::Everywhere(ours) => named.is_empty() || named.iter().any(|name| ours.contains(name)),
        Reach::Here => question.namespaced,
    };
    concerns_us
        // A request to create bears no name, so a rule for single names never allows it; a token's bears the account's.
        && question.verbs.iter().any(|verb| {
            has(&rule.verbs, verb) && (named.is_empty() || *verb != "create" || question.power == Power::Accounts)
        })
        && rule.api_groups.as_ref().is_some_and(|groups| has(groups, question.group))
        && question.resources.iter().any(|resource| rule.resources.iter().flatten().any(|ruled| covers(ruled, resource)))
}

fn is_everything(rule: &PolicyRule) -> bool {
    let any = |list: &Option<Vec<String>>| list.iter().flatten().any(|it| it == "*");
    let named = rule.resource_names.as_ref().is_some_and(|named| !named.is_empty());
    rule.verbs.iter().any(|verb| verb == "*") && any(&rule.api_groups) && any(&rule.resources) && !named
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|it| it == "*" || it == wanted)
}

/// `*` is every resource with every subresource, `*/exec` that subresource of every resource; there is no `pods/*`.
fn covers(ruled: &str, resource: &str) -> bool {
    let subresource = |it: &str| it.split_once('/').map(|(_, subresource)| subresource.to_owned());
    ruled == "*" || ruled == resource || (ruled.starts_with("*/") && subresource(ruled) == subresource(resource))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(verbs: &[&str], group: &str, resource: &str, names: &[&str]) -> PolicyRule {
        let rule = json!({"verbs": verbs, "apiGroups": [group], "resources": [resource], "resourceNames": names});
        serde_json::from_value(rule).unwrap()
    }

    fn given(rule: &PolicyRule) -> (Vec<Power>, Vec<Power>) {
        let ours = BTreeSet::from(["scim-tekton".to_owned()]);
        (powers(rule, Reach::Everywhere(&ours)).into_iter().collect(), powers(rule, Reach::Here).into_iter().collect())
    }

    #[test]
    fn a_rule_gives_what_the_api_server_would_allow_by_it() {
        use Power::{Accounts, All, Pods, Secrets};
        let cases: [(PolicyRule, &[Power], &[Power]); 19] = [
            (rule(&["get"], "", "secrets", &[]), &[Secrets], &[Secrets]),
            (rule(&["*"], "*", "*", &[]), &[All], &[Secrets, Pods, Accounts]),
            (rule(&["list"], "*", "*", &[]), &[Secrets], &[Secrets]),
            (rule(&["create", "delete"], "", "secrets", &[]), &[], &[]),
            (rule(&["get"], "example.com", "secrets", &[]), &[], &[]),
            (rule(&["get"], "", "secrets/status", &[]), &[], &[]),
            (rule(&["get"], "", "secrets", &["theirs"]), &[], &[Secrets]),
            (rule(&["get"], "", "secrets", &["scim-tekton"]), &[Secrets], &[Secrets]),
            (rule(&["create"], "batch", "cronjobs", &[]), &[Pods], &[Pods]),
            (rule(&["create"], "apps", "deployments", &["scim-tekton"]), &[], &[]),
            (rule(&["patch"], "apps", "deployments", &["scim-tekton"]), &[Pods], &[Pods]),
            (rule(&["create"], "tekton.dev", "pipelineruns", &[]), &[Pods], &[Pods]),
            (rule(&["get", "list"], "", "pods", &[]), &[], &[]),
            (rule(&["get"], "", "*/exec", &[]), &[Pods], &[Pods]),
            (rule(&["get"], "", "pods/*", &[]), &[], &[]),
            (rule(&["create"], "", "nodes/proxy", &[]), &[Pods], &[]),
            (rule(&["impersonate"], "", "users", &[]), &[Accounts], &[]),
            (rule(&["impersonate"], "", "serviceaccounts", &["tenant"]), &[], &[Accounts]),
            (rule(&["create"], "", "serviceaccounts/token", &["scim-tekton"]), &[Accounts], &[Accounts]),
        ];
        for (rule, everywhere, here) in cases {
            assert_eq!(given(&rule), (everywhere.to_vec(), here.to_vec()), "{rule:?}");
        }
    }
}
