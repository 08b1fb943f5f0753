//! On what calls itself a run's child.

use std::sync::Arc;

use kube::ResourceExt as _;
use scim_tekton::api::GrantPhase;
use serde_json::{Value, json};

use crate::{
    ensure,
    world::{Caller, OUR_TIME, Outcome, Shop, World, apply, eventually, kubectl, unique},
};

const POLICY: &str = "scim-tekton-children";

/// One of each kind that may be a child, by its name.
fn kinds(shop: &Shop) -> [(&'static str, Value); 4] {
    let object = |version: &str, kind: &str, spec: Value| {
        let name = format!("{}-{}", kind.to_lowercase(), unique());
        let metadata = json!({"name": name, "namespace": shop.namespace});
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let template = json!({"apiVersion": "scim-tekton.dev/v1alpha1", "kind": "CredentialTemplate", "name": "deploy"});
    let image = shop.world.env("TOOLBOX_IMAGE");
    let step = json!({"name": "s", "image": image, "script": "sleep 600"});
    [
        ("customrun", object("tekton.dev/v1beta1", "CustomRun", json!({"customRef": template}))),
        ("taskrun", object("tekton.dev/v1", "TaskRun", json!({"taskSpec": {"steps": [step]}}))),
        (
            "pipelinerun",
            object(
                "tekton.dev/v1",
                "PipelineRun",
                json!({"pipelineRef": {"name": "held"}, "status": "PipelineRunPending"}),
            ),
        ),
        (
            "pod",
            object("v1", "Pod", json!({"containers": [{"name": "c", "image": image, "command": ["sleep", "600"]}]})),
        ),
    ]
}

fn owned_by(object: &Value, owner: &Value, labels: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["ownerReferences"] = json!([owner]);
    object["metadata"]["labels"] = labels.clone();
    object
}

#[rustfmt::skip]
pub async fn customrun_taskrun_or_pod_made_by_hand_with_anothers_run_as_owner_also_under_another_kind_with_the_same_uid(
    world: Arc<World>,
) -> Outcome {
    Shop::with(&world, "forged", |shop| async move { forged(&shop).await }).await
}

async fn forged(shop: &Shop) -> Outcome {
    let ns = &shop.namespace;
    let alice = shop.deployer("alice").await?;
    shop.trigger("held").await?;
    let ticket = shop.ticket(&alice, "held").await?;
    let run = shop.create_run("held", Some(&ticket), true).await?;
    let (name, uid) = (run.name_any(), run.uid().unwrap_or_default());
    shop.grants(&name, GrantPhase::Active, 2).await?;
    let editor = Caller::account(&shop.world, ns, "editor", &["edit"]).await?;
    let owner = |version: &str, kind: &str, controller: bool| json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": controller});
    // As Tekton's own children are labelled: by these it finds them, and then it compares the uid alone.
    let labels = json!({
        "tekton.dev/pipelineRun": name, "tekton.dev/pipelineTask": "credential", "tekton.dev/taskRun": name,
    });
    let none = json!({});
    let forgeries = [
        (owner("tekton.dev/v1", "PipelineRun", true), &labels),
        (owner("tekton.dev/v1", "PipelineRun", true), &none),
        (owner("tekton.dev/v1beta1", "PipelineRun", false), &none),
        (owner("tekton.dev/v1", "TaskRun", true), &none),
        // Another kind with the same uid.
        (owner("v1", "ConfigMap", true), &labels),
    ];
    for (kind, object) in kinds(shop) {
        for caller in [&editor, &Caller::admin()] {
            for (owner, labels) in &forgeries {
                caller.is_refused(POLICY, &owned_by(&object, owner, labels).to_string()).await?;
            }
        }
        // By itself it is nobody's child; and it can't become one.
        editor.creates(&object.to_string()).await?;
        let plain = format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        for (owner, labels) in &forgeries {
            let patch = json!({"metadata": {"ownerReferences": [owner], "labels": labels}}).to_string();
            editor.patch_is_refused(POLICY, ns, &plain, &patch).await?;
        }
        editor.patches(ns, &plain, r#"{"metadata": {"labels": {"team": "shop"}}}"#).await?;
        editor.may(&["delete", &plain, "-n", ns, "--wait=false"], None).await?;
    }
    // Of a kind that does not exist, or the garbage collector would be faster than we.
    by_the_uid_alone_is_no_child(shop, &editor, &owner("example.com/v1", "PipelineRun", true)).await?;
    whom_the_admin_lists_may(shop, &owner("tekton.dev/v1", "PipelineRun", true)).await?;
    shop.grants(&name, GrantPhase::Active, 2).await.map(drop)
}

/// Without Tekton's labels it is nobody's child for Tekton, and for us neither.
async fn by_the_uid_alone_is_no_child(shop: &Shop, editor: &Caller, owner: &Value) -> Outcome {
    let [(_, custom), ..] = kinds(shop);
    let custom = owned_by(&custom, owner, &json!({"tekton.dev/pipelineTask": "credential"}));
    editor.creates(&custom.to_string()).await?;
    let name = custom["metadata"]["name"].as_str().unwrap_or_default();
    let why = shop.event_about(name, "CredentialRefused").await?;
    ensure!(why.contains("no PipelineRun as its controller"), "{why}");
    Ok(())
}

/// A custom task's controller of the admin's list, and by name only.
async fn whom_the_admin_lists_may(shop: &Shop, owner: &Value) -> Outcome {
    let ns = &shop.namespace;
    let listed = format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: makes-children-of-runs, namespace: {ns}}}
rules:
- {{apiGroups: [scim-tekton.dev], resources: [children], verbs: [create]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: makes-children-of-runs, namespace: {ns}}}
subjects: [{{kind: ServiceAccount, name: loops, namespace: {ns}}}]
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: makes-children-of-runs}}
"
    );
    let loops = Caller::account(&shop.world, ns, "loops", &["edit"]).await?;
    let robot = Caller::account(&shop.world, ns, "robot", &["cluster-admin"]).await?;
    let [(_, custom), (_, task), ..] = kinds(shop);
    loops.is_refused(POLICY, &owned_by(&task, owner, &json!({})).to_string()).await?;
    apply(&listed).await?;
    let dry = ["create", "--dry-run=server", "-o", "name", "-f", "-"];
    eventually("the listed controller may make a child", OUR_TIME, || async {
        loops.may(&dry, Some(&owned_by(&task, owner, &json!({})).to_string())).await.map(Some)
    })
    .await?;
    // Who holds every verb is not listed.
    robot.is_refused(POLICY, &owned_by(&custom, owner, &json!({})).to_string()).await.map(drop)
}

