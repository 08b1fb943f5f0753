//! A person is deactivated in the middle of a step that uses the credential.

use std::sync::Arc;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use scim_tekton::api::{Grant, GrantPhase};

use crate::{
    ensure,
    world::{BATCH_TIME, Outcome, POD_TIME, Person, Prober, Shop, World, eventually},
};

/// For each Grant of the kubernetes provider, somebody at each API server who uses its credential without pause, with
/// a request that only the Grant's role allows.
pub async fn probers_of(shop: &Shop, grants: &[Grant]) -> Outcome<Vec<Prober>> {
    let secrets: Api<Secret> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
    let mut probers = Vec::new();
    for grant in grants.iter().filter(|grant| grant.spec.template.name == "deploy") {
        let name = grant.status.as_ref().and_then(|status| status.secret_name.clone()).ok_or("no secretName")?;
        let data = secrets.get(&name).await?.data.unwrap_or_default();
        let token = String::from_utf8(data.get("token").ok_or("no token")?.0.clone())?;
        for server in shop.world.api_servers() {
            // Not a list: a consistent one waits up to 100 ms for the watch cache, and the shots would be that coarse.
            let url = format!("{server}/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", shop.namespace);
            probers.push(Prober::start(url, token.clone(), shop.world.cluster_ca()?)?);
        }
    }
    Ok(probers)
}

/// The receipts precede the answer, by the server's clock.
pub fn receipts_precede(grants: &[Grant], answered: chrono::DateTime<chrono::Utc>) -> Outcome {
    for grant in grants.iter().filter(|grant| grant.spec.template.name == "deploy") {
        let receipt = grant.status.as_ref().and_then(|status| status.receipt.as_ref()).ok_or("no receipt")?;
        let gone = receipt.rbac_gone.as_ref().ok_or_else(|| format!("no rbacGone: {receipt:?}"))?;
        ensure!(receipt.refused.len() == 2, "not refused at both API servers: {receipt:?}");
        for at in receipt.refused.values().chain([gone]) {
            let at = chrono::DateTime::parse_from_rfc3339(at)?;
            ensure!(at <= answered, "{at} is after the answer at {answered}: {receipt:?}");
        }
    }
    Ok(())
}

struct Going {
    run: String,
    person: Person,
    pod: String,
}

async fn going(shop: &Arc<Shop>, number: usize) -> Outcome<Going> {
    let person = shop.deployer(&format!("leaver{number}")).await?;
    let run = shop.start(&person, "slow").await?;
    let pod = shop.running_pod(&run, "use").await?;
    eventually(&format!("the step of {run} has used its credential"), BATCH_TIME, || async {
        Ok(shop.log(&pod, "use").await?.contains("SUCCESS").then_some(()))
    })
    .await?;
    Ok(Going { run, person, pod })
}

/// What one log says of the time after the answer: whether it shows Forbidden.
fn judge(run: &str, log: &str, answered: f64) -> Outcome<bool> {
    let mut successes = 0;
    let mut forbidden = false;
    for line in log.lines().filter(|line| line.starts_with("TRY ")) {
        let mut words = line.splitn(3, ' ').skip(1);
        let sent: f64 = words.next().unwrap_or_default().parse()?;
        let said = words.next().unwrap_or_default();
        if said == "SUCCESS" {
            successes += 1;
            ensure!(sent <= answered, "{run}: a request begun {:.2} s after the answer succeeded", sent - answered);
        }
        forbidden |= said.contains("Forbidden") || said.contains("forbidden");
    }
    ensure!(successes > 0, "{run}: no success before the answer:\n{log}");
    Ok(forbidden)
}

pub async fn a_step_has_no_success_after_the_answer_in_20_of_20(world: Arc<World>) -> Outcome {
    Shop::with(&world, "midstep", |shop| async move {
        shop.trigger("slow").await?;
        let mut forbidden = 0;
        for batch in 0..5 {
            let going = try_join_all((0..4).map(|n| going(&shop, batch * 4 + n))).await?;
            for Going { run, person, pod } in going {
                // The log is followed from here, since it goes with its pod.
                let follow = tokio::spawn(follow(Arc::clone(&shop), pod.clone()));
                shop.world.okta.deactivate(&person).await?;
                let answered = since_boot()?;
                let log = follow.await??;
                forbidden += u32::from(judge(&run, &log, answered)?);
                eventually(&format!("the pod {pod} is gone"), POD_TIME, || async {
                    Ok(shop.children("pods", &run).await?.trim().is_empty().then_some(()))
                })
                .await?;
                let (status, reason) = shop.ended(&run).await?;
                ensure!(status == "False" && reason == "Cancelled", "{run}: Succeeded={status}, reason {reason}");
                shop.grants(&run, GrantPhase::Revoked, 2).await?;
            }
        }
        println!(
            "20 deactivations in the middle of a step: no success after the answer; {forbidden} logs show Forbidden"
        );
        ensure!(forbidden > 0, "no log shows Forbidden");
        Ok(())
    })
    .await
}

/// The clock that the step reads, too: one kernel, hundredths of a second.
fn since_boot() -> Outcome<f64> {
    Ok(std::fs::read_to_string("/proc/uptime")?.split(' ').next().unwrap_or_default().parse()?)
}

async fn follow(shop: Arc<Shop>, pod: String) -> Outcome<String> {
    // kubectl ends with the pod; what it has seen by then is what the step did.
    let args = ["logs", "-f", "-n", &shop.namespace, &pod, "-c", "step-use"];
    let (_, log, _) = crate::world::attempt("kubectl", &args, None).await?;
    Ok(log)
}
