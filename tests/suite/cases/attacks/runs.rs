//! On a run, before it starts and after.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::ResourceExt as _;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    cases::restart::scale,
    ensure,
    world::{Caller, OUR_TIME, Outcome, Shop, TEKTON, World, eventually, kubectl},
};

/// While we are down, so that nothing of it is our own doing.
pub async fn pending_cleared_or_the_spec_changed_while_pending_by_another(world: Arc<World>) -> Outcome {
    Shop::with(&world, "pending", |shop| async move {
        let ns = &shop.namespace;
        let alice = shop.deployer("alice").await?;
        shop.trigger("deploy").await?;
        let ticket = shop.ticket(&alice, "deploy").await?;
        let editor = Caller::account(&shop.world, ns, "editor", &["edit"]).await?;
        let listener = Caller::named(&format!("system:serviceaccount:{ns}:listener"));
        scale(0).await?;
        let outcome: Outcome<String> = async {
            let run = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
            let other = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
            let (object, other) = (format!("pipelinerun/{run}"), format!("pipelinerun/{other}"));
            let attempts = [
                ("another clears Pending", r#"{"spec": {"status": null}}"#),
                ("or asks for a gentle end", r#"{"spec": {"status": "CancelledRunFinally"}}"#),
                ("changes the spec", r#"{"spec": {"taskRunTemplate": {"serviceAccountName": "listener"}}}"#),
                ("gives it another controller", &format!(
                    r#"{{"metadata": {{"ownerReferences": [{{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "{run}", "controller": true}}]}}}}"#
                )),
            ];
            for (what, patch) in attempts {
                for caller in [&Caller::admin(), &editor] {
                    let refused = caller.patch_is_refused("scim-tekton-pending", ns, &object, patch).await;
                    refused.map_err(|error| format!("{what}: {error}"))?;
                }
            }
            let clear = r#"{"spec": {"status": null}}"#;
            Caller::named(TEKTON).patch_is_refused("scim-tekton-pending", ns, &object, clear).await?;
            // Who made it may not even update it.
            ensure!(!listener.can_i(&["update", "pipelineruns", "-n", ns]).await?, "the listener may update runs");
            // What is no attack is admitted.
            editor.patches(ns, &object, r#"{"metadata": {"labels": {"team": "shop"}}}"#).await?;
            editor.patches(ns, &other, r#"{"spec": {"status": "Cancelled"}}"#).await?;
            // And stays: else it could be called back.
            let back = r#"{"spec": {"status": "PipelineRunPending"}}"#;
            Caller::admin().patch_is_refused("scim-tekton-pending", ns, &other, back).await?;
            editor.may(&["delete", &other, "-n", ns], None).await?;
            Ok(run)
        }
        .await;
        scale(1).await?;
        let (status, reason) = shop.ended(&outcome?).await?;
        ensure!(status == "True", "the run that only we start: Succeeded={status}, reason {reason}");
        Ok(())
    })
    .await
}

pub async fn annotation_added_or_changed_after_creation_or_brought_by_a_remote_pipeline(world: Arc<World>) -> Outcome {
    Shop::with(&world, "annotation", |shop| async move {
        let (ns, admin) = (&shop.namespace, Caller::admin());
        let guessed = scim_tekton::ticket::mint_ticket()?;
        // A refused run keeps its annotation and its end: it is the object that anybody would try to revive.
        let run = shop.create_run("deploy", Some(guessed.expose_secret()), true).await?.name_any();
        let object = format!("pipelinerun/{run}");
        for value in [r#""another""#, "null"] {
            let patch = format!(r#"{{"metadata": {{"annotations": {{"scim-tekton.dev/ticket": {value}}}}}}}"#);
            admin.patch_is_refused("scim-tekton-keys", ns, &object, &patch).await?;
        }
        let plain = format!("pipelinerun/{}", shop.create_run("deploy", None, true).await?.name_any());
        let ticket = r#"{"metadata": {"annotations": {"scim-tekton.dev/ticket": "added"}}}"#;
        for caller in [&admin, &Caller::named(TEKTON)] {
            caller.patch_is_refused("scim-tekton-keys", ns, &plain, ticket).await?;
        }
        let label = r#"{"metadata": {"labels": {"scim-tekton.dev/instance": "added"}}}"#;
        admin.patch_is_refused("scim-tekton-keys", ns, &plain, label).await?;
        admin.patches(ns, &plain, r#"{"metadata": {"annotations": {"example.com/note": "added"}}}"#).await?;
        let pipeline = "apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: brings, namespace: @NS@, annotations: {scim-tekton.dev/ticket: brought}}
spec: {tasks: [{name: hold, taskRef: {apiVersion: example.com/v1, kind: NobodyAnswers, name: hold}}]}
";
        admin.is_refused("scim-tekton-pipelines", &shop.fill(pipeline)).await?;
        brought_by_a_remote_pipeline(&shop, &shop.fill(pipeline)).await
    })
    .await
}

/// Tekton asks whoever resolves, by a `ResolutionRequest`. It would merge the annotations of what it gets into the run, but
/// first tries, as a dry run, whether the API server admits such a Pipeline.
async fn brought_by_a_remote_pipeline(shop: &Shop, pipeline: &str) -> Outcome {
    let ns = &shop.namespace;
    let run = "apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: remote, namespace: @NS@}
spec: {pipelineRef: {resolver: suite, params: [{name: which, value: brings}]}}
";
    Caller::admin().creates(&shop.fill(run)).await?;
    let request = eventually("Tekton asks the resolver", OUR_TIME, || async {
        let name = kubectl(&["get", "resolutionrequests", "-n", ns, "-o", "name"]).await?;
        Ok((!name.trim().is_empty()).then(|| name.trim().to_owned()))
    })
    .await?;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let source = json!({"uri": "git+https://git.example.com/shop", "digest": {"sha1": "0"}, "entryPoint": "p.yaml"});
    let answer = json!({"status": {
        "data": BASE64_STANDARD.encode(pipeline), "source": source, "refSource": source,
        "conditions": [{"type": "Succeeded", "status": "True", "reason": "", "message": "", "lastTransitionTime": now}],
    }});
    let patch = ["patch", &request, "-n", ns, "--subresource=status", "--type=merge", "-p", &answer.to_string()];
    kubectl(&patch).await?;
    let told = eventually("Tekton is told that it may not bring our annotation", OUR_TIME, || async {
        let events = kubectl(&["get", "events", "-n", ns, "-o", "jsonpath={.items[*].message}"]).await?;
        let carries =
            kubectl(&["get", "pipelinerun", "remote", "-n", ns, "-o", "jsonpath={.metadata.annotations}"]).await?;
        ensure!(!carries.contains("scim-tekton.dev/"), "the run carries what the Pipeline brought: {carries}");
        Ok(events.contains("ValidatingAdmissionPolicy 'scim-tekton-pipelines'").then_some(events))
    })
    .await?;
    ensure!(told.contains("scim-tekton.dev/"), "{told}");
    Ok(())
}

pub async fn a_run_without_a_ticket_in_an_enforce_namespace(world: Arc<World>) -> Outcome {
    Shop::with(&world, "enforce", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.trigger("deploy").await?;
        kubectl(&["label", "namespace", &shop.namespace, "scim-tekton.dev/enforce=true"]).await?;
        let refused = eventually("a run without a ticket is refused", OUR_TIME, || async {
            match shop.create_run("deploy", None, false).await {
                Err(error) => Ok(Some(error.to_string())),
                // The policy's informer has not seen the label yet.
                Ok(run) => {
                    let _ = kubectl(&["delete", "pipelinerun", "-n", &shop.namespace, &run.name_any()]).await;
                    Ok(None)
                }
            }
        })
        .await?;
        ensure!(refused.contains("'scim-tekton-enforce'"), "the refusal should be ours: {refused}");
        let ticket = shop.ticket(&alice, "deploy").await?;
        let Err(error) = shop.create_run("deploy", Some(&ticket), false).await else {
            return Err("a run with a ticket that is not pending was admitted".into());
        };
        ensure!(error.to_string().contains("PipelineRunPending"), "the refusal should say what is missing: {error}");
        // Whoever may create runs may not bring a ticket: that takes the listener's role.
        let editor = Caller::account(&shop.world, &shop.namespace, "editor", &["edit"]).await?;
        let copied = serde_json::to_string(&shop.run_object("deploy", Some(&ticket), true)?)?;
        editor.is_refused("scim-tekton-ticket", &copied).await?;
        let run = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
        shop.event_about(&run, "TicketRedeemed").await?;
        let by_hand = "apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: by-hand-, namespace: @NS@}
spec: {taskSpec: {steps: [{name: s, image: @TOOLBOX@, script: 'true'}]}}
";
        Caller::admin().is_refused("scim-tekton-enforce", &shop.fill(by_hand)).await?;
        let (status, reason) = shop.ended(&run).await?;
        ensure!(status == "True", "the run with the ticket: Succeeded={status}, reason {reason}");
        Ok(())
    })
    .await
}

pub async fn child_pipeline_run_with_a_copied_ticket(world: Arc<World>) -> Outcome {
    Shop::with(&world, "copied", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.trigger("held").await?;
        let ticket = shop.ticket(&alice, "held").await?;
        let parent = shop.create_run("held", Some(&ticket), true).await?;
        shop.event_about(&parent.name_any(), "TicketRedeemed").await?;
        let unspent = shop.ticket(&alice, "held").await?;
        let owner = json!([{
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": parent.name_any(), "uid": parent.uid(),
            "controller": true,
        }]);
        for (ticket, caller) in [(&ticket, Caller::named(TEKTON)), (&unspent, Caller::named(TEKTON))] {
            let mut child = serde_json::to_value(shop.run_object("held", Some(ticket), true)?)?;
            child["metadata"]["ownerReferences"] = owner.clone();
            // By hand it can't be made at all; Tekton's own copy is not redeemed, not even with a ticket that is good.
            Caller::admin().is_refused("scim-tekton-children", &child.to_string()).await?;
            let name = caller.creates(&child.to_string()).await?;
            let name = name.trim().rsplit('/').next().unwrap_or_default().to_owned();
            let why = shop.event_about(&name, "TicketRefused").await?;
            ensure!(why.contains("parent"), "the Event should say whose the ticket is: {why}");
            let (status, reason) = shop.ended(&name).await?;
            ensure!(status == "False", "{name}: Succeeded={status}, reason {reason}");
        }
        // Nor does any of it keep a parent from being deleted without its children.
        let parent = parent.name_any();
        let delete = ["delete", "pipelinerun", &parent, "-n", &shop.namespace, "--cascade=orphan", "--timeout=30s"];
        Caller::admin().may(&delete, None).await.map(drop)
    })
    .await
}
