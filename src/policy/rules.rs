//! What the CRDs' validation rules refuse, refused where no API server stands before us: for a folder of policies, and
//! for a cluster whose CRDs are of another version than we are. The sentences are the rules' own; a test holds both
//! together.

use crate::api::{
    AccessPolicySpec, CredentialTemplateSpec, Delivery, EventRule, EventSourceSpec, EventSourceType, GroupRef,
    GroupRoleBindingSpec, Mode, OnRevoke, PipelineRule, Subject, UserRef,
};

/// The sentence of the first rule that is broken.
pub type Fault = Option<&'static str>;

/// The first rule that does not hold.
fn first<const N: usize>(rules: [(bool, &'static str); N]) -> Fault {
    rules.into_iter().find_map(|(holds, sentence)| (!holds).then_some(sentence))
}

/// What is wrong with an EventSource.
pub fn event_source(spec: &EventSourceSpec) -> Fault {
    first([
        (spec.type_ == EventSourceType::Github, "spec.type: only github is supported yet"),
        ((1..=2).contains(&spec.webhook.secret_refs.len()), "webhook.secretRefs: one secret, or two while rotating"),
    ])
}

/// What is wrong with an AccessPolicy.
pub fn access_policy(spec: &AccessPolicySpec) -> Fault {
    let duration = "expected a duration such as 90s, 30m or 2h";
    first([
        (matches!(spec.mode, None | Some(Mode::Enforce)), "spec.mode: Audit is not supported yet"),
        (matches!(spec.on_revoke, None | Some(OnRevoke::Cancel)), "spec.onRevoke: only Cancel is supported yet"),
        (spec.ambient.is_none(), "spec.ambient: not supported yet"),
        ((1..=64).contains(&spec.subjects.len()), "spec.subjects: at least one subject, at most 64"),
        (!spec.pipelines.is_empty(), "spec.pipelines: at least one pipeline"),
        (is_duration(spec.max_start_delay.as_deref()), duration),
        (is_duration(spec.max_run_duration.as_deref()), duration),
    ])
    .or_else(|| spec.subjects.iter().find_map(subject))
    .or_else(|| spec.events.iter().find_map(event))
    .or_else(|| spec.pipelines.iter().find_map(pipeline))
}

/// What is wrong with a CredentialTemplate.
pub fn credential_template(spec: &CredentialTemplateSpec) -> Fault {
    let providers = [
        spec.kubernetes.is_some(),
        spec.oidc.is_some(),
        spec.token_exchange.is_some(),
        spec.vault.is_some(),
        spec.aws.is_some(),
    ];
    first([
        (providers.iter().filter(|given| **given).count() == 1, "spec: exactly one provider of kubernetes, oidc"),
        (
            spec.token_exchange.is_none() && spec.vault.is_none() && spec.aws.is_none(),
            "spec: the providers tokenExchange, vault and aws are not supported yet",
        ),
        (matches!(spec.delivery, None | Some(Delivery::Secret)), "spec.delivery: Exchange is not supported yet"),
        (is_duration(spec.ttl.as_deref()), "expected a duration such as 90s, 15m or 1h"),
    ])
    .or_else(|| {
        let kubernetes = spec.kubernetes.as_ref()?;
        first([
            (kubernetes.service_account_name.is_none(), "kubernetes.serviceAccountName: not supported yet"),
            (kubernetes.audiences.is_none(), "kubernetes.audiences: not supported yet"),
            ((1..=8).contains(&kubernetes.role_refs.len()), "kubernetes.roleRefs: one to eight roles"),
        ])
    })
    .or_else(|| first([(spec.oidc.as_ref()?.claims.is_none(), "oidc.claims: not supported yet")]))
}

/// What is wrong with a GroupRoleBinding.
pub fn group_role_binding(spec: &GroupRoleBindingSpec) -> Fault {
    first([
        (spec.cluster_wide.is_none(), "spec.clusterWide: not supported yet"),
        (spec.namespaces.is_some(), "spec.namespaces: names are required"),
        ((1..=8).contains(&spec.role_refs.len()), "spec.roleRefs: one to eight roles"),
    ])
    .or_else(|| first([(spec.namespaces.as_ref()?.selector.is_none(), "namespaces.selector: not supported yet")]))
    .or_else(|| group(&spec.group))
}

fn subject(subject: &Subject) -> Fault {
    let given = [subject.group.is_some(), subject.user.is_some(), subject.agent.is_some()];
    first([(given.iter().filter(|given| **given).count() == 1, "a subject is exactly one of group, user, agent")])
        .or_else(|| group(subject.group.as_ref()?))
        .or_else(|| user(subject.user.as_ref()?))
}

fn group(group: &GroupRef) -> Fault {
    let one = group.display_name.is_some() != group.id.is_some();
    first([(one, "a group is named by exactly one of displayName, id")])
}

fn user(user: &UserRef) -> Fault {
    let one = user.user_name.is_some() != user.id.is_some();
    first([(one, "a user is named by exactly one of userName, id")])
}

fn event(rule: &EventRule) -> Fault {
    let member = rule.trust.as_ref().is_none_or(|trust| *trust == ["member"]);
    first([
        (rule.when.is_none(), "events[].when: CEL conditions are not supported yet"),
        (member, "events[].trust: only [member] is supported yet"),
    ])
}

fn pipeline(rule: &PipelineRule) -> Fault {
    first([
        (rule.source.is_none(), "pipelines[].source: pinned sources are not supported yet"),
        (rule.name.is_some(), "pipelines[]: name a Pipeline of this namespace"),
    ])
}

fn is_duration(text: Option<&str>) -> bool {
    text.is_none_or(|text| {
        text.strip_suffix(['s', 'm', 'h'])
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn policy(change: &Value) -> Fault {
        let spec =
            json!({ "source": "s", "subjects": [{ "user": { "userName": "a" } }], "pipelines": [{ "name": "p" }] });
        access_policy(&serde_json::from_value(merged(spec, change)).unwrap())
    }

    fn template(change: &Value) -> Fault {
        credential_template(&serde_json::from_value(merged(json!({}), change)).unwrap())
    }

    fn binding(change: &Value) -> Fault {
        let roles = json!([{ "kind": "Role", "name": "r" }]);
        let spec = json!({ "group": { "displayName": "d" }, "roleRefs": roles, "namespaces": { "names": ["n"] } });
        group_role_binding(&serde_json::from_value(merged(spec, change)).unwrap())
    }

    fn source(change: &Value) -> Fault {
        let webhook = json!({ "secretRefs": [{ "name": "n", "key": "k" }] });
        event_source(
            &serde_json::from_value(merged(json!({ "type": "github", "host": "h", "webhook": webhook }), change))
                .unwrap(),
        )
    }

    fn merged(mut spec: Value, change: &Value) -> Value {
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        spec
    }

    fn violations() -> Vec<Fault> {
        let roles = json!([{ "kind": "Role", "name": "r" }]);
        vec![
            source(&json!({ "type": "gitlab" })),
            source(&json!({ "webhook": { "secretRefs": [] } })),
            policy(&json!({ "mode": "Audit" })),
            policy(&json!({ "onRevoke": "Keep" })),
            policy(&json!({ "ambient": "Accept" })),
            policy(&json!({ "subjects": [] })),
            policy(&json!({ "pipelines": [] })),
            policy(&json!({ "maxStartDelay": "1d" })),
            policy(&json!({ "maxRunDuration": "h" })),
            policy(&json!({ "subjects": [{}] })),
            policy(&json!({ "subjects": [{ "group": {} }] })),
            policy(&json!({ "subjects": [{ "user": { "userName": "a", "id": "b" } }] })),
            policy(&json!({ "events": [{ "when": "true" }] })),
            policy(&json!({ "events": [{ "trust": ["fork"] }] })),
            policy(&json!({ "pipelines": [{ "source": { "uri": "u" } }] })),
            policy(&json!({ "pipelines": [{}] })),
            template(&json!({})),
            template(&json!({ "vault": { "path": "p" } })),
            template(&json!({ "oidc": { "target": "t" }, "delivery": "Exchange" })),
            template(&json!({ "oidc": { "target": "t" }, "ttl": "15" })),
            template(&json!({ "oidc": { "target": "t", "claims": {} } })),
            template(&json!({ "kubernetes": { "roleRefs": roles, "serviceAccountName": "s" } })),
            template(&json!({ "kubernetes": { "roleRefs": roles, "audiences": [] } })),
            template(&json!({ "kubernetes": { "roleRefs": [] } })),
            binding(&json!({ "clusterWide": true })),
            binding(&json!({ "namespaces": null })),
            binding(&json!({ "namespaces": { "selector": {} } })),
            binding(&json!({ "roleRefs": [] })),
            binding(&json!({ "group": {} })),
        ]
    }

    fn messages(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                for rule in object.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    found.insert(rule["message"].as_str().unwrap().into());
                }
                object.values().for_each(|inner| messages(inner, found));
            }
            Value::Array(array) => array.iter().for_each(|inner| messages(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_validation_rule_of_the_crds_holds_here_too_with_the_same_sentence() {
        let mut of_the_crds = BTreeSet::new();
        messages(&serde_json::to_value(crate::api::crds()).unwrap(), &mut of_the_crds);
        let ours: BTreeSet<String> = violations().into_iter().map(|fault| fault.unwrap().into()).collect();
        assert_eq!(ours, of_the_crds);
    }

    #[test]
    fn what_breaks_no_rule_has_no_fault() {
        assert_eq!(
            policy(
                &json!({ "mode": "Enforce", "events": [{ "types": ["push"], "trust": ["member"] }], "maxStartDelay": "5m" })
            ),
            None
        );
        assert_eq!(
            template(&json!({ "kubernetes": { "roleRefs": [{ "kind": "Role", "name": "r" }] }, "ttl": "15m" })),
            None
        );
        assert_eq!(binding(&json!({})), None);
        assert_eq!(source(&json!({})), None);
    }
}
