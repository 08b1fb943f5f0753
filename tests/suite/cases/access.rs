//! Groups become RBAC.

use std::sync::Arc;

use serde_json::json;

use crate::{
    ensure,
    world::{OUR_TIME, Outcome, Person, Shop, World, apply, attempt, eventually, kubectl},
};

/// Whether `kubectl auth can-i` as this person says what is expected, at this API server, asked once.
pub async fn can_i(server: &str, namespace: &str, person: &Person, expected: bool) -> Outcome {
    let user = format!("okta:{}", person.user_name);
    let args = ["--server", server, "auth", "can-i", "create", "configmaps", "-n", namespace, "--as", &user];
    let (ok, out, err) = attempt("kubectl", &args, None).await?;
    let said = out.trim();
    ensure!(said == "yes" || said == "no", "{err}{out}");
    ensure!(ok == expected && (said == "yes") == expected, "it says {said}");
    Ok(())
}

/// The GroupRoleBinding of this team's group in these namespaces.
fn binding_in(shop: &Shop, namespaces: &str) -> String {
    format!(
        "apiVersion: scim-tekton.dev/v1alpha1
kind: GroupRoleBinding
metadata: {{name: {ns}}}
spec:
  group: {{idp: okta, displayName: {group}}}
  roleRefs: [{{kind: Role, name: deployer}}]
  namespaces: {{names: [{namespaces}]}}
",
        ns = shop.namespace,
        group = shop.group,
    )
}

/// Gives this team's group its role by a GroupRoleBinding, and waits until it is Ready.
pub async fn bind(shop: &Shop) -> Outcome {
    apply(&binding_in(shop, &shop.namespace)).await?;
    kubectl(&["wait", "grouprolebinding", &shop.namespace, "--for=condition=Ready", "--timeout=30s"]).await.map(drop)
}

pub async fn g2_scim_adds_to_a_group_and_can_i_says_yes_removes_and_it_says_no_before_the_answer(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "rbac", |shop| async move {
        let (okta, servers) = (&shop.world.okta, shop.world.api_servers());
        let bob = shop.person("bob").await?;
        let carol = shop.deployer("carol").await?;
        bind(&shop).await?;
        for _ in 0..5 {
            okta.add_member(&shop.group_id, &bob).await?;
            for server in &servers {
                can_i(server, &shop.namespace, &bob, true).await?;
            }
            okta.remove_member(&shop.group_id, &bob).await?;
            for server in &servers {
                can_i(server, &shop.namespace, &bob, false).await?;
                can_i(server, &shop.namespace, &carol, true).await?;
            }
        }
        // A person who leaves, and one who comes back.
        okta.add_member(&shop.group_id, &bob).await?;
        okta.deactivate(&bob).await?;
        for server in &servers {
            can_i(server, &shop.namespace, &bob, false).await?;
        }
        okta.activate(&bob).await?;
        for server in &servers {
            can_i(server, &shop.namespace, &bob, true).await?;
        }
        let nested = okta.push_group(&format!("{}-nested", shop.group), &[]).await?;
        let dave = shop.person("dave").await?;
        okta.add_member(&nested, &dave).await?;
        let member = Person { id: nested.clone(), ..dave.clone() };
        okta.add_member(&shop.group_id, &member).await?;
        for server in &servers {
            can_i(server, &shop.namespace, &dave, true).await?;
        }
        okta.must(reqwest::Method::DELETE, &format!("/Groups/{nested}"), None).await?;
        for server in &servers {
            can_i(server, &shop.namespace, &dave, false).await?;
        }
        okta.must(reqwest::Method::DELETE, &format!("/Users/{}", bob.id), None).await?;
        for server in &servers {
            can_i(server, &shop.namespace, &bob, false).await?;
        }
        a_renamed_group_or_person_loses(&shop, &carol).await?;
        a_missing_namespace_keeps_nobody(&shop, &carol).await?;
        kubectl(&["delete", "grouprolebinding", &shop.namespace]).await.map(drop)
    })
    .await
}

async fn a_renamed_group_or_person_loses(shop: &Shop, carol: &Person) -> Outcome {
    let (okta, servers) = (&shop.world.okta, shop.world.api_servers());
    let rename = |path: String, attribute: &'static str, name: String| async move {
        let operations = json!([{"op": "replace", "value": {attribute: name}}]);
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        okta.must(reqwest::Method::PATCH, &path, Some(body)).await
    };
    let group = format!("/Groups/{}", shop.group_id);
    for (name, named) in [(format!("{}-renamed", shop.group), false), (shop.group.clone(), true)] {
        rename(group.clone(), "displayName", name).await?;
        for server in &servers {
            can_i(server, &shop.namespace, carol, named).await?;
        }
    }
    let renamed = Person { user_name: format!("renamed-{}", carol.user_name), ..carol.clone() };
    for (now, before) in [(&renamed, carol), (carol, &renamed)] {
        rename(format!("/Users/{}", carol.id), "userName", now.user_name.clone()).await?;
        for server in &servers {
            can_i(server, &shop.namespace, now, true).await?;
            can_i(server, &shop.namespace, before, false).await?;
        }
    }
    Ok(())
}

async fn a_missing_namespace_keeps_nobody(shop: &Shop, carol: &Person) -> Outcome {
    let (okta, servers, ns) = (&shop.world.okta, shop.world.api_servers(), &shop.namespace);
    apply(&binding_in(shop, &format!("no-such-namespace, {ns}"))).await?;
    kubectl(&["wait", "grouprolebinding", ns, "--for=condition=Ready=False", "--timeout=30s"]).await?;
    for server in &servers {
        can_i(server, ns, carol, true).await?;
    }
    okta.deactivate(carol).await?;
    for server in &servers {
        can_i(server, ns, carol, false).await?;
    }
    okta.activate(carol).await?;
    for server in &servers {
        can_i(server, ns, carol, true).await?;
    }
    Ok(())
}

pub async fn a_deleted_group_role_binding_takes_its_role_bindings_with_it(world: Arc<World>) -> Outcome {
    Shop::with(&world, "grb", |shop| async move {
        let carol = shop.deployer("carol").await?;
        bind(&shop).await?;
        let server = shop.world.env("APISERVER_1").to_owned();
        can_i(&server, &shop.namespace, &carol, true).await?;
        kubectl(&["delete", "grouprolebinding", &shop.namespace]).await?;
        eventually("the RoleBinding is gone", OUR_TIME, || async {
            let label = format!("scim-tekton.dev/group-role-binding={}", shop.namespace);
            let left = kubectl(&["get", "rolebindings", "-n", &shop.namespace, "-l", &label, "-o", "name"]).await?;
            Ok(left.trim().is_empty().then_some(()))
        })
        .await
    })
    .await
}
