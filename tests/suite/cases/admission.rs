//! What the API server admits and refuses by our policies, where no attack of DESIGN's list shows it.

use std::sync::Arc;

use kube::ResourceExt as _;
use scim_tekton::api::GrantPhase;

use crate::{
    ensure,
    world::{Caller, OUR_TIME, OURS, Outcome, Shop, World, apply, eventually, kubectl},
};

/// A GroupRoleBinding that names the ClusterRoles 1 to `count`.
fn group_role_binding(shop: &Shop, count: usize) -> String {
    let roles: Vec<_> = (1..=count).map(|n| format!("{{kind: ClusterRole, name: role-{n}}}")).collect();
    format!(
        "apiVersion: scim-tekton.dev/v1alpha1
kind: GroupRoleBinding
metadata: {{name: {ns}, labels: {{suite: {ns}}}}}
spec:
  group: {{idp: okta, displayName: nobody-{ns}}}
  roleRefs: [{roles}]
  namespaces: {{names: [{ns}]}}
",
        ns = shop.namespace,
        roles = roles.join(", "),
    )
}

/// An account that may write GroupRoleBindings, and bind the ClusterRoles 1 to `count` everywhere.
async fn author(shop: &Shop, count: usize) -> Outcome<Caller> {
    let (ns, name) = (&shop.namespace, format!("author-{count}"));
    let roles: Vec<_> = (1..=count).map(|n| format!("role-{n}")).collect();
    apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {ns}-{name}, labels: {{suite: {ns}}}}}
rules:
- {{apiGroups: [scim-tekton.dev], resources: [grouprolebindings], verbs: [get, create, update, patch, delete]}}
- {{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], resourceNames: [{roles}], verbs: [bind]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {ns}-{name}, labels: {{suite: {ns}}}}}
subjects: [{{kind: ServiceAccount, name: {name}, namespace: {ns}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {ns}-{name}}}
",
        roles = roles.join(", ")
    ))
    .await?;
    let author = Caller::account(&shop.world, ns, &name, &[]).await?;
    eventually("the author may bind", OUR_TIME, || async {
        Ok(author.can_i(&["bind", "clusterroles.rbac.authorization.k8s.io/role-1", "-A"]).await?.then_some(()))
    })
    .await?;
    Ok(author)
}

pub async fn a_group_role_binding_is_admitted_only_for_who_may_bind_its_roles_everywhere(world: Arc<World>) -> Outcome {
    const POLICY: &str = "scim-tekton-grouprolebinding-authors";
    Shop::with(&world, "grb-authors", |shop| async move {
        let ns = &shop.namespace;
        let (seven, eight) = (author(&shop, 7).await?, author(&shop, 8).await?);
        let said = seven.is_refused(POLICY, &group_role_binding(&shop, 8)).await?;
        let names = said.contains("author-7 may not bind ClusterRole role-8") && said.contains("in every namespace");
        ensure!(names, "the refusal should name the role and the mend: {said}");
        // To bind it in one namespace is not enough for an object that may name any.
        let here = Caller::account(&shop.world, ns, "here", &["cluster-admin", &format!("{ns}-author-8")]).await?;
        ensure!(here.can_i(&["bind", "clusterroles.rbac.authorization.k8s.io/role-1", "-n", ns]).await?, "it may here");
        apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {ns}-here, labels: {{suite: {ns}}}}}
subjects: [{{kind: ServiceAccount, name: here, namespace: {ns}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {ns}-writes}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {ns}-writes, labels: {{suite: {ns}}}}}
rules:
- {{apiGroups: [scim-tekton.dev], resources: [grouprolebindings], verbs: [create]}}
"
        ))
        .await?;
        eventually("it may write GroupRoleBindings", OUR_TIME, || async {
            Ok(here.can_i(&["create", "grouprolebindings.scim-tekton.dev", "-A"]).await?.then_some(()))
        })
        .await?;
        here.is_refused(POLICY, &group_role_binding(&shop, 1)).await?;
        eight.creates(&group_role_binding(&shop, 8)).await?;
        // Our status is written, by an account that may bind none of them.
        kubectl(&["wait", "grouprolebinding", ns, "--for=jsonpath={.status.observedGeneration}=1", "--timeout=30s"])
            .await?;
        let object = format!("grouprolebinding/{ns}");
        let label = r#"{"metadata": {"labels": {"team": "shop"}}}"#;
        seven.patches("default", &object, label).await?;
        let group = format!(r#"{{"spec": {{"group": {{"displayName": "everybody-{ns}"}}}}}}"#);
        seven.patch_is_refused(POLICY, "default", &object, &group).await?;
        eight.patches("default", &object, &group).await?;
        kubectl(&["delete", "grouprolebinding,clusterrole", "-l", &format!("suite={ns}")]).await.map(drop)
    })
    .await
}

/// A Secret or RoleBinding of the team's namespace, with or without our label.
fn labelled(kind: &str, shop: &Shop, name: &str, ours: bool) -> String {
    let labels = if ours { "{scim-tekton.dev/instance: scim}" } else { "{}" };
    let (version, rest) = if kind == "Secret" {
        ("v1", "stringData: {a: b}")
    } else {
        let rbac = "rbac.authorization.k8s.io/v1";
        (rbac, "subjects: []\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}")
    };
    let ns = &shop.namespace;
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {ns}, labels: {labels}}}\n{rest}\n"
    )
}

