//! RoleBindings of a GroupRoleBinding that others change, and groups too large for one.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;

use super::{bind, can_i};
use crate::{
    ensure,
    world::{OUR_TIME, Outcome, Person, Shop, World, eventually, kubectl, unique},
};

async fn bindings(shop: &Shop) -> Outcome<Vec<RoleBinding>> {
    let api: Api<RoleBinding> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
    let ours = ListParams::default().labels(&format!("scim-tekton.dev/group-role-binding={}", shop.namespace));
    Ok(api.list(&ours).await?.items)
}

fn subjects(binding: &RoleBinding) -> BTreeSet<String> {
    binding.subjects.iter().flatten().map(|subject| subject.name.clone()).collect()
}

/// Waits until carol, and nobody else, holds the role by one RoleBinding. Less than the minute of the next look.
async fn is_right(shop: &Shop, carol: &Person, what: &str) -> Outcome<RoleBinding> {
    eventually(what, OUR_TIME, || async {
        let mut found = bindings(shop).await?;
        let only = BTreeSet::from([format!("okta:{}", carol.user_name)]);
        let right = found.len() == 1
            && found.iter().all(|binding| subjects(binding) == only && binding.role_ref.name == "deployer");
        Ok(if right { found.pop() } else { None })
    })
    .await
}

pub async fn what_others_do_to_our_role_bindings_is_put_right_and_no_leaver_gets_in(world: Arc<World>) -> Outcome {
    Shop::with(&world, "drift", |shop| async move {
        let carol = shop.deployer("carol").await?;
        let leaver = shop.deployer("leaver").await?;
        bind(&shop).await?;
        shop.world.okta.remove_member(&shop.group_id, &leaver).await?;
        let right = is_right(&shop, &carol, "carol holds the role").await?;
        let (name, server) = (right.name_any(), shop.world.env("APISERVER_1").to_owned());
        let patch = |patch: serde_json::Value| {
            let (shop, name) = (Arc::clone(&shop), name.clone());
            async move {
                let patch = patch.to_string();
                kubectl(&["patch", "rolebinding", &name, "-n", &shop.namespace, "--type=merge", "-p", &patch]).await
            }
        };
        let user = |person: &Person| {
            let name = format!("okta:{}", person.user_name);
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
        };
        patch(json!({"subjects": [user(&carol), user(&leaver)]})).await?;
        is_right(&shop, &carol, "the leaver is out again").await?;
        can_i(&server, &shop.namespace, &leaver, false).await?;
        patch(json!({"subjects": [user(&leaver)]})).await?;
        is_right(&shop, &carol, "carol is in again").await?;
        patch(json!({"subjects": null})).await?;
        is_right(&shop, &carol, "carol is in once more").await?;
        patch(json!({"metadata": {"ownerReferences": null}})).await?;
        eventually("it has its owner again", OUR_TIME, || async {
            let found = bindings(&shop).await?;
            Ok(found.iter().all(|binding| binding.owner_references().len() == 1).then_some(()))
        })
        .await?;
        kubectl(&["delete", "rolebinding", &name, "-n", &shop.namespace]).await?;
        is_right(&shop, &carol, "it is made again").await?;
        can_i(&server, &shop.namespace, &carol, true).await?;

        // Another role under its name, with the leaver.
        kubectl(&["delete", "rolebinding", &name, "-n", &shop.namespace]).await?;
        kubectl(&["create", "role", "other", "-n", &shop.namespace, "--verb=get", "--resource=pods"]).await?;
        let other = RoleBinding {
            role_ref: k8s_openapi::api::rbac::v1::RoleRef { name: "other".into(), ..right.role_ref.clone() },
            metadata: kube::api::ObjectMeta {
                name: Some(name.clone()),
                labels: right.metadata.labels.clone(),
                annotations: right.metadata.annotations.clone(),
                ..Default::default()
            },
            ..right.clone()
        };
        let api: Api<RoleBinding> = Api::namespaced(shop.world.kube.clone(), &shop.namespace);
        eventually("the other role stands under its name", OUR_TIME, || async {
            // We may be faster in making ours again.
            let _ = api.delete(&name, &kube::api::DeleteParams::default()).await;
            Ok(api.create(&kube::api::PostParams::default(), &other).await.ok())
        })
        .await?;
        is_right(&shop, &carol, "it gives the right role again").await?;
        let seq = |binding: &RoleBinding| binding.annotations().get("scim-tekton.dev/directory-seq").cloned();
        ensure!(seq(&right).is_some(), "it carries the Directory's version");
        kubectl(&["delete", "grouprolebinding", &shop.namespace]).await.map(drop)
    })
    .await
}

