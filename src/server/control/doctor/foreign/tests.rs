use serde_json::{Value, json};

use super::*;
use crate::server::control::wire::Verdict;

fn names() -> Names {
    Names { install: "scim-tekton".into(), grants: "scim-tekton-grants".into(), interceptor: "scim".into() }
}

fn rules(name: &str) -> Value {
    match name {
        "everything" => json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
        "secrets" | "tekton-triggers-eventlistener-clusterroles" => {
            json!([{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["secrets"]}])
        }
        "jobs" => json!([{"verbs": ["create"], "apiGroups": ["batch"], "resources": ["jobs"]}]),
        "persons" => json!([{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]}]),
        other => {
            json!([{"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": [other]}])
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl Bindings {
    fn everywhere(&mut self, name: &str, role: &str, subjects: &Value) {
        self.cluster_roles.push(read(json!({"metadata": {"name": role}, "rules": rules(role)})));
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
        self.cluster.push(read(json!({"metadata": {"name": name}, "roleRef": role, "subjects": subjects})));
    }

    fn here(&mut self, namespace: &str, role: &str, subjects: &Value) {
        let metadata = json!({"name": role, "namespace": namespace});
        self.roles.push(read(json!({"metadata": metadata, "rules": rules(role)})));
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role});
        self.local.push(read(json!({"metadata": metadata, "roleRef": reference, "subjects": subjects})));
    }
}

fn account(namespace: &str, name: &str) -> Value {
    json!([{"kind": "ServiceAccount", "namespace": namespace, "name": name}])
}

fn user(name: &str) -> Value {
    json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}])
}

fn group(name: &str) -> Value {
    json!([{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}])
}

/// What is not OK.
fn found(bindings: &Bindings) -> Vec<(String, Verdict, String)> {
    let findings = check(&Ok(bindings.clone()), &names(), &["webhook".into()]);
    assert!(findings.iter().all(|found| found.mend.is_some() == (found.verdict != Verdict::Ok)), "{findings:?}");
    let wrong = findings.into_iter().filter(|found| found.verdict != Verdict::Ok);
    wrong.map(|found| (found.check, found.verdict, found.found)).collect()
}

#[test]
fn the_control_plane_tekton_and_we_are_no_news() {
    let mut bindings = Bindings::default();
    bindings.everywhere("cluster-admin", "everything", &group("system:masters"));
    bindings.everywhere("kcm", "secrets", &user("system:kube-controller-manager"));
    bindings.everywhere("nodes", "secrets", &user("system:node:worker-1"));
    bindings.everywhere(
        "system:controller:expander",
        "system:controller:expander",
        &account("kube-system", "expander"),
    );
    bindings.cluster_roles.last_mut().unwrap().rules = read(rules("secrets"));
    bindings.here("scim-tekton", "secrets", &account("scim-tekton", "scim-tekton"));
    bindings.everywhere("tekton", "secrets", &account("tekton-pipelines", "tekton-pipelines-controller"));
    assert_eq!(found(&bindings), []);
    let findings = check(&Ok(bindings.clone()), &names(), &[]);
    let tekton = findings.last().unwrap();
    assert!(tekton.found.ends_with("ServiceAccount tekton-pipelines/tekton-pipelines-controller"), "{tekton:?}");

    // Each is expected as itself only.
    bindings.everywhere("system:controller:expander", "secrets", &account("kube-system", "expander"));
    bindings.everywhere("x", "secrets", &account("tenant", "scim-tekton"));
    bindings.everywhere("y", "secrets", &account("tenant", "tekton-pipelines-controller"));
    bindings.everywhere("z", "secrets", &user("tekton-pipelines"));
    assert!(found(&bindings)[0].2.starts_with("4 may read or replace Secrets"), "{:?}", found(&bindings));
}

#[test]
fn tektons_stock_role_for_event_listeners_fails_and_is_told_once() {
    let mut bindings = Bindings::default();
    bindings.everywhere("hooks", STOCK[0], &account("shop", "listener"));
    let found = found(&bindings);
    let [(check, Verdict::Fail, text)] = &found[..] else { unreachable!("{found:?}") };
    assert_eq!(check, "EventListeners");
    assert!(text.contains("tekton-triggers-eventlistener-clusterroles"), "{text}");
    assert!(text.ends_with("ServiceAccount shop/listener (ClusterRoleBinding hooks)"), "{text}");
    let mend = super::check(&Ok(bindings), &names(), &[])[0].mend.clone().unwrap();
    assert!(
        mend.contains("scim-tekton-eventlistener by a RoleBinding")
            && mend.ends_with("delete ClusterRoleBinding hooks")
    );
}

#[test]
fn each_power_of_a_stranger_is_a_warning_that_names_him_and_his_bindings() {
    let mut bindings = Bindings::default();
    bindings.everywhere("ops", "everything", &user("olga"));
    bindings.everywhere("vault", "secrets", &account("vault", "injector"));
    bindings.here("scim-tekton", "reader", &account("tenant", "ci"));
    bindings.here("scim-tekton-grants", "reader", &account("tenant", "ci"));
    bindings.everywhere("batch", "jobs", &group("devs"));
    bindings.everywhere("sudo", "persons", &group("support"));
    let ours = "scim-tekton and scim-tekton-grants";
    let expected = [
        ("cluster admins", "1 may do everything: User olga (ClusterRoleBinding ops)".to_owned()),
        (
            "others: Secrets",
            format!(
                "2 may read or replace Secrets in {ours}: ServiceAccount tenant/ci (RoleBinding \
                 scim-tekton-grants/reader, RoleBinding scim-tekton/reader), ServiceAccount vault/injector \
                 (ClusterRoleBinding vault)"
            ),
        ),
        ("others: pods", format!("1 may make pods in {ours}, or enter them: Group devs (ClusterRoleBinding batch)")),
        ("others: accounts", format!("1 may act as accounts of {ours}: Group support (ClusterRoleBinding sudo)")),
    ];
    assert_eq!(found(&bindings), expected.map(|(check, text)| (check.to_owned(), Verdict::Warn, text)));
}

#[test]
fn what_does_not_reach_our_namespaces_is_not_told() {
    let mut bindings = Bindings::default();
    bindings.here("tenant", "secrets", &account("tenant", "ci"));
    bindings.everywhere("theirs", "their-certificate", &account("tenant", "ci"));
    bindings.cluster.push(read(json!({
        "metadata": {"name": "dangling"}, "subjects": account("tenant", "ci"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gone"}
    })));
    assert_eq!(found(&bindings), []);
    bindings.everywhere("ours", "webhook", &account("tenant", "ci"));
    assert_eq!(found(&bindings)[0].0, "others: Secrets");
}

#[test]
fn a_right_for_everybody_fails_and_many_are_counted() {
    let mut bindings = Bindings::default();
    bindings.everywhere("oops", "secrets", &group("system:authenticated"));
    assert_eq!(found(&bindings)[0].1, Verdict::Fail);
    let mut bindings = Bindings::default();
    for number in 10..25 {
        bindings.everywhere(&format!("b{number}"), "secrets", &user(&format!("u{number}")));
    }
    let text = &found(&bindings)[0].2;
    assert!(text.starts_with("15 may") && text.ends_with("User u19 (ClusterRoleBinding b19), and 5 more"), "{text}");
}

#[test]
fn what_can_not_be_looked_at_is_a_warning() {
    let found = check(&Err("forbidden".into()), &names(), &[]);
    assert!(found.len() == 1 && found[0].verdict == Verdict::Warn, "{found:?}");
}
