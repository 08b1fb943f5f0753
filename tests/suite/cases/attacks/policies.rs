//! On the admission policies themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use scim_tekton::api::GrantPhase;

use crate::{
    ensure,
    world::{Caller, OUR_TIME, Outcome, POD_TIME, Shop, World, apply, attempt, eventually, kubectl},
};

const GONE: &str = "scim-tekton-subjects";
const MINUTE: Duration = Duration::from_mins(1);

/// Puts back what `config/` holds.
async fn restore() -> Outcome {
    let files = ["config/400-admission-runs.yaml", "config/410-admission-children.yaml"];
    let more = ["config/420-admission-authors.yaml", "config/430-admission-accounts.yaml"];
    for file in files.into_iter().chain(more) {
        kubectl(&["apply", "-f", file]).await?;
    }
    Ok(())
}

/// What the metric says.
async fn hold(shop: &Shop) -> Outcome<bool> {
    Ok(shop.world.instance.metric("scim_tekton_admission_policies_hold", &[]).await? > 0.5)
}

pub async fn admission_policies_deleted_while_we_run(world: Arc<World>) -> Outcome {
    Shop::with(&world, "open", |shop| async move {
        // The credential is asked for only after another task has been answered.
        let late = "apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: slow, namespace: @NS@}
spec:
  tasks:
  - name: first
    taskRef: {apiVersion: example.com/v1, kind: NobodyAnswers, name: first}
  - name: credential
    runAfter: [first]
    taskRef: {apiVersion: scim-tekton.dev/v1alpha1, kind: CredentialTemplate, name: deploy}
";
        apply(&shop.fill(late)).await?;
        for pipeline in ["deploy", "held", "slow"] {
            shop.trigger(pipeline).await?;
        }
        let alice = shop.deployer("alice").await?;
        let asks = shop.start(&alice, "slow").await?;
        let renews = shop.start(&alice, "held").await?;
        shop.event_about(&asks, "TicketRedeemed").await?;
        shop.grants(&renews, GrantPhase::Active, 2).await?;
        ensure!(hold(&shop).await?, "the metric says that they don't hold before anything was done");

        kubectl(&["delete", "validatingadmissionpolicybinding", GONE]).await?;
        let outcome = while_open(&shop, &alice, &asks, &renews).await;
        restore().await?;
        let waiting = outcome?;
        eventually("the metric says that they hold again", MINUTE, || async { Ok(hold(&shop).await?.then_some(())) })
            .await?;
        shop.event_about(&waiting, "TicketRedeemed").await?;
        let (status, reason) = shop.ended(&waiting).await?;
        ensure!(status == "True", "the run that waited: Succeeded={status}, reason {reason}");
        let (status, reason) = shop.ended(&asks).await?;
        ensure!(status == "True", "the run whose credential waited: Succeeded={status}, reason {reason}");
        let ready = shop.world.instance.admin("readyz?verbose").await?;
        ensure!(ready.contains("[+] admission"), "{ready}");
        shop.world.instance.cli(&["doctor"]).await.map(drop)
    })
    .await
}

/// Gives the run that waits.
async fn while_open(shop: &Shop, alice: &crate::world::Person, asks: &str, renews: &str) -> Outcome<String> {
    let deleted = Instant::now();
    let instance = &shop.world.instance;
    eventually("the metric says that they don't hold", MINUTE, || async { Ok((!hold(shop).await?).then_some(())) })
        .await?;
    eprintln!("noticed after {:.1} s", deleted.elapsed().as_secs_f64());
    // It is a detail: SCIM goes on, which `alice` above needed and the deactivation of anybody would.
    let ready = instance.admin("readyz?verbose").await?;
    ensure!(ready.contains("[-] admission"), "{ready}");
    ensure!(instance.admin("readyz").await?.trim() == "ok", "it is not ready");
    let doctor = ["exec", "-n", "scim-tekton", "deploy/scim-tekton", "--", "scim-tekton", "doctor"];
    let (ok, out, _) = attempt("kubectl", &doctor, None).await?;
    ensure!(!ok && out.contains("scim-tekton-subjects has no binding that denies"), "doctor: {out}");

    let waits = shop.start(alice, "deploy").await?;
    let why = shop.event_about(&waits, "RedemptionDelayed").await?;
    ensure!(why.contains("scim-tekton-subjects has no binding that denies") && why.contains("kubectl apply"), "{why}");
    // The task before the credential is answered now, so that a credential is asked for.
    let first = shop.children("customruns", asks).await?;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let done = format!(
        r#"{{"status": {{"conditions": [{{"type": "Succeeded", "status": "True", "reason": "Done", "message": "", "lastTransitionTime": "{now}"}}]}}}}"#
    );
    let answer = ["patch", first.trim(), "-n", &shop.namespace, "--subresource=status", "--type=merge", "-p", &done];
    Caller::admin().may(&answer, None).await?;
    let asking = eventually("the task that asks for a credential", POD_TIME, || async {
        let all = shop.children("customruns", asks).await?;
        Ok(all.lines().find(|name| *name != first.trim()).map(|name| name.trim().to_owned()))
    })
    .await?;
    let asking = asking.rsplit('/').next().unwrap_or_default().to_owned();
    let why = shop.event_about(&asking, "CredentialDelayed").await?;
    ensure!(why.contains("scim-tekton-subjects"), "{why}");
    // The JWT of the held run lives 30 s: within that it would have been renewed.
    shop.event_about(renews, "RenewalDelayed").await?;
    let run = shop.runs().get(&waits).await?;
    ensure!(run.spec.status.as_deref() == Some("PipelineRunPending"), "the run is {:?}", run.spec.status);
    let issued = kubectl(&["get", "grants", "-n", &shop.namespace, "-o", "name"]).await?;
    ensure!(issued.lines().count() == 2, "a credential was issued meanwhile: {issued}");
    eventually("half a minute is over", MINUTE, || async { Ok((deleted.elapsed() > OUR_TIME).then_some(())) }).await?;
    let run = shop.runs().get(&waits).await?;
    ensure!(run.spec.status.as_deref() == Some("PipelineRunPending"), "the run is {:?}", run.spec.status);
    Ok(waits)
}
