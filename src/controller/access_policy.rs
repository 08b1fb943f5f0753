//! What we find out about AccessPolicies: whether they are in force, whom they let in, what they leave open. Nothing
//! rests on it: decisions judge the policy itself. It tells the one who wrote it before the first push fails.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt as _, runtime::controller::Action};

use super::{
    Context, ControllerError,
    status::{self, Finding},
};
use crate::{
    api::{AccessPolicy, AccessPolicyStatus},
    directory::Directory,
    policy::{Catalog, matched_users, policy_facts},
};

/// How often a policy is looked at without a change of its own: people come and go, sources and templates too.
const LOOK: Duration = Duration::from_mins(1);
/// How often while it waits for something that is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Looks at one policy.
pub async fn reconcile(policy: Arc<AccessPolicy>, context: Arc<Context>) -> Result<Action, ControllerError> {
    let namespace = policy.namespace().unwrap_or_default();
    let selected = context.namespaces.selects(&namespace).await;
    if !selected.map_err(ControllerError::kubernetes("looking whether the namespace is ours"))? {
        return Ok(Action::await_change());
    }
    let (found, matched) = look(&policy, &context.catalog.load_full(), &context.directory.load_full());
    let ready = found.iter().any(|found| found.type_ == "Ready" && found.holds);
    let was = policy.status.as_ref();
    let conditions = was.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let generation = policy.metadata.generation;
    let status = AccessPolicyStatus {
        conditions: status::conditions(conditions, found, generation, (context.clock)()),
        observed_generation: generation,
        matched_users: matched.and_then(|matched| i64::try_from(matched).ok()),
    };
    if was != Some(&status) {
        status::write(context.cluster.patient.clone(), &*policy, &status).await?;
    }
    Ok(Action::requeue(if ready { LOOK } else { LOOK_AGAIN }))
}

/// What is found, and how many active users the subjects match where they can be told.
fn look(policy: &AccessPolicy, catalog: &Catalog, directory: &Directory) -> (Vec<Finding>, Option<usize>) {
    let facts = policy_facts(policy, directory.idps());
    let matched = facts.as_ref().ok().map(|facts| matched_users(directory, &facts.subjects));
    let honoured = facts.map(|_| ()).map_err(|why| ("NotHonoured", why));
    let ready = honoured.and_then(|()| source(policy, catalog)).and_then(|()| templates(policy, catalog));
    (vec![Finding::ready(ready), guarded(policy)], matched)
}

fn source(policy: &AccessPolicy, catalog: &Catalog) -> Result<(), (&'static str, String)> {
    let (name, namespace) = (&policy.spec.source, policy.namespace().unwrap_or_default());
    let Some(source) = catalog.source(name) else {
        return Err(("SourceMissing", format!("spec.source: there is no EventSource {name}")));
    };
    if !source.object.spec.namespaces.contains(&namespace) {
        return Err((
            "SourceNotForNamespace",
            format!(
                "spec.source: EventSource {name} is not for policies of namespace {namespace}: \
                 the cluster's admin can add it to the source's spec.namespaces"
            ),
        ));
    }
    match &source.secrets {
        Ok(_) => Ok(()),
        Err(why) => Err(("SourceNotReady", format!("spec.source: EventSource {name} is not ready: {why}"))),
    }
}

fn templates(policy: &AccessPolicy, catalog: &Catalog) -> Result<(), (&'static str, String)> {
    let namespace = policy.namespace().unwrap_or_default();
    let named = &policy.spec.credential_templates;
    let missing: Vec<_> =
        named.iter().filter(|name| catalog.template(&namespace, name).is_none()).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(("TemplateMissing", format!("spec.credentialTemplates: no CredentialTemplate in this namespace: {missing}")))
}

/// Never in this version: only a pinned source would make a policy independent of the namespace's editors.
fn guarded(policy: &AccessPolicy) -> Finding {
    let names: Vec<_> = policy.spec.pipelines.iter().filter_map(|pipeline| pipeline.name.as_deref()).collect();
    let message = format!(
        "named, not pinned: {}; whoever may edit these Pipelines, or create pods or read Secrets in this namespace, is \
         trusted with all that the policy gives",
        names.join(", ")
    );
    Finding { type_: "Guarded", holds: false, reason: "PipelineByName", message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{CredentialTemplate, EventSource},
        directory::Change,
    };

    fn policy(source: &str, templates: &[&str]) -> AccessPolicy {
        let object = json!({
            "metadata": {"name": "deploy", "namespace": "prod", "generation": 2},
            "spec": {
                "source": source, "subjects": [{"user": {"userName": "alice"}}],
                "pipelines": [{"name": "deploy"}, {"name": "rollback"}], "credentialTemplates": templates
            }
        });
        serde_json::from_value(object).unwrap()
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for (name, namespaces, secrets) in [
            ("good", json!(["prod"]), Ok(vec!["s".into()])),
            ("elsewhere", json!(["test"]), Ok(vec!["s".into()])),
            ("silent", json!(["prod"]), Err("Secret scim-tekton/hook key secret does not exist".to_owned())),
        ] {
            let webhook = json!({"secretRefs": [{"name": "hook", "key": "secret"}]});
            let spec = json!({"type": "github", "host": "h", "namespaces": namespaces, "webhook": webhook});
            let source = json!({"metadata": {"name": name}, "spec": spec});
            catalog.put_event_source(&serde_json::from_value::<EventSource>(source).unwrap(), secrets);
        }
        let mut template = CredentialTemplate::new("there", serde_json::from_value(json!({})).unwrap());
        template.metadata.namespace = Some("prod".into());
        catalog.put_template(template);
        catalog
    }

    fn directory(idps: &[&str]) -> Directory {
        let mut directory = Directory::default();
        directory.apply(1, &idps.iter().map(|idp| Change::Idp((*idp).into())).collect::<Vec<_>>());
        directory
    }

    fn ready(policy: &AccessPolicy, idps: &[&str]) -> (bool, &'static str, String) {
        let (found, _) = look(policy, &catalog(), &directory(idps));
        (found[0].holds, found[0].reason, found[0].message.clone())
    }

    #[test]
    fn a_policy_is_ready_when_an_event_could_be_let_through() {
        assert_eq!(ready(&policy("good", &["there"]), &["okta"]), (true, "Accepted", String::new()));
        let (holds, reason, message) = ready(&policy("good", &["there"]), &["okta", "entra"]);
        assert!(!holds && reason == "NotHonoured" && message.contains("names no idp"), "{message}");
        for (source, expected) in
            [("none", "SourceMissing"), ("elsewhere", "SourceNotForNamespace"), ("silent", "SourceNotReady")]
        {
            let (holds, reason, message) = ready(&policy(source, &[]), &["okta"]);
            assert!(!holds && reason == expected && message.contains(source), "{message}");
        }
        let (_, reason, message) = ready(&policy("good", &["there", "gone", "lost"]), &["okta"]);
        assert!(reason == "TemplateMissing" && message.ends_with("gone, lost"), "{message}");
    }

    #[test]
    fn a_policy_that_names_pipelines_is_never_guarded_and_says_which() {
        let (found, matched) = look(&policy("good", &[]), &catalog(), &directory(&["okta"]));
        assert_eq!((found[1].type_, found[1].holds, found[1].reason), ("Guarded", false, "PipelineByName"));
        assert!(found[1].message.contains("deploy, rollback"), "{}", found[1].message);
        assert_eq!(matched, Some(0));
        assert_eq!(look(&policy("good", &[]), &catalog(), &directory(&["a", "b"])).1, None);
    }
}
