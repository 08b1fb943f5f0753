//! Whether a PipelineRun is what its policy allows: asked when its ticket is redeemed, and again when it wants a Grant.

use imbl::OrdSet;

use super::{PolicyFacts, parse_seconds, policy_ref, resolve_subjects, rules};
use crate::{
    api::{AccessPolicy, ObjectRef, tekton::PipelineRun},
    identity::IdpName,
};

const DEFAULT_START_DELAY: i64 = 60 * 60;
const DEFAULT_RUN_DURATION: i64 = 2 * 60 * 60;
/// What Kubernetes takes where no service account is named.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// What a policy says of a run. The controller hands it to the store when it redeems.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCheck {
    /// Name, uid, generation.
    pub policy: ObjectRef,
    /// Who may; nobody where the policy can't be honoured.
    pub facts: PolicyFacts,
    /// Why the run is not one of this policy's, as a sentence for whoever wrote the TriggerTemplate or the policy.
    pub misfit: Option<String>,
    /// `maxStartDelay`, seconds.
    pub max_start_delay: i64,
    /// `maxRunDuration`, seconds.
    pub max_run_duration: i64,
}

/// What a policy, as it stands, says of a run.
pub fn run_check(policy: &AccessPolicy, run: &PipelineRun, idps: &OrdSet<IdpName>) -> RunCheck {
    let reference = policy_ref(policy);
    let misfit = shape(policy, run);
    match policy_facts(policy, idps).and_then(|facts| Ok((facts, limits(policy)?))) {
        Ok((facts, (max_start_delay, max_run_duration))) => {
            RunCheck { policy: reference, facts, misfit, max_start_delay, max_run_duration }
        }
        Err(why) => {
            let facts = PolicyFacts { subjects: vec![], generation: reference.generation.unwrap_or_default() };
            RunCheck { policy: reference, facts, misfit: Some(why), max_start_delay: 0, max_run_duration: 0 }
        }
    }
}

/// Who may under a policy, or why it allows nobody: something in it that we can't honour, or a subject that can't be told.
pub fn policy_facts(policy: &AccessPolicy, idps: &OrdSet<IdpName>) -> Result<PolicyFacts, String> {
    if let Some(fault) = rules::access_policy(&policy.spec) {
        return Err(format!("policy {} can't be honoured: {fault}", name_of(policy)));
    }
    limits(policy)?;
    let subjects =
        resolve_subjects(&policy.spec, idps).map_err(|error| format!("policy {}: {error}", name_of(policy)))?;
    Ok(PolicyFacts { subjects, generation: policy.metadata.generation.unwrap_or_default() })
}

/// `maxStartDelay` and `maxRunDuration`, seconds.
fn limits(policy: &AccessPolicy) -> Result<(i64, i64), String> {
    let seconds = |text: &Option<String>, default| {
        text.as_deref()
            .map_or(Ok(default), parse_seconds)
            .map_err(|error| format!("policy {}: {error}", name_of(policy)))
    };
    Ok((
        seconds(&policy.spec.max_start_delay, DEFAULT_START_DELAY)?,
        seconds(&policy.spec.max_run_duration, DEFAULT_RUN_DURATION)?,
    ))
}

fn name_of(policy: &AccessPolicy) -> &str {
    policy.metadata.name.as_deref().unwrap_or_default()
}

/// The service account that a policy's runs must use.
pub fn service_account(policy: &AccessPolicy) -> &str {
    policy.spec.service_account_name.as_deref().unwrap_or(DEFAULT_SERVICE_ACCOUNT)
}

