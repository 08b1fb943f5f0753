//! Steps 1–5: from nothing to a step that uses its credential.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use scim_tekton::api::GrantPhase;

use crate::{
    cases::{bind, can_i, verify_token},
    ensure,
    report::Report,
    world::{Outcome, POD_TIME, Person, Shop, World, eventually, kubectl, run},
};

/// The cluster and our instance in it.
pub async fn one(world: &Arc<World>, report: &Report) {
    report.step(1, "A real Kubernetes with two API servers and a node, the real Tekton in its pods, ours from config/");
    for server in world.api_servers() {
        let ready = run("kubectl", &["--server", &server, "get", "--raw", "/readyz"], None).await;
        report.check(&format!("the API server {server} is ready"), ready.map(drop));
    }
    for namespace in ["tekton-pipelines", "scim-tekton"] {
        let args = ["wait", "-n", namespace, "deployment", "--all", "--for=condition=Available", "--timeout=120s"];
        report.check(&format!("all Deployments of {namespace} are available"), kubectl(&args).await.map(drop));
    }
    let bundle = "jsonpath={.spec.clientConfig.caBundle}";
    let filled = kubectl(&["get", "clusterinterceptor", "scim", "-o", bundle]).await.and_then(|bundle| {
        ensure!(!bundle.is_empty(), "it is empty");
        Ok(())
    });
    report.check("the ClusterInterceptor was made by our program, its caBundle filled", filled);
}

/// Alice, Bob and a group.
pub async fn two(shop: &Arc<Shop>, report: &Report) -> Outcome<(Person, Person)> {
    report.step(2, "Okta provisions Alice, Bob and a group, over HTTPS, with its own call shapes");
    let alice = shop.deployer("alice").await;
    let alice = report.check("Alice is provisioned, and a member of the group", alice).ok_or("no Alice")?;
    let bob = report.check("Bob is provisioned", shop.person("bob").await).ok_or("no Bob")?;
    report.say(&shop.world.instance.cli(&["groups", "show", &shop.group]).await.unwrap_or_default());
    Ok((alice, bob))
}

/// Bob pushes and may not.
pub async fn three(shop: &Arc<Shop>, report: &Report, bob: &Person) -> Outcome<String> {
    report.step(3, "Bob, who is not in the group, pushes: the real EventListener gets a signed push event");
    report.say(
        "the event has the whole shape that GitHub documents, signed with the team's secret; GitHub did not send it",
    );
    let listener = shop.listen("slow").await;
    let listener = report.check("a real EventListener listens", listener).ok_or("no EventListener")?;
    let push = shop.push(bob);
    report.check(&format!("it takes the event ({} bytes)", push.body.len()), push.deliver(&listener).await);
    let denied = shop.event_about("push-slow", "EventDenied").await;
    if let Some(note) = report.check("the denial is an Event on the Trigger", denied) {
        report.say(&note);
    }
    report.check("no PipelineRun appears", shop.no_other_run(&[]).await);
    Ok(listener)
}

/// Bob joins the group: kubectl at once, the same push at once.
pub async fn four(shop: &Arc<Shop>, report: &Report, listener: &str, bob: &Person) -> Outcome<String> {
    report.step(4, "Okta adds Bob to the group: kubectl follows before the answer, and the push starts a run");
    report.check("a GroupRoleBinding gives the group's people the role, and is Ready", bind(shop).await);
    for server in shop.world.api_servers() {
        let no = can_i(&server, &shop.namespace, bob, false).await;
        report.check(&format!("`kubectl auth can-i` as Bob says no at {server}"), no);
    }
    let added = shop.world.okta.add_member(&shop.group_id, bob).await;
    report.check("SCIM answers", added).ok_or("Bob is not in the group")?;
    for server in shop.world.api_servers() {
        let yes = can_i(&server, &shop.namespace, bob, true).await;
        report.check(&format!("`kubectl auth can-i` as Bob says yes at {server}"), yes);
    }
    shop.push(bob).deliver(listener).await?;
    let run = report.check("the same push starts a PipelineRun", shop.new_run("slow", &[]).await).ok_or("no run")?;
    let name = run.name_any();
    let redeemed = shop.event_about(&name, "TicketRedeemed").await;
    if let Some(note) = report.check("it waited until its ticket was redeemed", redeemed) {
        report.say(&note);
    }
    Ok(name)
}

/// The credential in a step of a real pod, and a token of our issuer.
pub async fn five(shop: &Arc<Shop>, report: &Report, run: &str) -> Outcome<String> {
    report.step(5, "The custom task issues credentials; a step in a real pod uses one");
    let grants = shop.grants(run, GrantPhase::Active, 2).await;
    let grants = report.check("two Grants are Active", grants).ok_or("no Grants")?;
    report.say(&kubectl(&["get", "grants", "-n", &shop.namespace]).await.unwrap_or_default());
    let pod = report.check("the step's pod runs", shop.running_pod(run, "use").await).ok_or("no pod")?;
    let used = eventually("the step has used its credential", POD_TIME, || async {
        let log = shop.log(&pod, "use").await?;
        Ok((log.contains("SUCCESS") && log.contains("another namespace")).then_some(log))
    });
    let used = used.await.and_then(|log| {
        ensure!(!log.contains("WRONG"), "the step could do more than its template grants:\n{log}");
        for line in ["ALLOWED create configmaps", "FORBIDDEN get secrets", "FORBIDDEN another namespace"] {
            ensure!(log.contains(line), "the step did not say {line:?}:\n{log}");
        }
        Ok(log.lines().take(5).collect::<Vec<_>>().join("\n"))
    });
    if let Some(log) = report.check("kubectl may do what the template grants, and nothing else", used) {
        report.say(&log);
    }
    let oidc = grants
        .iter()
        .find(|grant| grant.spec.template.name == "token")
        .and_then(|grant| grant.status.as_ref()?.secret_name.clone())
        .ok_or("no Grant of the template token")?;
    let secrets: Api<Secret> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
    let token = secrets.get(&oidc).await?.data.and_then(|mut data| data.remove("token")).ok_or("no token")?;
    let token = String::from_utf8(token.0)?;
    let claims = verify_token(&shop.world, &token, "https://registry.example.com").await;
    if let Some(subject) = report.check("an OIDC token of the run verifies from the issuer's URL alone", claims) {
        report.say(&subject);
    }
    Ok(token)
}
