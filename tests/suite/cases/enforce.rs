//! What the API server itself refuses, by our admission policies.

use std::sync::Arc;

use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    ensure,
    world::{OUR_TIME, Outcome, Shop, World, attempt, eventually, kubectl},
};

pub async fn in_an_enforce_namespace_no_run_without_a_ticket_and_no_ticket_without_pending(
    world: Arc<World>,
) -> Outcome {
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
        ensure!(refused.contains("ticket"), "the refusal should speak of the ticket: {refused}");
        let ticket = shop.ticket(&alice, "deploy").await?;
        let Err(error) = shop.create_run("deploy", Some(&ticket), false).await else {
            return Err("a run with a ticket that is not pending was admitted".into());
        };
        ensure!(error.to_string().contains("PipelineRunPending"), "the refusal should say what is missing: {error}");
        let run = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
        shop.event_about(&run, "TicketRedeemed").await?;
        let task = format!(
            "apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {{generateName: by-hand-, namespace: {}}}
spec: {{taskSpec: {{steps: [{{name: s, image: {}, script: 'true'}}]}}}}
",
            shop.namespace,
            shop.world.env("TOOLBOX_IMAGE"),
        );
        let (ok, _, said) = attempt("kubectl", &["create", "-f", "-"], Some(&task)).await?;
        ensure!(!ok, "a TaskRun without a run was admitted");
        ensure!(said.contains("scim-tekton"), "the refusal should be ours: {said}");
        let (status, reason) = shop.ended(&run).await?;
        ensure!(status == "True", "the run with the ticket: Succeeded={status}, reason {reason}");
        Ok(())
    })
    .await
}

pub async fn a_pending_run_without_our_ticket_is_left_alone(world: Arc<World>) -> Outcome {
    Shop::with(&world, "pending", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.trigger("deploy").await?;
        let theirs = shop.create_run("deploy", None, true).await?;
        // A run of ours that starts later and ends shows that theirs was seen and left alone.
        let ticket = shop.ticket(&alice, "deploy").await?;
        let ours = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
        let (status, reason) = shop.ended(&ours).await?;
        ensure!(status == "True", "our run: Succeeded={status}, reason {reason}");
        let now = shop.runs().get(&theirs.name_any()).await?;
        ensure!(now.spec.status.as_deref() == Some("PipelineRunPending"), "it is {:?}", now.spec.status);
        let events = kubectl(&["get", "events", "-n", &shop.namespace, "-o", "json"]).await?;
        let ours = events.contains(&format!("\"{}\"", theirs.name_any())) && events.contains("TicketRefused");
        ensure!(!ours, "we spoke of a run that is not ours");
        Ok(())
    })
    .await
}

pub async fn only_we_clear_pending_and_our_keys_are_immutable(world: Arc<World>) -> Outcome {
    Shop::with(&world, "immutable", |shop| async move {
        let runs = shop.runs();
        let guessed = scim_tekton::ticket::mint_ticket()?;
        // A refused run keeps its annotation and its end: it is the object that anybody would try to revive.
        let run = shop.create_run("deploy", Some(secrecy::ExposeSecret::expose_secret(&guessed)), true).await?;
        let name = run.name_any();
        let clear = Patch::Merge(json!({"spec": {"status": null}}));
        let Err(error) = runs.patch(&name, &PatchParams::default(), &clear).await else {
            return Err("the cluster's admin cleared Pending".into());
        };
        ensure!(error.to_string().contains("scim-tekton") || error.to_string().contains("done"), "{error}");
        let change = Patch::Merge(json!({"metadata": {"annotations": {"scim-tekton.dev/ticket": "another"}}}));
        let Err(error) = runs.patch(&name, &PatchParams::default(), &change).await else {
            return Err("the ticket's annotation was changed".into());
        };
        ensure!(error.to_string().contains("scim-tekton.dev/"), "{error}");
        let plain = shop.create_run("deploy", None, true).await?.name_any();
        let add = Patch::Merge(json!({"metadata": {"annotations": {"scim-tekton.dev/ticket": "added"}}}));
        ensure!(runs.patch(&plain, &PatchParams::default(), &add).await.is_err(), "a ticket was added to a run");
        Ok(())
    })
    .await
}
