//! On what a Grant's account may, and on who hands out what.

use std::sync::Arc;

use kube::ResourceExt as _;
use scim_tekton::api::GrantPhase;

use crate::{
    ensure,
    world::{Caller, OUR_TIME, Outcome, Shop, World, apply, eventually, kubectl},
};

pub async fn an_event_listeners_account_reading_our_secrets_or_impersonating_ours(world: Arc<World>) -> Outcome {
    Shop::with(&world, "listener", |shop| async move {
        let ns = &shop.namespace;
        let listener = Caller::named(&format!("system:serviceaccount:{ns}:listener"));
        for place in [&["-A"][..], &["-n", ns], &["-n", "scim-tekton"], &["-n", "scim-tekton-grants"]] {
            for verb in ["get", "list", "watch"] {
                ensure!(!listener.can_i(&[&[verb, "secrets"], place].concat()).await?, "{verb} secrets {place:?}");
            }
            for what in ["serviceaccounts", "users", "groups"] {
                let asked = [&["impersonate", what], place].concat();
                ensure!(!listener.can_i(&asked).await?, "impersonate {what} {place:?}");
            }
            let token = [&["create", "serviceaccounts", "--subresource=token"], place].concat();
            ensure!(!listener.can_i(&token).await?, "create tokens {place:?}");
        }
        // By what it does too: with its own token.
        let token = Caller::account(&shop.world, ns, "sink", &["scim-tekton-eventlistener"]).await?;
        token.may_not(&["get", "secret", "scim-tekton-keys", "-n", "scim-tekton"], None, "forbidden").await?;
        let ours = token.posing_as(crate::world::OURS);
        ours.may_not(&["get", "secret", "scim-tekton-keys", "-n", "scim-tekton"], None, "cannot impersonate").await?;
        // And under that role the real sink works.
        let alice = shop.deployer("alice").await?;
        let url = shop.listen("held").await?;
        shop.push(&alice).deliver(&url).await?;
        let run = shop.new_run("held", &[]).await?.name_any();
        shop.event_about(&run, "TicketRedeemed").await.map(drop)
    })
    .await
}

fn binding(kind: &str, name: &str, namespace: &str, subject: &str) -> String {
    let place = if kind == "RoleBinding" { format!(", namespace: {namespace}") } else { String::new() };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: {name}{place}, labels: {{suite: {namespace}}}}}
subjects: [{subject}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
"
    )
}

pub async fn a_tenants_role_binding_to_system_serviceaccounts_scim_tekton_grants(world: Arc<World>) -> Outcome {
    const POLICY: &str = "scim-tekton-subjects";
    Shop::with(&world, "subjects", |shop| async move {
        let ns = &shop.namespace;
        let tenant = Caller::account(&shop.world, ns, "tenant", &["admin"]).await?;
        let subjects = [
            "{kind: Group, apiGroup: rbac.authorization.k8s.io, name: 'system:serviceaccounts:scim-tekton-grants'}",
            "{kind: ServiceAccount, name: grant-x, namespace: scim-tekton-grants}",
            "{kind: User, apiGroup: rbac.authorization.k8s.io, name: 'system:serviceaccount:scim-tekton-grants:grant-x'}",
        ];
        let own = format!("{{kind: ServiceAccount, name: listener, namespace: {ns}}}");
        tenant.creates(&binding("RoleBinding", "own", ns, &own)).await?;
        let another = r#"{"kind": "ServiceAccount", "name": "another", "namespace": "default"}"#;
        tenant.patches(ns, "rolebinding/own", &format!(r#"{{"subjects": [{another}]}}"#)).await?;
        for subject in subjects {
            tenant.is_refused(POLICY, &binding("RoleBinding", "theirs", ns, subject)).await?;
            Caller::admin().is_refused(POLICY, &binding("RoleBinding", "theirs", ns, subject)).await?;
            Caller::admin().is_refused(POLICY, &binding("ClusterRoleBinding", ns, ns, subject)).await?;
        }
        let group = r#"{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccounts:scim-tekton-grants"}"#;
        let added = format!(r#"{{"subjects": [{another}, {group}]}}"#);
        tenant.patch_is_refused(POLICY, ns, "rolebinding/own", &added).await.map(drop)
        // That we may is shown by each Grant of the suite.
    })
    .await
}

/// A CredentialTemplate that names the roles 1 to `count`.
fn template(namespace: &str, name: &str, kind: &str, count: usize) -> String {
    let roles: Vec<_> = (1..=count).map(|n| format!("{{kind: {kind}, name: role-{n}}}")).collect();
    format!(
        "apiVersion: scim-tekton.dev/v1alpha1
kind: CredentialTemplate
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ttl: 15m, kubernetes: {{roleRefs: [{}]}}}}
",
        roles.join(", ")
    )
}

/// An account that may write templates, and bind the roles 1 to `count`.
async fn author(shop: &Shop, count: usize) -> Outcome<Caller> {
    let (ns, name) = (&shop.namespace, format!("author-{count}"));
    let roles: Vec<_> = (1..=count).map(|n| format!("role-{n}")).collect();
    apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}, namespace: {ns}}}
