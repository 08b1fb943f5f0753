//! A CustomRun's retries and timeout, by Tekton's contract.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt, api::ListParams};
use scim_tekton::api::tekton::CustomRun;

use crate::{
    ensure,
    world::{GRANTS_NAMESPACE, OUR_TIME, Outcome, Shop, World, apply, eventually, kubectl},
};

fn task(template: &str, more: &str) -> String {
    format!(
        "  - name: credential
    {more}
    taskRef: {{apiVersion: scim-tekton.dev/v1alpha1, kind: CredentialTemplate, name: {template}}}
"
    )
}

fn retried(custom: &CustomRun) -> usize {
    custom.status.as_ref().map_or(0, |status| status.retries_status.len())
}

fn reason(custom: &CustomRun) -> (&str, &str) {
    custom.succeeded().map_or(("", ""), |condition| (condition.status.as_str(), condition.reason.as_str()))
}

pub async fn what_somebody_can_mend_is_retried_as_often_as_the_task_says_and_a_refusal_never(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "retries", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.pipeline("stubborn", &task("missing", "retries: 2"), &["missing"]).await?;
        let run = shop.start(&alice, "stubborn").await?;
        let failed = |custom: &CustomRun| reason(custom).0 == "False";
        let custom = shop.custom_run(&run, "credential", "has failed", failed).await?;
        ensure!(retried(&custom) == 2, "2 retries are told: {:?}", custom.status);
        ensure!(reason(&custom).1 == "CredentialFailed", "{:?}", custom.status);

        shop.pipeline("mended", &task("late", "retries: 9"), &["late"]).await?;
        let run = shop.start(&alice, "mended").await?;
        let custom = shop.custom_run(&run, "credential", "was retried", |custom| retried(custom) > 0).await?;
        ensure!(reason(&custom).0 == "Unknown", "not False before the retries are used up: {:?}", custom.status);
        let template = "apiVersion: scim-tekton.dev/v1alpha1
kind: CredentialTemplate
metadata: {name: late, namespace: @NS@}
spec: {kubernetes: {roleRefs: [{kind: Role, name: deployer}]}}
";
        apply(&shop.fill(template)).await?;
        let custom = shop.custom_run(&run, "credential", "has succeeded", |custom| reason(custom).0 == "True").await?;
        ensure!(retried(&custom) > 0, "the failed attempts are still told: {:?}", custom.status);

        shop.pipeline("refused", &task("unoffered", "retries: 9"), &[]).await?;
        let run = shop.start(&alice, "refused").await?;
        let custom = shop.custom_run(&run, "credential", "has failed", failed).await?;
        ensure!(retried(&custom) == 0, "a refusal is not retried: {:?}", custom.status);
        let message = custom.succeeded().map(|condition| condition.message.clone()).unwrap_or_default();
        ensure!(message.contains("does not offer") && message.contains("not retried"), "{message}");
        Ok(())
    })
    .await
}

pub async fn when_the_timeout_is_over_the_custom_run_fails_and_nothing_of_its_grant_is_left(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "timeout", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.pipeline("late", &task("deploy", "timeout: 4s"), &[]).await?;
        // Somebody's webhook is down, so that no RoleBinding can be made here.
        let webhook = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: down-@NS@, labels: {suite: '@NS@'}}
webhooks:
- name: down.example.com
  clientConfig: {service: {name: nobody, namespace: @NS@}}
  rules: [{apiGroups: [rbac.authorization.k8s.io], apiVersions: [v1], resources: [rolebindings], operations: [CREATE]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: @NS@}}
  sideEffects: None
  admissionReviewVersions: [v1]
";
        apply(&shop.fill(webhook)).await?;
        let outcome = timed_out(&shop, &alice).await;
        let name = format!("down-{}", shop.namespace);
        kubectl(&["delete", "validatingwebhookconfiguration", &name]).await?;
        outcome
    })
    .await
}

async fn timed_out(shop: &Shop, alice: &crate::world::Person) -> Outcome {
    let run = shop.start(alice, "late").await?;
    let delayed = |custom: &CustomRun| reason(custom) == ("Unknown", "CredentialDelayed");
    let custom = shop.custom_run(&run, "credential", "says that it takes longer", delayed).await?;
    let why = custom.succeeded().map(|condition| condition.message.clone()).unwrap_or_default();
    ensure!(why.contains("webhook"), "it should say why: {why}");
    let grants = shop.world.instance.cli_json(&["grants", "list"]).await?;
    let of_run = |grant: &&serde_json::Value| grant["runName"] == run.as_str();
    let pending = grants.as_array().into_iter().flatten().find(of_run).ok_or("no Pending Grant")?;
    let id = pending["id"].as_str().ok_or("no id")?.to_owned();
    let custom = shop.custom_run(&run, "credential", "has failed", |custom| reason(custom).0 == "False").await?;
    ensure!(reason(&custom).1 == "CustomRunTimedOut", "{:?}", custom.status);
    let accounts: Api<ServiceAccount> = Api::namespaced(shop.world.kube.clone(), GRANTS_NAMESPACE);
    let ours = ListParams::default().labels(&format!("scim-tekton.dev/grant={id}"));
    eventually("the account of the Grant is gone", OUR_TIME, || async {
        let left: Vec<_> = accounts.list(&ours).await?.iter().map(ResourceExt::name_any).collect();
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    let grant = shop.world.instance.cli_json(&["grants", "show", &id]).await?;
    ensure!(grant["phase"] == "Failed", "it is {}", grant["phase"]);
    Ok(())
}
