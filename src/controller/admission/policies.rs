//! That the policies and their bindings are there, and deny.

use futures::future::{join, join_all};
use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchResources, ValidatingAdmissionPolicy as Policy, ValidatingAdmissionPolicyBinding as Binding,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{Api, Client};

use super::verdict::Look;

/// The admission policies of `config/4*.yaml`, each with a binding of the same name.
pub const POLICIES: [&str; 12] = [
    "scim-tekton-children",
    "scim-tekton-customruns",
    "scim-tekton-enforce",
    "scim-tekton-grouprolebinding-authors",
    "scim-tekton-keys",
    "scim-tekton-labels",
    "scim-tekton-own-accounts",
    "scim-tekton-pending",
    "scim-tekton-pipelines",
    "scim-tekton-subjects",
    "scim-tekton-template-authors",
    "scim-tekton-ticket",
];

/// What keeps a policy from being in force, if anything does.
pub fn fault(name: &str, policy: Option<&Policy>, binding: Option<&Binding>) -> Option<String> {
    let Some(policy) = policy else { return Some(format!("{name} does not exist")) };
    if policy.spec.as_ref().is_some_and(|spec| spec.failure_policy.as_deref() == Some("Ignore")) {
        return Some(format!("{name} admits what it can't judge (failurePolicy Ignore)"));
    }
    let denies = |binding: &&Binding| {
        binding.spec.policy_name == name && binding.spec.validation_actions.iter().any(|action| action == "Deny")
    };
    match binding.filter(denies) {
        None => Some(format!("{name} has no binding that denies")),
        Some(binding) if binding.spec.match_resources.as_ref().is_some_and(narrows) => {
            Some(format!("{name} is narrowed by its binding's matchResources"))
        }
        Some(_) => None,
    }
}

fn narrows(to: &MatchResources) -> bool {
    let selectors = [&to.namespace_selector, &to.object_selector];
    to.resource_rules.as_ref().is_some_and(|rules| !rules.is_empty())
        || to.exclude_resource_rules.as_ref().is_some_and(|rules| !rules.is_empty())
        || selectors.into_iter().flatten().any(|selector| *selector != LabelSelector::default())
}

pub(super) async fn look(client: &Client) -> Look {
    let (policies, bindings) = (Api::<Policy>::all(client.clone()), Api::<Binding>::all(client.clone()));
    let seen = POLICIES.map(|name| {
        let (policies, bindings) = (&policies, &bindings);
        async move {
            match join(policies.get_opt(name), bindings.get_opt(name)).await {
                (Ok(policy), Ok(binding)) => match fault(name, policy.as_ref(), binding.as_ref()) {
                    Some(fault) => Look::Open(fault),
                    None => Look::Holds,
                },
                (Err(error), _) | (_, Err(error)) => Look::Unclear(format!("{name}: {error}")),
            }
        }
    });
    join_all(seen).await.into_iter().fold(Look::Holds, Look::and)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use serde_json::{Value, json};

    use super::*;

    fn documents(prefix: &str) -> Vec<Value> {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let files = std::fs::read_dir(config).unwrap().map(|entry| entry.unwrap().path());
        let ours = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
        let texts = ours.map(|path| std::fs::read_to_string(path).unwrap());
        texts.flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap()).collect()
    }

    fn from_config<K: serde::de::DeserializeOwned>(kind: &str, name: &str) -> K {
        let all = documents("4").into_iter();
        let mut found = all.filter(|document| document["kind"] == kind && document["metadata"]["name"] == name);
        serde_json::from_value(found.next().unwrap()).unwrap()
    }

    #[test]
    fn config_holds_these_policies_in_force_and_the_right_to_look_at_them() {
        let all = documents("4");
        let named = |kind: &str| -> BTreeSet<String> {
            let of_kind = all.iter().filter(|document| document["kind"] == kind);
            of_kind.map(|document| document["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        };
        let ours: BTreeSet<_> = POLICIES.map(ToOwned::to_owned).into();
        assert_eq!(named("ValidatingAdmissionPolicy"), ours);
        assert_eq!(named("ValidatingAdmissionPolicyBinding"), ours);
        let rights = documents("210")[0]["rules"].to_string();
        for name in POLICIES {
            assert!(rights.contains(&format!("\"{name}\"")), "{name}");
            let policy: Policy = from_config("ValidatingAdmissionPolicy", name);
            let binding: Binding = from_config("ValidatingAdmissionPolicyBinding", name);
            assert_eq!(fault(name, Some(&policy), Some(&binding)), None);
        }
    }

    #[test]
    fn what_is_missing_narrowed_or_fails_open_is_a_fault() {
        let name = POLICIES[0];
        let policy: Policy = from_config("ValidatingAdmissionPolicy", name);
        let binding: Binding = from_config("ValidatingAdmissionPolicyBinding", name);
        let faulty = |policy: Option<&Policy>, binding: Option<&Binding>| fault(name, policy, binding).unwrap();
        assert!(faulty(None, Some(&binding)).contains("does not exist"));
        assert!(faulty(Some(&policy), None).contains("no binding"));
        let turned = |change: fn(&mut Binding)| {
            let mut other = binding.clone();
            change(&mut other);
            faulty(Some(&policy), Some(&other))
        };
        assert!(turned(|it| it.spec.validation_actions = vec!["Warn".into()]).contains("no binding that denies"));
        assert!(turned(|it| it.spec.policy_name = "another".into()).contains("no binding that denies"));
        let narrow = |it: &mut Binding| {
            let to = json!({"namespaceSelector": {"matchLabels": {"a": "b"}}});
            it.spec.match_resources = Some(serde_json::from_value(to).unwrap());
        };
        assert!(turned(narrow).contains("narrowed"));
        let mut ignoring = policy.clone();
        ignoring.spec.as_mut().unwrap().failure_policy = Some("Ignore".into());
        assert!(faulty(Some(&ignoring), Some(&binding)).contains("Ignore"));
    }
}