rules:
- {{apiGroups: [rbac.authorization.k8s.io], resources: [roles], resourceNames: [{}], verbs: [bind]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: {ns}}}
subjects: [{{kind: ServiceAccount, name: {name}, namespace: {ns}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
",
        roles.join(", ")
    ))
    .await?;
    let author = Caller::account(&shop.world, ns, &name, &["scim-tekton-policy-editor"]).await?;
    eventually("the author may bind", OUR_TIME, || async {
        Ok(author.can_i(&["bind", "roles.rbac.authorization.k8s.io/role-1", "-n", ns]).await?.then_some(()))
    })
    .await?;
    Ok(author)
}

pub async fn template_asking_for_a_role_that_its_author_cant_bind_the_eighth_included(world: Arc<World>) -> Outcome {
    const POLICY: &str = "scim-tekton-template-authors";
    Shop::with(&world, "authors", |shop| async move {
        let ns = &shop.namespace;
        let (seven, eight) = (author(&shop, 7).await?, author(&shop, 8).await?);
        eight.creates(&template(ns, "eight", "Role", 8)).await?;
        seven.creates(&template(ns, "seven", "Role", 7)).await?;
        let said = seven.is_refused(POLICY, &template(ns, "refused", "Role", 8)).await?;
        let names = said.contains("author-7 may not bind Role role-8") && said.contains("bind on it in namespace");
        ensure!(names, "the refusal should name the role and the mend: {said}");
        // Another kind of the same name is another role, and each of eight is asked about.
        eight.is_refused(POLICY, &template(ns, "refused", "ClusterRole", 1)).await?;
        let nobody = Caller::account(&shop.world, ns, "nobody", &["scim-tekton-policy-editor", "admin"]).await?;
        for count in 1..=8 {
            let last = format!("{{kind: Role, name: role-{count}}}");
            let one = template(ns, "refused", "Role", count).replace(&last, "{kind: Role, name: deployer}");
            let said = eight.is_refused(POLICY, &one).await?;
            ensure!(said.contains("Role deployer"), "{said}");
            nobody.is_refused(POLICY, &template(ns, "refused", "Role", count)).await?;
        }
        // Whoever changes the rest of a template hands out nothing; whoever adds a role does.
        seven.patches(ns, "credentialtemplate/eight", r#"{"spec": {"ttl": "20m"}}"#).await?;
        let roles: Vec<_> = (1..=8).map(|n| format!(r#"{{"kind": "Role", "name": "role-{n}"}}"#)).collect();
        let all = format!(r#"{{"spec": {{"kubernetes": {{"roleRefs": [{}]}}}}}}"#, roles.join(", "));
        seven.patch_is_refused(POLICY, ns, "credentialtemplate/seven", &all).await?;
        eight.patches(ns, "credentialtemplate/seven", &all).await.map(drop)
    })
    .await
}

pub async fn impersonating_a_grants_service_account_as_namespace_admin(world: Arc<World>) -> Outcome {
    Shop::with(&world, "impersonate", |shop| async move {
        let ns = &shop.namespace;
        let alice = shop.deployer("alice").await?;
        shop.trigger("held").await?;
        let run = shop.start(&alice, "held").await?;
        let grants = shop.grants(&run, GrantPhase::Active, 2).await?;
        let grant = grants.iter().find(|grant| grant.spec.template.name == "deploy").ok_or("no Grant")?;
        let account = grant.name_any();
        let user = format!("system:serviceaccount:scim-tekton-grants:{account}");
        kubectl(&["get", "serviceaccount", &account, "-n", "scim-tekton-grants"]).await?;
        let tenant = Caller::account(&shop.world, ns, "tenant", &["admin"]).await?;
        let read = ["get", "configmaps", "-n", ns];
        tenant.may(&read, None).await?;
        // In its own namespace it may: that is what Kubernetes gives a namespace's admin.
        tenant.posing_as(&format!("system:serviceaccount:{ns}:default")).may_not(&read, None, "cannot list").await?;
        tenant.posing_as(&user).may_not(&read, None, "cannot impersonate").await?;
        let token = ["create", "token", &account, "-n", "scim-tekton-grants"];
        tenant.may_not(&token, None, "forbidden").await?;
        tenant.may_not(&["get", "secret", &account, "-n", "scim-tekton-grants"], None, "forbidden").await?;
        for asked in [["create", "pods"], ["create", "rolebindings"], ["delete", "serviceaccounts"]] {
            let may = tenant.can_i(&[&asked[..], &["-n", "scim-tekton-grants"]].concat()).await?;
            ensure!(!may, "a namespace's admin may {asked:?} in scim-tekton-grants");
        }
        let subject = format!("{{kind: ServiceAccount, name: {account}, namespace: scim-tekton-grants}}");
        tenant.is_refused("scim-tekton-subjects", &binding("RoleBinding", "mine", ns, &subject)).await.map(drop)
    })
    .await
}