fn shape(policy: &AccessPolicy, run: &PipelineRun) -> Option<String> {
    let name = name_of(policy);
    if run.spec.pipeline_spec.is_some() {
        return Some(format!("the run brings its own pipelineSpec: policy {name} allows only Pipelines by name"));
    }
    let Some(reference) = &run.spec.pipeline_ref else {
        return Some(format!("the run names no Pipeline: policy {name} allows only Pipelines by name"));
    };
    if let Some(resolver) = &reference.resolver {
        return Some(format!(
            "the run takes its Pipeline from resolver {resolver:?}: policy {name} allows only Pipelines by name"
        ));
    }
    let pipeline = reference.name.as_deref().unwrap_or_default();
    if pipeline.is_empty() || !policy.spec.pipelines.iter().any(|rule| rule.name.as_deref() == Some(pipeline)) {
        return Some(format!("Pipeline {pipeline:?} is not among spec.pipelines of policy {name}"));
    }
    let wanted = service_account(policy);
    let template = run.spec.task_run_template.as_ref().and_then(|template| template.service_account_name.as_deref());
    let used = template.filter(|account| !account.is_empty()).unwrap_or(DEFAULT_SERVICE_ACCOUNT);
    if used != wanted {
        return Some(format!("the run uses service account {used:?}: policy {name} wants {wanted:?}"));
    }
    let mut overrides = run.spec.task_run_specs.iter();
    overrides
        .find_map(|task| {
            task.service_account_name
                .as_deref()
                .filter(|account| !account.is_empty() && *account != wanted)
                .map(|account| (task, account))
        })
        .map(|(task, account)| {
            let task = task.pipeline_task_name.as_deref().unwrap_or_default();
            format!("task {task:?} uses service account {account:?}: policy {name} wants {wanted:?}")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::directory::SubjectRef;

    fn policy(change: impl FnOnce(&mut Value)) -> AccessPolicy {
        let mut object = json!({
            "apiVersion": "scim-tekton.dev/v1alpha1", "kind": "AccessPolicy",
            "metadata": { "name": "deploy-prod", "namespace": "prod", "uid": "u", "generation": 3 },
            "spec": {
                "source": "github-acme", "subjects": [{ "group": { "displayName": "Deployers" } }],
                "pipelines": [{ "name": "deploy" }], "serviceAccountName": "deployer"
            }
        });
        change(&mut object["spec"]);
        serde_json::from_value(object).unwrap()
    }

    fn check(policy: &AccessPolicy, spec: Value) -> RunCheck {
        let run = PipelineRun::new("run", serde_json::from_value(spec).unwrap());
        run_check(policy, &run, &std::iter::once(IdpName::from("okta")).collect())
    }

    fn misfit(spec: Value) -> Option<String> {
        check(&policy(|_| {}), spec).misfit
    }

    fn good() -> Value {
        json!({ "pipelineRef": { "name": "deploy" }, "taskRunTemplate": { "serviceAccountName": "deployer" } })
    }

    #[test]
    fn a_run_of_a_named_pipeline_under_the_policys_account_fits() {
        let check = check(&policy(|_| {}), good());
        assert_eq!(check.misfit, None);
        assert_eq!(check.facts.subjects, [SubjectRef::GroupName("okta".into(), "deployers".into())]);
        assert_eq!((check.facts.generation, check.max_start_delay, check.max_run_duration), (3, 3600, 7200));
        assert_eq!(check.policy, ObjectRef { name: "deploy-prod".into(), uid: "u".into(), generation: Some(3) });
    }

    #[test]
    fn an_editors_own_pipeline_under_a_good_ticket_is_a_misfit() {
        let says = |spec: Value, words: &str| {
            let sentence = misfit(spec).unwrap();
            assert!(sentence.contains(words), "{sentence}");
        };
        says(json!({ "pipelineSpec": { "tasks": [] } }), "its own pipelineSpec");
        says(json!({}), "names no Pipeline");
        says(json!({ "pipelineRef": { "resolver": "git" } }), r#"resolver "git""#);
        says(json!({ "pipelineRef": { "name": "deploy", "resolver": "hub" } }), r#"resolver "hub""#);
        says(json!({ "pipelineRef": { "name": "mine" } }), r#"Pipeline "mine" is not among"#);
        says(json!({ "pipelineRef": {} }), r#"Pipeline "" is not among"#);
    }

    #[test]
    fn an_editors_own_service_account_under_a_good_ticket_is_a_misfit() {
        let mut run = good();
        run["taskRunTemplate"] = Value::Null;
        assert!(misfit(run).unwrap().contains(r#"uses service account "default""#));
        let mut run = good();
        run["taskRunSpecs"] =
            json!([{ "pipelineTaskName": "a" }, { "pipelineTaskName": "b", "serviceAccountName": "admin" }]);
        assert!(misfit(run).unwrap().contains(r#"task "b" uses service account "admin""#));
    }

    #[test]
    fn an_absent_service_account_means_default_on_both_sides() {
        let policy = policy(|spec| spec["serviceAccountName"] = Value::Null);
        assert_eq!(check(&policy, json!({ "pipelineRef": { "name": "deploy" } })).misfit, None);
        assert!(check(&policy, good()).misfit.unwrap().contains(r#"wants "default""#));
    }

    #[test]
    fn a_policy_that_we_cannot_honour_fits_nothing() {
        let audit = policy(|spec| spec["mode"] = "Audit".into());
        let check_of = check(&audit, good());
        assert!(check_of.misfit.unwrap().contains("spec.mode: Audit is not supported yet"));
        assert!(check_of.facts.subjects.is_empty());
        let long = policy(|spec| spec["maxRunDuration"] = "9999999h".into());
        assert!(check(&long, good()).misfit.unwrap().contains("at most 365 days"));
    }
}