pub async fn our_own_accounts_write_only_what_carries_our_label(world: Arc<World>) -> Outcome {
    const POLICY: &str = "scim-tekton-own-accounts";
    Shop::with(&world, "own", |shop| async move {
        let (ns, admin) = (&shop.namespace, Caller::admin());
        let rbac = Caller::named("system:serviceaccount:scim-tekton:scim-tekton-rbac");
        let by = format!("ValidatingAdmissionPolicy '{POLICY}'");
        for (caller, kinds) in [(Caller::named(OURS), &["Secret", "RoleBinding"][..]), (rbac, &["RoleBinding"])] {
            for kind in kinds {
                let (theirs, ours) = (labelled(kind, &shop, "theirs", false), labelled(kind, &shop, "ours", true));
                caller.is_refused(POLICY, &theirs).await?;
                caller.creates(&ours).await?;
                admin.creates(&theirs).await?;
                let delete = ["delete", kind, "theirs", "-n", ns, "--wait=false"];
                caller.may_not(&delete, None, &by).await?;
                caller.may(&["delete", kind, "ours", "-n", ns, "--wait=false"], None).await?;
                admin.may(&delete, None).await?;
            }
        }
        // A PUT of a tenant's Secret, as our renewal does it, in our own name and with our label.
        admin.creates(&labelled("Secret", &shop, "put", false)).await?;
        let path = format!("/api/v1/namespaces/{ns}/secrets/put");
        let put = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {
            "name": "put", "namespace": ns, "labels": {"scim-tekton.dev/instance": "scim"}}})
        .to_string();
        let ours = Caller::named(OURS);
        let refused = ours.may_not(&["replace", "--raw", &path, "-f", "-"], Some(&put), "denied request").await?;
        ensure!(refused.contains("scim-tekton-own-accounts") || refused.contains("scim-tekton-labels"), "{refused}");
        // Pods: those of runs with a ticket, whose annotation Tekton copied.
        let pod = |name: &str, ticket: &str| {
            shop.fill(&format!(
                "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: @NS@, annotations: {{{ticket}}}}}
spec: {{containers: [{{name: c, image: @TOOLBOX@, command: [sleep, '600']}}]}}
"
            ))
        };
        admin.creates(&pod("plain", "")).await?;
        admin.creates(&pod("ticketed", "scim-tekton.dev/ticket: x")).await?;
        ours.may_not(&["delete", "pod", "plain", "-n", ns, "--wait=false"], None, &by).await?;
        ours.may(&["delete", "pod", "ticketed", "-n", ns, "--wait=false"], None).await?;
        // What the installed instance made for itself carries the label.
        for name in ["scim-tekton-ca", "scim-tekton-keys"] {
            let label = r"jsonpath={.metadata.labels.scim-tekton\.dev/instance}";
            let label = kubectl(&["get", "secret", name, "-n", "scim-tekton", "-o", label]).await?;
            ensure!(label == "scim", "Secret {name} carries {label:?}");
        }
        Ok(())
    })
    .await
}

pub async fn our_labels_stand_from_an_objects_creation_on_and_nothing_holds_a_revocation_up(
    world: Arc<World>,
) -> Outcome {
    const POLICY: &str = "scim-tekton-labels";
    Shop::with(&world, "labels", |shop| async move {
        let ns = &shop.namespace;
        let alice = shop.deployer("alice").await?;
        shop.trigger("held").await?;
        let run = shop.start(&alice, "held").await?;
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let tenant = Caller::account(&shop.world, ns, "tenant", &["admin", "edit"]).await?;
        let strip = r#"{"metadata": {"labels": {"scim-tekton.dev/instance": null, "scim-tekton.dev/grant": null}}}"#;
        for grant in &grants {
            let id = format!("scim-tekton.dev/grant={}", grant.name_any().trim_start_matches("grant-"));
            let found = kubectl(&["get", "secrets,rolebindings", "-n", ns, "-l", &id, "-o", "name"]).await?;
            ensure!(found.contains("secret/"), "Grant {} has {found:?}", grant.name_any());
            for object in found.lines() {
                for caller in [&tenant, &Caller::admin()] {
                    caller.patch_is_refused(POLICY, ns, object, strip).await?;
                }
                Caller::admin().patches(ns, object, r#"{"metadata": {"labels": {"team": "shop"}}}"#).await?;
            }
            // Another's Secret under the Grant's name: not ours to delete, and no reason to wait.
            let secret = grant.status.as_ref().and_then(|status| status.secret_name.clone()).ok_or("no secretName")?;
            tenant.may(&["delete", "secret", &secret, "-n", ns], None).await?;
            tenant.creates(&labelled("Secret", &shop, &secret, false)).await?;
        }
        let add = r#"{"metadata": {"labels": {"scim-tekton.dev/instance": "scim"}}}"#;
        tenant.creates(&labelled("Secret", &shop, "mine", false)).await?;
        tenant.patch_is_refused(POLICY, ns, "secret/mine", add).await?;
        shop.world.okta.deactivate(&alice).await?;
        shop.grants(&run, GrantPhase::Revoked, 2).await.map(drop)
    })
    .await
}
