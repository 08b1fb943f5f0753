//! What was begun is finished after a crash.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use scim_tekton::api::GrantPhase;

use super::deprovision::probers_of;
use crate::{
    ensure,
    world::{GRANTS_NAMESPACE, OUR_TIME, Outcome, POD_TIME, Shop, World, eventually, kubectl, run},
};

/// Makes an image of a binary and loads it into the node.
pub async fn load_image(binary: &str, image: &str) -> Outcome {
    let archive = format!("target/{}.tar", image.replace(['/', ':'], "-"));
    run("tests/cluster/our-image.sh", &[binary, &archive, image], None).await?;
    run("ctr", &["-n", "k8s.io", "images", "import", &archive], None).await.map(drop)
}

/// Stops the installed instance, or starts it again.
pub async fn scale(replicas: u8) -> Outcome {
    let replicas = format!("--replicas={replicas}");
    kubectl(&["scale", "-n", "scim-tekton", "deployment/scim-tekton", &replicas]).await?;
    if replicas.ends_with('0') {
        let pods = ["wait", "-n", "scim-tekton", "pod", "-l", "app.kubernetes.io/name=scim-tekton"];
        return kubectl(&[&pods[..], &["--for=delete", "--timeout=60s"]].concat()).await.map(drop);
    }
    kubectl(&["rollout", "status", "-n", "scim-tekton", "deployment/scim-tekton", "--timeout=120s"]).await.map(drop)
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
        shop.trigger("deploy").await?;
        let alice = shop.deployer("alice").await?;
        let run = shop.start(&alice, "held").await?;
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

        // A run that is deleted while we are down: its Grants die when we are back. A run that comes while we are down is
        // neither lost nor late: its ticket is judged by when it was created.
        let bob = shop.deployer("bob").await?;
        let run = shop.start(&bob, "held").await?;
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let ticket = shop.ticket(&bob, "deploy").await?;
        scale(0).await?;
        shop.runs().delete(&run, &DeleteParams::default()).await?;
        let meanwhile = shop.create_run("deploy", Some(&ticket), true).await?.name_any();
        scale(1).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(shop.world.kube.clone(), GRANTS_NAMESPACE);
        eventually("nothing of the deleted run's Grants is left", POD_TIME, || async {
            for grant in &grants {
                if accounts.get_opt(&grant.name_any()).await?.is_some() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        let (status, reason) = shop.ended(&meanwhile).await?;
        ensure!(status == "True", "the run that came meanwhile: Succeeded={status}, reason {reason}");
        shop.world.instance.cli(&["audit", "verify"]).await.map(drop)
    })
    .await
}
