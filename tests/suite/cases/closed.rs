//! The interceptor fails closed (G3), and no secret is told to anybody (G7).

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use scim_tekton::api::GrantPhase;
use serde_json::Value;

use crate::{
    ensure,
    world::{OUR_TIME, Outcome, Shop, World, apply, ask_interceptor, eventually, kubectl, push_by, sign},
};

fn reason_code(decision: &Value) -> &str {
    decision["reasonCode"].as_str().unwrap_or_default()
}

pub async fn g3_an_ambiguous_or_inactive_holder_a_missing_policy_and_a_missing_secret_deny(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "closed", |shop| async move {
        let okta = &shop.world.okta;
        shop.trigger("deploy").await?;
        let alice = shop.deployer("alice").await?;
        shop.ticket(&alice, "deploy").await?;

        // Two people claim one account: nobody knows whose push it is.
        let mallory = okta.provision(&format!("mallory-{}@example.com", crate::world::unique()), alice.github).await?;
        let answer = shop.decide(&shop.push(&alice), "deploy").await?;
        ensure!(answer["continue"] == false, "an ambiguous identity is allowed: {answer}");
        // Also when the other claimant is inactive: a number whose holder is gone is denied, whoever else claims it.
        okta.deactivate(&mallory).await?;
        let answer = shop.decide(&shop.push(&alice), "deploy").await?;
        ensure!(answer["continue"] == false, "a number with an inactive holder is allowed: {answer}");
        okta.must(reqwest::Method::DELETE, &format!("/Users/{}", mallory.id), None).await?;
        let answer = shop.decide(&shop.push(&alice), "deploy").await?;
        ensure!(answer["continue"] == true, "the one holder that is left is denied: {answer}");

        // A source whose secret is missing denies even what is signed with the empty secret.
        apply(&format!(
            "apiVersion: scim-tekton.dev/v1alpha1
kind: EventSource
metadata: {{name: {source}-unready, labels: {{suite: {ns}}}}}
spec:
  type: github
  host: github.com
  webhook: {{secretRefs: [{{name: no-such-secret, key: secret}}]}}
  namespaces: [{ns}]
",
            source = shop.source,
            ns = shop.namespace,
        ))
        .await?;
        let source = format!("eventsource/{}-unready", shop.source);
        kubectl(&["wait", &source, "--for=condition=Ready=False", "--timeout=30s"]).await?;
        let policy = format!(r#"{{"spec":{{"source":"{}-unready"}}}}"#, shop.source);
        kubectl(&["patch", "accesspolicy", "deploy", "-n", &shop.namespace, "--type=merge", "-p", &policy]).await?;
        eventually("the policy of the unready source is in force and denies", OUR_TIME, || async {
            let empty = sign(&push_by(alice.github), "");
            let empty = shop.decide(&empty, "deploy").await?;
            let signed = shop.decide(&shop.push(&alice), "deploy").await?;
            ensure!(empty["continue"] == false, "the empty secret opens: {empty}");
            Ok((signed["continue"] == false).then_some(()))
        })
        .await?;
        // A policy that is gone.
        kubectl(&["delete", "accesspolicy", "deploy", "-n", &shop.namespace]).await?;
        let trigger = format!("namespaces/{}/triggers/push-deploy", shop.namespace);
        let request = shop.push(&alice).interceptor_request(&trigger, "deploy");
        let answer = ask_interceptor(&shop.world.instance, &request).await?;
        ensure!(answer["continue"] == false && answer["status"]["code"] == 16, "{answer}");
        Ok(())
    })
    .await
}

pub async fn a_denial_is_printed_by_explain_with_its_whole_trace(world: Arc<World>) -> Outcome {
    Shop::with(&world, "explain", |shop| async move {
        shop.trigger("deploy").await?;
        let alice = shop.deployer("alice").await?;
        shop.ticket(&alice, "deploy").await?;
        let bob = shop.person("bob").await?;
        let answer = shop.decide(&shop.push(&bob), "deploy").await?;
        ensure!(answer["continue"] == false, "{answer}");
        let note = shop.event_about("push-deploy", "EventDenied").await?;
        let id = note.rsplit("decision ").next().unwrap_or_default().trim_end_matches(')').to_owned();
        let decision = shop.world.instance.cli_json(&["explain", &id]).await?;
        ensure!(decision["allowed"] == false, "{decision}");
        ensure!(!reason_code(&decision).is_empty(), "{decision}");
        let trace = decision["trace"].as_array().map_or(0, Vec::len);
        ensure!(trace > 5, "the trace has {trace} steps: {decision}");
        Ok(())
    })
    .await
}

pub async fn g7_no_secret_stands_in_a_log_an_event_a_status_a_metric_or_the_audit_log(world: Arc<World>) -> Outcome {
    Shop::with(&world, "secrets", |shop| async move {
        shop.trigger("held").await?;
        let alice = shop.deployer("alice").await?;
        let ticket = shop.ticket(&alice, "held").await?;
        let run = shop.create_run("held", Some(&ticket), true).await?.name_any();
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let copied = shop.create_run("held", Some(&ticket), true).await?.name_any();
        shop.event_about(&copied, "TicketRefused").await?;
        let secrets: Api<Secret> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
        let mut known = vec![("the ticket", ticket), ("the webhook's secret", shop.secret.clone())];
        known.push(("the IdP's token", shop.world.okta.token().to_owned()));
        for grant in &grants {
            let name = grant.status.as_ref().and_then(|status| status.secret_name.clone()).ok_or("no secretName")?;
            let data = secrets.get(&name).await?.data.unwrap_or_default();
            known.push(("a credential", String::from_utf8(data.get("token").ok_or("no token")?.0.clone())?));
        }
        // The signature of a JWT is secret enough to look for, and the shortest that is unique.
        let looked_for: Vec<(&str, String)> = known
            .into_iter()
            .map(|(what, text)| (what, text.rsplit('.').next().unwrap_or_default().to_owned()))
            .collect();
        shop.world.okta.deactivate(&alice).await?;
        shop.grants(&run, GrantPhase::Revoked, 2).await?;
        let instance = &shop.world.instance;
        let ns = shop.namespace.as_str();
        let metrics = "/api/v1/namespaces/scim-tekton/services/scim-tekton:admin/proxy/metrics";
        let places = [
            ("our log", kubectl(&["logs", "-n", "scim-tekton", "deploy/scim-tekton", "--tail=-1"]).await?),
            ("the Events", kubectl(&["get", "events", "-n", ns, "-o", "yaml"]).await?),
            ("the Grants", kubectl(&["get", "grants", "-n", ns, "-o", "yaml"]).await?),
            ("the CustomRuns", kubectl(&["get", "customruns", "-n", ns, "-o", "jsonpath={.items[*].status}"]).await?),
            (
                "our own kinds",
                kubectl(&["get", "eventsources,accesspolicies,credentialtemplates", "-A", "-o", "yaml"]).await?,
            ),
            ("the metrics", kubectl(&["get", "--raw", metrics]).await?),
            ("the audit log", instance.cli(&["audit", "export"]).await?),
        ];
        for (place, text) in &places {
            ensure!(!text.is_empty(), "{place} is empty: nothing was looked through");
            for (what, secret) in &looked_for {
                ensure!(!text.contains(secret.as_str()), "{what} stands in {place}");
            }
        }
        Ok(())
    })
    .await
}
