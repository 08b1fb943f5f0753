//! What was begun is finished after a crash.

use std::sync::Arc;

use kube::ResourceExt as _;
use scim_tekton::api::GrantPhase;

use super::deprovision::probers_of;
use crate::{
    ensure,
    world::{OUR_TIME, Outcome, POD_TIME, Shop, World, eventually, kubectl, run},
};

/// Makes an image of a binary and loads it into the node.
pub async fn load_image(binary: &str, image: &str) -> Outcome {
    let archive = format!("target/{}.tar", image.replace(['/', ':'], "-"));
    run("tests/cluster/our-image.sh", &[binary, &archive, image], None).await?;
    run("ctr", &["-n", "k8s.io", "images", "import", &archive], None).await.map(drop)
}

/// The installed pod is killed and comes back.
async fn kill(world: &World) -> Outcome {
    let pod = kubectl(&["get", "pods", "-n", "scim-tekton", "-l", "app.kubernetes.io/name=scim-tekton", "-o", "name"])
        .await?;
    kubectl(&["delete", "-n", "scim-tekton", pod.trim(), "--grace-period=0", "--force"]).await?;
    kubectl(&["rollout", "status", "-n", "scim-tekton", "deployment/scim-tekton", "--timeout=120s"]).await?;
    eventually("SCIM answers again", OUR_TIME, || async {
        let found = world.okta.call(reqwest::Method::GET, "/Users?count=1", None).await;
        Ok(found.is_ok_and(|(status, _)| status.is_success()).then_some(()))
    })
    .await
}

pub async fn g1_what_was_begun_is_finished_after_kill_9(world: Arc<World>) -> Outcome {
    Shop::with(&world, "crash", |shop| async move {
        shop.trigger("held").await?;
        let alice = shop.deployer("alice").await?;
        let ticket = shop.ticket(&alice, "held").await?;
        let run = shop.create_run("held", Some(&ticket), true).await?.name_any();
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let probers = probers_of(&shop, &grants).await?;
        kill(&shop.world).await?;
        // After the restart the token is not in memory: a review of the account proves the refusal.
        shop.world.okta.deactivate(&alice).await?;
        let answer = std::time::Instant::now();
        eventually("the probers have tried again", POD_TIME, || async {
            Ok(probers
                .iter()
                .all(|p| p.shots().iter().filter(|s| s.sent > answer && s.status != 0).count() > 10)
                .then_some(()))
        })
        .await?;
        for prober in probers {
            let late = prober.finish().await.iter().filter(|s| s.sent > answer && s.status == 200).count();
            ensure!(late == 0, "{late} requests sent after the answer succeeded, after a restart");
        }
        shop.grants(&run, GrantPhase::Revoked, 2).await?;

        // A run that ends while we are down: its Grant dies when we are back.
        let bob = shop.deployer("bob").await?;
        let ticket = shop.ticket(&bob, "held").await?;
        let run = shop.create_run("held", Some(&ticket), true).await?.name_any();
        shop.grants(&run, GrantPhase::Active, 2).await?;
        kubectl(&["scale", "-n", "scim-tekton", "deployment/scim-tekton", "--replicas=0"]).await?;
        kubectl(&[
            "wait",
            "-n",
            "scim-tekton",
            "pod",
            "-l",
            "app.kubernetes.io/name=scim-tekton",
            "--for=delete",
            "--timeout=60s",
        ])
        .await?;
        let gone = shop.runs().delete(&run, &kube::api::DeleteParams::default()).await;
        gone?;
        // A ticket presented while we are down is neither lost nor late (its run was created in time).
        kubectl(&["scale", "-n", "scim-tekton", "deployment/scim-tekton", "--replicas=1"]).await?;
        kubectl(&["rollout", "status", "-n", "scim-tekton", "deployment/scim-tekton", "--timeout=120s"]).await?;
        eventually("nothing of the deleted run's Grants is left", POD_TIME, || async {
            let left = kubectl(&[
                "get",
                "serviceaccounts",
                "-n",
                "scim-tekton-grants",
                "-l",
                "scim-tekton.dev/grant",
                "-o",
                "json",
            ])
            .await?;
            let live = shop.world.instance.cli_json(&["grants", "list"]).await?;
            let live = live.as_array().map_or(0, |grants| {
                grants
                    .iter()
                    .filter(|grant| grant["namespace"] == shop.namespace.as_str() && grant["phase"] == "Active")
                    .count()
            });
            let _ = left;
            Ok((live == 0).then_some(()))
        })
        .await?;
        shop.world.instance.cli(&["audit", "verify"]).await.map(drop)
    })
    .await
}
