//! What of our installation the API server holds: `config/`, and what the server makes itself.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        core::v1::Namespace,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};

use super::super::wire::Finding;
use crate::{
    api::{self, VERSION, tekton::ClusterInterceptor},
    controller::admission,
};

/// What stands there, or nothing; or why that can't be told.
pub type Seen<T> = Result<Option<T>, String>;

/// What was seen of the cluster.
#[derive(Debug, Default)]
pub struct ClusterFacts {
    /// Our CRDs, by name.
    pub crds: Vec<(String, Seen<CustomResourceDefinition>)>,
    /// Our ClusterInterceptor, by name; absent where this server runs no interceptor.
    pub interceptor: Option<(String, Seen<ClusterInterceptor>)>,
    /// Our CA, PEM.
    pub ca: String,
    /// The admission policies.
    pub gates: Vec<Gate>,
    /// What the running check of them says.
    pub guard: Option<Result<(), String>>,
    /// The grants namespace, by name.
    pub grants_namespace: Option<(String, Seen<Namespace>)>,
    /// When the Secrets that were asked about were last written, by name.
    pub secrets: BTreeMap<String, Seen<DateTime<Utc>>>,
}

/// An admission policy and its binding.
#[derive(Debug)]
pub struct Gate {
    /// Name of both.
    pub name: String,
    /// The policy.
    pub policy: Seen<ValidatingAdmissionPolicy>,
    /// What puts it in force.
    pub binding: Seen<ValidatingAdmissionPolicyBinding>,
}

pub(super) fn check(facts: &ClusterFacts) -> Vec<Finding> {
    let mut findings = vec![crds(facts), gates(facts)];
    findings.extend(facts.interceptor.as_ref().map(|(name, seen)| interceptor(name, seen, &facts.ca)));
    findings.extend(facts.grants_namespace.as_ref().map(|(name, seen)| {
        let check = format!("grants namespace {name}");
        match seen {
            Ok(Some(namespace)) if namespace.metadata.deletion_timestamp.is_none() => Finding::ok(check, "exists"),
            Ok(_) => Finding::fail(
                check,
                "does not exist or is being deleted: no Kubernetes credential can be issued",
                "kubectl apply -f config/100-namespaces.yaml -f config/220-roles.yaml",
            ),
            Err(why) => unseen(check, why),
        }
    }));
    findings
}