pub async fn customruns_custom_ref_changed_after_creation(world: Arc<World>) -> Outcome {
    Shop::with(&world, "customref", |shop| async move {
        const POLICY: &str = "scim-tekton-customruns";
        let ns = &shop.namespace;
        let alice = shop.deployer("alice").await?;
        shop.trigger("held").await?;
        let run = shop.start(&alice, "held").await?;
        shop.grants(&run, GrantPhase::Active, 2).await?;
        let editor = Caller::account(&shop.world, ns, "editor", &["edit"]).await?;
        let label = format!("tekton.dev/pipelineRun={run},tekton.dev/pipelineTask=hold");
        let hold = kubectl(&["get", "customruns", "-n", ns, "-l", &label, "-o", "name"]).await?;
        let hold = hold.trim();
        ensure!(!hold.is_empty(), "the run has no CustomRun of its task hold");
        let template = r#"{"apiVersion": "scim-tekton.dev/v1alpha1", "kind": "CredentialTemplate", "name": "deploy"}"#;
        let changes = [
            format!(r#"{{"spec": {{"customRef": {template}}}}}"#),
            r#"{"spec": {"customRef": {"name": "another"}}}"#.to_owned(),
            r#"{"metadata": {"labels": {"tekton.dev/pipelineTask": "credential"}}}"#.to_owned(),
            r#"{"metadata": {"labels": {"tekton.dev/pipelineRun": null}}}"#.to_owned(),
        ];
        for change in &changes {
            for caller in [&editor, &Caller::admin()] {
                caller.patch_is_refused(POLICY, ns, hold, change).await?;
            }
        }
        // Nor by way of being nobody's child for a moment: the way back is closed.
        editor.patches(ns, hold, r#"{"metadata": {"labels": {"team": "shop"}}}"#).await?;
        let owner = kubectl(&["get", hold, "-n", ns, "-o", "jsonpath={.metadata.ownerReferences}"]).await?;
        editor.patches(ns, hold, r#"{"metadata": {"ownerReferences": null}}"#).await?;
        editor.patches(ns, hold, &changes[0]).await?;
        let back = format!(r#"{{"metadata": {{"ownerReferences": {owner}}}}}"#);
        editor.patch_is_refused("scim-tekton-children", ns, hold, &back).await?;
        let name = hold.rsplit('/').next().unwrap_or_default();
        shop.event_about(name, "CredentialRefused").await.map(drop)
    })
    .await
}