pub async fn a_group_of_1_003_people_has_two_role_bindings_and_who_leaves_is_in_none(world: Arc<World>) -> Outcome {
    Shop::with(&world, "large", |shop| async move {
        let (okta, id) = (&shop.world.okta, unique());
        let first = u64::from(uuid::Uuid::new_v4().as_fields().0) * 10_000 + 1_000_000;
        let people: Vec<Person> = stream::iter(0..1_003)
            .map(|number| {
                let name = format!("p{number:04}-{id}@example.com");
                async move { okta.provision(&name, first + number).await }
            })
            .buffer_unordered(16)
            .try_collect()
            .await?;
        let members: Vec<_> = people.iter().map(|person| json!({"value": person.id})).collect();
        let operations = json!([{"op": "add", "path": "members", "value": members}]);
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        okta.must(reqwest::Method::PATCH, &format!("/Groups/{}", shop.group_id), Some(body)).await?;
        bind(&shop).await?;
        let sizes = |found: &[RoleBinding]| {
            let mut sizes: Vec<_> = found.iter().map(|binding| subjects(binding).len()).collect();
            sizes.sort_unstable();
            sizes
        };
        let found = bindings(&shop).await?;
        ensure!(sizes(&found) == [3, 1_000], "they have {:?} people", sizes(&found));
        let (small, large) =
            if subjects(&found[0]).len() == 3 { (&found[0], &found[1]) } else { (&found[1], &found[0]) };
        let of = |binding: &RoleBinding| {
            let there = subjects(binding);
            people.iter().filter(|p| there.contains(&format!("okta:{}", p.user_name))).cloned().collect::<Vec<_>>()
        };
        let (small_people, large_people) = (of(small), of(large));
        for server in &shop.world.api_servers() {
            can_i(server, &shop.namespace, &small_people[0], true).await?;
            can_i(server, &shop.namespace, &large_people[0], true).await?;
        }
        // One of the large one leaves: only that one is written.
        okta.deactivate(&large_people[0]).await?;
        for server in &shop.world.api_servers() {
            can_i(server, &shop.namespace, &large_people[0], false).await?;
            can_i(server, &shop.namespace, &large_people[1], true).await?;
        }
        let now = bindings(&shop).await?;
        let version = |all: &[RoleBinding], name: &str| {
            all.iter().find(|binding| binding.name_any() == name).and_then(ResourceExt::resource_version)
        };
        ensure!(sizes(&now) == [3, 999], "they have {:?} people", sizes(&now));
        ensure!(version(&now, &small.name_any()) == small.resource_version(), "the other one was written too");
        ensure!(version(&now, &large.name_any()) != large.resource_version(), "nothing was written");
        // All of the small one leave: it goes.
        for person in &small_people {
            okta.deactivate(person).await?;
        }
        for server in &shop.world.api_servers() {
            can_i(server, &shop.namespace, &small_people[2], false).await?;
        }
        let now = bindings(&shop).await?;
        ensure!(sizes(&now) == [999], "they have {:?} people", sizes(&now));
        kubectl(&["delete", "grouprolebinding", &shop.namespace]).await.map(drop)
    })
    .await
}
