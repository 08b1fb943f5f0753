//! Step 0: needs nothing but the binary.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    ensure,
    report::Report,
    world::{Alone, Outcome, push_by, sign},
};

const SECRET: &str = "the demo's own webhook secret";

/// Provision, decide against a folder of policies, deactivate, decide again.
pub async fn step0() -> Report {
    let report = Report::default();
    report.step(0, "Only the binary: provision, decide a recorded event, deactivate, see the decision turn");
    let outcome = play(&report).await;
    if let Err(error) = outcome {
        report.check::<()>("step 0 goes on", Err(error));
    }
    report
}

async fn play(report: &Report) -> Outcome {
    let started = start().await;
    let Some((_policies, alone)) =
        report.check("`scim-tekton serve` runs with a folder of policies and no cluster", started)
    else {
        return Ok(());
    };
    let okta = alone.idp("okta").await?;
    let provisioned = async {
        let bob = okta.provision("bob@example.com", 583_231).await?;
        okta.push_group("deployers", &[&bob]).await?;
        Ok(bob)
    };
    let Some(bob) = report.check("Okta's calls provision Bob and the group deployers", provisioned.await) else {
        return Ok(());
    };
    let event = sign(&push_by(bob.github), SECRET);
    report.say(
        "the event has the whole shape that GitHub documents, signed with the demo's secret; GitHub did not send it",
    );
    let request = event.interceptor_request("namespaces/prod/triggers/push", "deploy");
    let allowed = async {
        let answer = ask(&alone, &request).await?;
        ensure!(answer["continue"] == true, "expected an allowed event, got {answer}");
        let decision = answer["extensions"]["scim"]["decisionId"].as_str().unwrap_or_default().to_owned();
        alone.cli(&["explain", &decision]).await
    };
    if let Some(why) = report.check("Bob's push is allowed, with a ticket; `explain` says why", allowed.await) {
        report.say(&why);
    }
    report.check("Okta deactivates Bob", okta.deactivate(&bob).await);
    let denied = async {
        let event = sign(&push_by(bob.github), SECRET);
        let answer = ask(&alone, &event.interceptor_request("namespaces/prod/triggers/push", "deploy")).await?;
        ensure!(answer["continue"] == false, "expected a denied event, got {answer}");
        Ok(answer["status"]["message"].as_str().unwrap_or_default().to_owned())
    };
    if let Some(sentence) = report.check("the same push is denied now", denied.await) {
        report.say(&sentence);
    }
    let verified = alone.cli(&["audit", "verify"]).await;
    if let Some(said) = report.check("the audit log verifies", verified) {
        report.say(said.trim());
    }
    Ok(())
}

async fn start() -> Outcome<(TempDir, Alone)> {
    let policies = tempfile::tempdir()?;
    write_policies(policies.path())?;
    let config = json!({
        "policies": policies.path(),
        "linkAuthority": {"github.com": {
            "idp": "okta", "attribute": "urn:scim-tekton:params:scim:schemas:extension:accounts:2.0:User:githubId",
        }},
    });
    Ok((policies, Alone::start(config).await?))
}

async fn ask(alone: &Alone, request: &Value) -> Outcome<Value> {
    let ca: Value = serde_json::from_str(&std::fs::read_to_string(alone.store_folder().join("ca.json"))?)?;
    let ca = reqwest::Certificate::from_pem(ca["certificate"].as_str().unwrap_or_default().as_bytes())?;
    let client = reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(10)).build()?;
    let url = format!("https://localhost:{}/", alone.interceptor);
    let answer = client.post(url).header("content-type", "application/json").body(request.to_string()).send().await?;
    Ok(serde_json::from_str(&answer.text().await?)?)
}

fn write_policies(folder: &Path) -> Outcome {
    let secrets = folder.join("secrets/github-webhook");
    std::fs::create_dir_all(&secrets)?;
    std::fs::write(secrets.join("secret"), SECRET)?;
    let objects = [
        json!({
            "apiVersion": "scim-tekton.dev/v1alpha1", "kind": "EventSource", "metadata": {"name": "github-acme"},
            "spec": {
                "type": "github", "host": "github.com",
                "webhook": {"secretRefs": [{"name": "github-webhook", "key": "secret"}]},
                "repositories": {"owners": [123_456]}, "namespaces": ["prod"],
            },
        }),
        json!({
            "apiVersion": "scim-tekton.dev/v1alpha1", "kind": "AccessPolicy",
            "metadata": {"name": "deploy", "namespace": "prod"},
            "spec": {
                "source": "github-acme",
                "subjects": [{"group": {"idp": "okta", "displayName": "deployers"}}],
                "events": [{"types": ["push"]}],
                "pipelines": [{"name": "deploy"}],
            },
        }),
        json!({
            "apiVersion": "triggers.tekton.dev/v1beta1", "kind": "Trigger",
            "metadata": {"name": "push", "namespace": "prod"},
            "spec": {"interceptors": [{
                "ref": {"name": "scim", "kind": "ClusterInterceptor"},
                "params": [{"name": "policy", "value": "deploy"}],
            }]},
        }),
    ];
    let text: Vec<_> = objects.iter().map(ToString::to_string).collect();
    std::fs::write(folder.join("prod.yaml"), text.join("\n---\n"))?;
    Ok(())
}