fn crds(facts: &ClusterFacts) -> Finding {
    const CHECK: &str = "CRDs";
    const MEND: &str = "kubectl apply -f config/300-crds.yaml, of the version that runs";
    let (mut missing, mut other) = (Vec::new(), Vec::new());
    for (name, seen) in &facts.crds {
        match seen {
            Err(why) => return unseen(CHECK, why),
            Ok(Some(there)) if is_established(there) => {
                if !is_of_this_version(there) {
                    other.push(name.as_str());
                }
            }
            Ok(_) => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        return Finding::fail(CHECK, format!("not in place: {}", missing.join(", ")), MEND);
    }
    if !other.is_empty() {
        return Finding::warn(CHECK, format!("of another version than this program: {}", other.join(", ")), MEND);
    }
    Finding::ok(CHECK, format!("{} in place, of this version", facts.crds.len()))
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let established = conditions.into_iter().any(|it| it.type_ == "Established" && it.status == "True");
    established && crd.spec.versions.iter().any(|version| version.name == VERSION && version.served)
}

/// The schema is what the API server admits and keeps: a field that it does not know is dropped without a word.
fn is_of_this_version(there: &CustomResourceDefinition) -> bool {
    let schema = |crd: &CustomResourceDefinition| {
        crd.spec.versions.iter().find(|version| version.name == VERSION).and_then(|version| version.schema.clone())
    };
    let ours = api::crds().into_iter().find(|ours| ours.metadata.name == there.metadata.name);
    ours.is_some_and(|ours| schema(&ours) == schema(there))
}

fn interceptor(name: &str, seen: &Seen<ClusterInterceptor>, ca: &str) -> Finding {
    const MEND: &str =
        "restart the server, which makes it anew: kubectl -n scim-tekton rollout restart deploy/scim-tekton";
    let check = format!("ClusterInterceptor {name}");
    let there = match seen {
        Err(why) => return unseen(check, why),
        Ok(None) => return Finding::fail(check, "does not exist: no EventListener can ask us", MEND),
        Ok(Some(there)) => there,
    };
    let labels = there.metadata.labels.as_ref();
    if labels.and_then(|labels| labels.get("server/type")).map(String::as_str) != Some("https") {
        return Finding::fail(check, "has no label server/type=https: EventListeners take it for plain http", MEND);
    }
    let bundle = there.spec.client_config.ca_bundle.as_deref().unwrap_or_default();
    let bundle = BASE64_STANDARD.decode(bundle).ok().and_then(|bundle| String::from_utf8(bundle).ok());
    match bundle.as_deref() {
        None | Some("") => {
            Finding::fail(check, "has no caBundle, which takes down every EventListener of the cluster", MEND)
        }
        Some(bundle) if bundle.contains(ca.trim()) => Finding::ok(check, "is https, and its caBundle holds our CA"),
        Some(_) => Finding::fail(check, "has a caBundle without our CA: no EventListener trusts us", MEND),
    }
}

fn gates(facts: &ClusterFacts) -> Finding {
    const CHECK: &str = "admission policies";
    let mut open = Vec::new();
    for Gate { name, policy, binding } in &facts.gates {
        match (policy, binding) {
            (Err(why), _) | (_, Err(why)) => return unseen(CHECK, why),
            (Ok(policy), Ok(binding)) => open.extend(admission::fault(name, policy.as_ref(), binding.as_ref())),
        }
    }
    let mend = "kubectl apply -f config/ (its files 4*.yaml); nothing is redeemed, issued or renewed meanwhile";
    match &facts.guard {
        _ if !open.is_empty() => Finding::fail(CHECK, open.join(", "), mend),
        Some(Err(why)) => Finding::fail(CHECK, format!("{} in place, but {why}", facts.gates.len()), mend),
        _ => Finding::ok(CHECK, format!("{} in force", facts.gates.len())),
    }
}

/// That we can't look is no proof that something is wrong.
fn unseen(check: impl Into<String>, why: &str) -> Finding {
    let mend = "kubectl apply -f config/210-clusterrole.yaml: it holds the right to look";
    Finding::warn(check, format!("can't be looked at: {why}"), mend)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::server::control::wire::Verdict;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";

    fn gate(name: &str) -> Gate {
        let spec = json!({"policyName": name, "validationActions": ["Deny", "Audit"]});
        Gate {
            name: name.into(),
            policy: Ok(Some(ValidatingAdmissionPolicy::default())),
            binding: Ok(Some(serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap())),
        }
    }

    fn bundle(pem: &str) -> ClusterInterceptor {
        let config = json!({"caBundle": BASE64_STANDARD.encode(pem)});
        let metadata = json!({"name": "scim", "labels": {"server/type": "https"}});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"clientConfig": config}})).unwrap()
    }

    fn healthy() -> ClusterFacts {
        let established = json!({
            "conditions": [{"type": "Established", "status": "True", "reason": "x", "message": "x", "lastTransitionTime": null}],
            "acceptedNames": {"kind": "x", "plural": "x"}, "storedVersions": [VERSION]
        });
        let crds = api::crds().into_iter().map(|mut crd| {
            crd.status = Some(serde_json::from_value(established.clone()).unwrap());
            (crd.metadata.name.clone().unwrap(), Ok(Some(crd)))
        });
        ClusterFacts {
            crds: crds.collect(),
            interceptor: Some(("scim".into(), Ok(Some(bundle(&format!("old\n{CA}")))))),
            ca: CA.into(),
            gates: admission::POLICIES.map(gate).into(),
            guard: Some(Ok(())),
            grants_namespace: Some(("scim-tekton-grants".into(), Ok(Some(Namespace::default())))),
            secrets: BTreeMap::new(),
        }
    }

    fn verdicts(facts: &ClusterFacts) -> Vec<Verdict> {
        check(facts).iter().map(|found| found.verdict).collect()
    }

    #[test]
    fn what_stands_as_config_says_is_ok() {
        assert_eq!(verdicts(&healthy()), [Verdict::Ok; 4]);
    }

    #[test]
    fn what_is_missing_fails_and_what_is_old_is_a_warning() {
        let mut facts = healthy();
        facts.crds[1].1.as_mut().unwrap().as_mut().unwrap().spec.versions[0].schema = None;
        facts.gates[0].binding = Ok(None);
        facts.gates[1].policy = Ok(None);
        facts.interceptor = Some(("scim".into(), Ok(None)));
        facts.grants_namespace = Some(("scim-tekton-grants".into(), Ok(None)));
        assert_eq!(verdicts(&facts), [Verdict::Warn, Verdict::Fail, Verdict::Fail, Verdict::Fail]);
        let found = check(&facts);
        assert_eq!(found[0].found, "of another version than this program: accesspolicies.scim-tekton.dev");
        assert_eq!(
            found[1].found,
            "scim-tekton-children has no binding that denies, scim-tekton-customruns does not exist"
        );
        assert!(found.iter().all(|found| found.mend.is_some()));
        facts.crds[0].1 = Ok(None);
        assert_eq!(verdicts(&facts)[0], Verdict::Fail);
        facts.crds[0].1 = Err("forbidden".into());
        assert_eq!(verdicts(&facts)[0], Verdict::Warn);
    }

    #[test]
    fn an_interceptor_without_our_ca_or_its_label_fails() {
        let verdict = |there: ClusterInterceptor| interceptor("scim", &Ok(Some(there)), CA).verdict;
        assert_eq!(verdict(bundle("another")), Verdict::Fail);
        assert_eq!(verdict(bundle("")), Verdict::Fail);
        let mut plain = bundle(CA);
        plain.metadata.labels = None;
        assert_eq!(verdict(plain), Verdict::Fail);
    }

    #[test]
    fn policies_that_are_in_place_and_refuse_nothing_fail() {
        let mut facts = healthy();
        facts.guard = Some(Err("scim-tekton-children admits what it should refuse".into()));
        let found = gates(&facts);
        assert!(found.verdict == Verdict::Fail && found.found.contains("admits what it should refuse"), "{found:?}");
    }

    #[test]
    fn config_gives_the_right_to_look_at_our_crds() {
        let roles =
            serde_saphyr::from_multiple::<Value>(include_str!("../../../../config/210-clusterrole.yaml")).unwrap();
        let rights = roles[0]["rules"].to_string();
        for name in api::crds().into_iter().filter_map(|crd| crd.metadata.name) {
            assert!(rights.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
