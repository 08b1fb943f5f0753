//! `doctor` on the installed instance.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    ensure,
    world::{Outcome, World, apply, kubectl, unique},
};

/// What must be as it should be, whatever other tests have left behind.
const OURS: [&str; 18] = [
    "store",
    "audit log",
    "clock",
    "directory",
    "revocations",
    "CRDs",
    "admission policies",
    "ClusterInterceptor scim",
    "grants namespace scim-tekton-grants",
    "rights",
    "rights beyond config",
    "EventListeners",
    "cluster admins",
    "others: Secrets",
    "others: pods",
    "others: accounts",
    "Tekton's own accounts",
    "issuer",
];

pub async fn doctor_says_ok_on_the_installed_instance(world: Arc<World>) -> Outcome {
    // Its exit code is the answer.
    let (well, checkup) = world.instance.checkup().await?;
    ensure!(well, "something fails: {checkup}");
    let clocks = world.api_servers().map(|url| format!("clock of API server {}", url.trim_start_matches("https://")));
    for check in OURS.iter().copied().chain(clocks.iter().map(String::as_str)) {
        let found = finding(&checkup, check)?;
        ensure!(found["verdict"] == "ok", "{found}");
    }
    every_finding_has_its_mend(&checkup)
}

pub async fn doctor_fails_on_an_account_under_tektons_stock_role_and_names_it(world: Arc<World>) -> Outcome {
    let name = format!("stock-{}", unique());
    let binding = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
subjects: [{{kind: ServiceAccount, name: listener, namespace: {name}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tekton-triggers-eventlistener-clusterroles}}
"
    );
    let (well, checkup) = while_there(&world, &binding, &["clusterrolebinding", &name]).await?;
    let found = finding(&checkup, "EventListeners")?;
    ensure!(!well && found["verdict"] == "fail", "{found}");
    says(found, "found", &format!("ServiceAccount {name}/listener (ClusterRoleBinding {name})"))?;
    says(found, "mend", "config/240-eventlistener-roles.yaml")?;
    every_finding_has_its_mend(&checkup)
}

pub async fn doctor_warns_of_a_tenant_who_may_read_secrets_in_our_namespace(world: Arc<World>) -> Outcome {
    let name = format!("tenant-{}", unique());
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}, namespace: scim-tekton}}
rules: [{{apiGroups: [''], resources: [secrets], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: scim-tekton}}
subjects: [{{kind: ServiceAccount, name: ci, namespace: {name}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
"
    );
    let objects = format!("role/{name},rolebinding/{name}");
    let objects: Vec<&str> = ["-n", "scim-tekton"].into_iter().chain(objects.split(',')).collect();
    let (well, checkup) = while_there(&world, &role, &objects).await?;
    let found = finding(&checkup, "others: Secrets")?;
    ensure!(well && found["verdict"] == "warn", "{found}");
    says(found, "found", &format!("ServiceAccount {name}/ci (RoleBinding scim-tekton/{name})"))?;
    every_finding_has_its_mend(&checkup)
}

pub async fn doctor_names_the_right_that_we_lack_and_the_one_that_nobody_gave_us(world: Arc<World>) -> Outcome {
    let name = format!("more-{}", unique());
    let binding = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
subjects: [{{kind: ServiceAccount, name: scim-tekton, namespace: scim-tekton}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tekton-triggers-core-interceptors}}
"
    );
    let (well, checkup) = while_there(&world, &binding, &["clusterrolebinding", &name]).await?;
    let found = finding(&checkup, "rights beyond config")?;
    ensure!(well && found["verdict"] == "warn", "{found}");
    says(found, "found", "get secrets, list secrets")?;

    kubectl(&["delete", "rolebinding", "scim-tekton-api-servers", "-n", "default"]).await?;
    let checkup = world.instance.checkup().await;
    apply(include_str!("../../../config/220-roles.yaml")).await?;
    let (well, checkup) = checkup?;
    let found = finding(&checkup, "rights")?;
    ensure!(!well && found["verdict"] == "fail", "{found}");
    says(found, "found", "list endpointslices.discovery.k8s.io in default")?;
    says(found, "mend", "kubectl apply -f config/220-roles.yaml")?;
    let (well, checkup) = world.instance.checkup().await?;
    ensure!(well, "and it does not recover: {checkup}");
    Ok(())
}

/// What `doctor` finds while these objects are there.
async fn while_there(world: &World, yaml: &str, objects: &[&str]) -> Outcome<(bool, Value)> {
    apply(yaml).await?;
    let checkup = world.instance.checkup().await;
    let delete: Vec<&str> = ["delete"].iter().chain(objects).copied().collect();
    kubectl(&delete).await?;
    checkup
}

fn finding<'a>(checkup: &'a Value, check: &str) -> Outcome<&'a Value> {
    let findings = checkup["findings"].as_array().ok_or("no findings")?;
    let found = findings.iter().find(|found| found["check"] == check);
    found.ok_or_else(|| format!("no finding {check}: {checkup}").into())
}

fn says(found: &Value, key: &str, text: &str) -> Outcome {
    let said = found[key].as_str().unwrap_or_default();
    ensure!(said.contains(text), "its {key} does not say {text:?}: {found}");
    Ok(())
}

fn every_finding_has_its_mend(checkup: &Value) -> Outcome {
    let findings = checkup["findings"].as_array().ok_or("no findings")?;
    let silent: Vec<&Value> =
        findings.iter().filter(|found| found["verdict"] != "ok" && !found["mend"].is_string()).collect();
    ensure!(silent.is_empty(), "found, and no word on how to mend it: {silent:?}");
    Ok(())
}
