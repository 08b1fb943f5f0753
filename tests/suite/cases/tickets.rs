//! A ticket starts one run, in its namespace, under its policy, in its time.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt as _, api::PostParams};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    ensure,
    world::{Outcome, Shop, World, eventually, kubectl},
};

/// A refused run ends Succeeded=False, made no child, and an Event says why.
async fn is_refused(shop: &Shop, run: &str, says: &str) -> Outcome {
    let note = shop.event_about(run, "TicketRefused").await?;
    ensure!(note.contains(says), "the Event should say {says:?}; it says: {note}");
    let (status, reason) = shop.ended(run).await?;
    ensure!(status == "False", "{run}: Succeeded={status}, reason {reason}");
    for kind in ["taskruns", "customruns"] {
        let children = shop.children(kind, run).await?;
        ensure!(children.trim().is_empty(), "{run} made {children}");
    }
    Ok(())
}

pub async fn g4_guessed_copied_late_or_foreign_tickets_end_the_run_without_a_task(world: Arc<World>) -> Outcome {
    Shop::with(&world, "tickets", |shop| async move {
        let elsewhere = Shop::open(&shop.world, "elsewhere").await?;
        let alice = shop.deployer("alice").await?;
        shop.trigger("deploy").await?;
        let late = shop.ticket(&alice, "deploy").await?;
        let issued = std::time::Instant::now();

        let good = shop.ticket(&alice, "deploy").await?;
        let good_run = shop.create_run("deploy", Some(&good), true).await?.name_any();
        shop.event_about(&good_run, "TicketRedeemed").await?;

        let copied = shop.create_run("deploy", Some(&good), true).await?.name_any();
        is_refused(&shop, &copied, &good_run).await?;

        let guessed = scim_tekton::ticket::mint_ticket()?;
        let guessed = shop.create_run("deploy", Some(guessed.expose_secret()), true).await?.name_any();
        is_refused(&shop, &guessed, "ticket").await?;
        let nonsense = shop.create_run("deploy", Some("let me in"), true).await?.name_any();
        is_refused(&shop, &nonsense, "ticket").await?;

        let foreign = shop.ticket(&alice, "deploy").await?;
        let foreign_run = elsewhere.create_run("deploy", Some(&foreign), true).await?.name_any();
        is_refused(&elsewhere, &foreign_run, "namespace").await?;

        // The ticket lives 20 s; the run's creationTimestamp has whole seconds.
        eventually("the ticket's time is over", Duration::from_mins(1), || async {
            Ok((issued.elapsed() > Duration::from_secs(22)).then_some(()))
        })
        .await?;
        let late = shop.create_run("deploy", Some(&late), true).await?.name_any();
        is_refused(&shop, &late, "").await?;

        let (status, reason) = shop.ended(&good_run).await?;
        ensure!(status == "True", "the good run: Succeeded={status}, reason {reason}");
        elsewhere.close().await;
        Ok(())
    })
    .await
}

pub async fn a_run_of_another_pipeline_or_service_account_is_refused(world: Arc<World>) -> Outcome {
    Shop::with(&world, "misfit", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.trigger("deploy").await?;
        let cases = [
            (json!({"pipelineRef": {"name": "another"}}), "pipeline"),
            (
                json!({"pipelineRef": {"name": "deploy"}, "taskRunTemplate": {"serviceAccountName": "listener"}}),
                "service account",
            ),
        ];
        for (spec, says) in cases {
            let ticket = shop.ticket(&alice, "deploy").await?;
            let mut run = shop.run_object("deploy", Some(&ticket), true)?;
            let mut whole = serde_json::to_value(&run)?;
            for (key, value) in spec.as_object().into_iter().flatten() {
                whole["spec"][key] = value.clone();
            }
            run = serde_json::from_value(whole)?;
            let run = shop.runs().create(&PostParams::default(), &run).await?.name_any();
            is_refused(&shop, &run, says).await?;
        }
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
        let ours = shop.start(&alice, "deploy").await?;
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
