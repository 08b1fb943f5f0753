//! Objects of Grants that somebody deleted, and objects that are nobody's.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use scim_tekton::api::{Grant, GrantPhase};

use super::restart::scale;
use crate::{
    ensure,
    world::{OUR_TIME, Outcome, Shop, World, apply, attempt, eventually, kubectl},
};

/// The comparison of objects and rows comes once a minute.
const COMPARED: Duration = Duration::from_secs(100);

/// The Grant that has RoleBindings, of a run that is held open.
async fn held_run(shop: &Shop) -> Outcome<Grant> {
    let alice = shop.deployer("alice").await?;
    shop.trigger("held").await?;
    held(shop, &shop.start(&alice, "held").await?).await
}

/// The Grant of a held run that has RoleBindings.
async fn held(shop: &Shop, run: &str) -> Outcome<Grant> {
    let grants = shop.grants(run, GrantPhase::Active, 2).await?;
    Ok(grants.into_iter().find(|grant| grant.spec.template.name == "deploy").ok_or("no kubernetes Grant")?)
}

async fn revoked(shop: &Shop, grant: &Grant) -> Outcome {
    let api: Api<Grant> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
    let status = eventually("the Grant is Revoked", OUR_TIME, || async {
        let status = api.get(&grant.name_any()).await?.status.unwrap_or_default();
        Ok((status.phase == GrantPhase::Revoked).then_some(status))
    })
    .await?;
    ensure!(status.reason.as_deref() == Some("Manual"), "the reason is {:?}", status.reason);
    Ok(())
}

async fn delete_binding(shop: &Shop, grant: &Grant) -> Outcome {
    kubectl(&["delete", "rolebinding", "-n", &shop.namespace, &format!("{}-0", grant.name_any())]).await.map(drop)
}

pub async fn a_grant_whose_role_binding_is_deleted_ends(world: Arc<World>) -> Outcome {
    Shop::with(&world, "unbound", |shop| async move {
        let grant = held_run(&shop).await?;
        delete_binding(&shop, &grant).await?;
        revoked(&shop, &grant).await?;
        let (ok, out, _) =
            attempt("kubectl", &["get", "secret", "-n", &shop.namespace, &grant.name_any()], None).await?;
        ensure!(!ok, "the copy of the credential is still there: {out}");
        Ok(())
    })
    .await
}

pub async fn a_grant_whose_role_binding_was_deleted_while_we_were_down_ends(world: Arc<World>) -> Outcome {
    Shop::with(&world, "unbound-down", |shop| async move {
        let grant = held_run(&shop).await?;
        scale(0).await?;
        let deleted = delete_binding(&shop, &grant).await;
        scale(1).await?;
        deleted?;
        revoked(&shop, &grant).await
    })
    .await
}

pub async fn what_has_our_label_and_no_living_grant_is_removed_and_nothing_else(world: Arc<World>) -> Outcome {
    Shop::with(&world, "orphans", |shop| async move {
        let alice = shop.deployer("alice").await?;
        shop.trigger("held").await?;
        let (run, other) = (shop.start(&alice, "held").await?, shop.start(&alice, "held").await?);
        let id = |grant: &Grant| grant.name_any().trim_start_matches("grant-").to_owned();
        let (living, ended) = (id(&held(&shop, &run).await?), id(&held(&shop, &other).await?));
        let (unknown, foreign) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
        // As a request that landed after its Grant's end, as what a restored store knows nothing of, and as another
        // instance's.
        let objects = |id: &str, instance: &str| {
            let meta = |namespace: &str, name: &str| {
                format!(
                    "metadata: {{name: {name}, namespace: {namespace}, labels: {{scim-tekton.dev/grant: '{id}', \
                     scim-tekton.dev/instance: {instance}}}}}"
                )
            };
            let name = format!("grant-{id}");
            format!(
                "apiVersion: v1\nkind: ServiceAccount\n{}\n---\napiVersion: v1\nkind: Secret\n{}\n---\n\
                 apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n{}\n\
                 subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: nobody}}]\n\
                 roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}}\n",
                meta("scim-tekton-grants", &name),
                meta("scim-tekton-grants", &name),
                meta(&shop.namespace, &format!("{name}-0")),
            )
        };
        let there = |id: &str| {
            let (shop, id) = (Arc::clone(&shop), id.to_owned());
            async move {
                let label = format!("scim-tekton.dev/grant={id}");
                let get = ["get", "-l", &label, "-o", "name", "-n"];
                let own = kubectl(&[&get[..], &["scim-tekton-grants", "serviceaccounts,secrets"]].concat()).await?;
                let bound = kubectl(&[&get[..], &[&shop.namespace, "rolebindings"]].concat()).await?;
                Ok::<_, crate::world::Failure>(own.lines().count() + bound.lines().count())
            }
        };
        shop.world.instance.cli(&["grants", "revoke", &ended]).await?;
        eventually("the ended Grant's objects are gone", OUR_TIME, || async {
            Ok((there(&ended).await? == 0).then_some(()))
        })
        .await?;
        for (id, instance) in [(&ended, "scim"), (&unknown, "scim"), (&foreign, "another")] {
            apply(&objects(id, instance)).await?;
        }
        eventually("what has no living Grant is removed", COMPARED, || async {
            Ok((there(&ended).await? + there(&unknown).await? == 0).then_some(()))
        })
        .await?;
        ensure!(there(&living).await? == 3, "a living Grant's objects are left alone");
        ensure!(there(&foreign).await? == 3, "another instance's objects are left alone");
        let foreign = format!("grant-{foreign}");
        kubectl(&["delete", "serviceaccount,secret", "-n", "scim-tekton-grants", &foreign]).await.map(drop)
    })
    .await
}

pub async fn a_credentials_secret_that_is_deleted_is_replaced_by_a_fresh_one(world: Arc<World>) -> Outcome {
    Shop::with(&world, "secret", |shop| async move {
        let grant = held_run(&shop).await?;
        let secrets: Api<Secret> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
        let token = |secret: Secret| secret.data.and_then(|mut data| data.remove("token"));
        let before = token(secrets.get(&grant.name_any()).await?).ok_or("no token")?;
        kubectl(&["delete", "secret", "-n", &shop.namespace, &grant.name_any()]).await?;
        let after = eventually("a fresh Secret", COMPARED, || async {
            Ok(secrets.get_opt(&grant.name_any()).await?.and_then(token))
        })
        .await?;
        ensure!(before != after, "the token is the old one");
        let token = String::from_utf8(after.0)?;
        let url = format!("{}/api/v1/namespaces/{}/configmaps", shop.world.api_servers()[0], shop.namespace);
        let client = reqwest::Client::builder().tls_certs_only([shop.world.cluster_ca()?]).build()?;
        let answer = client.get(url).bearer_auth(token).send().await?.status();
        ensure!(answer.is_success(), "the fresh credential gets {answer}");
        Ok(())
    })
    .await
}
