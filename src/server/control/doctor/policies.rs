//! What is in force: EventSources, and the triggers that ask us.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};

use super::{super::wire::Finding, ClusterFacts};
use crate::{
    api::tekton::TriggerSpec,
    interceptor::policies_of,
    policy::{Catalog, SourceEntry},
};

/// Whoever knows a webhook's secret can speak for any person who is linked there: it is not to grow old.
const OLD: Duration = Duration::days(180);

/// Names of all Secrets that sign events.
pub(super) fn webhook_secrets(catalog: &Catalog) -> Vec<String> {
    let references = catalog.sources().flat_map(|source| &source.object.spec.webhook.secret_refs);
    references.map(|reference| reference.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

pub(super) fn sources(catalog: &Catalog, facts: Option<&ClusterFacts>, now: DateTime<Utc>) -> Vec<Finding> {
    let findings: Vec<_> = catalog.sources().map(|entry| source(entry, facts, now)).collect();
    if findings.is_empty() {
        let mend = "an EventSource says which webhooks may speak for people (README, Let a group deploy)";
        return vec![Finding::warn("event sources", "there is none: no event can be let through", mend)];
    }
    findings
}

fn source(entry: &SourceEntry, facts: Option<&ClusterFacts>, now: DateTime<Utc>) -> Finding {
    let check = format!("event source {}", entry.object.metadata.name.as_deref().unwrap_or_default());
    if let Err(why) = &entry.secrets {
        let mend =
            "make that Secret in the install namespace, or mend spec.webhook.secretRefs; all its events are denied";
        return Finding::fail(check, format!("not ready: {why}"), mend);
    }
    let references = &entry.object.spec.webhook.secret_refs;
    let ages: Vec<_> = references
        .iter()
        .filter_map(|reference| {
            let written = facts?.secrets.get(&reference.name)?.as_ref().ok()?.as_ref()?;
            Some((reference.name.as_str(), now - *written))
        })
        .collect();
    let told: Vec<_> = ages.iter().map(|(name, age)| format!("Secret {name} is {} days old", age.num_days())).collect();
    let found = std::iter::once("ready".to_owned()).chain(told).collect::<Vec<_>>().join("; ");
    // While it is rotated, the old secret may be as old as it likes.
    if !ages.is_empty() && ages.iter().all(|(_, age)| *age > OLD) {
        let mend = "rotate it: name the new Secret as the second of spec.webhook.secretRefs, set it at the sender, then \
                    take the old one away";
        return Finding::warn(check, found, mend);
    }
    Finding::ok(check, found)
}

/// Triggers whose events are denied or whose runs can't be created, whoever pushes.
pub(super) fn triggers(catalog: &Catalog, interceptor: &str) -> Vec<Finding> {
    let objects = catalog.triggers().map(|trigger| {
        let metadata = &trigger.metadata;
        ("trigger", metadata.namespace.as_deref(), metadata.name.clone().unwrap_or_default(), &trigger.spec)
    });
    let inline = catalog.listeners().flat_map(|listener| {
        let metadata = &listener.metadata;
        // A reference stands for a Trigger object.
        let triggers = listener.spec.triggers.iter().filter(|trigger| trigger.trigger_ref.is_none());
        triggers.map(move |spec| {
            let (holder, name) = (metadata.name.as_deref().unwrap_or_default(), spec.name.as_deref().unwrap_or("?"));
            ("inline trigger", metadata.namespace.as_deref(), format!("{holder}/{name}"), spec)
        })
    });
    let mut findings = Vec::new();
    let mut ours = 0;
    for (kind, namespace, name, spec) in objects.chain(inline) {
        if policies_of(spec, interceptor).next().is_none() {
            continue;
        }
        ours += 1;
        let namespace = namespace.unwrap_or_default();
        findings.extend(trigger(catalog, interceptor, namespace, &format!("{kind} {namespace}/{name}"), spec));
    }
    findings.insert(0, Finding::ok("triggers", format!("{ours} use the ClusterInterceptor {interceptor}")));
    findings
}

fn trigger(catalog: &Catalog, interceptor: &str, namespace: &str, check: &str, spec: &TriggerSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(account) = spec.service_account_name.as_deref().filter(|account| !account.is_empty()) {
        findings.push(Finding::warn(
            check,
            format!("it sets serviceAccountName {account}: its EventListener would have to impersonate that account"),
            "leave it empty: that is not supported yet, and the EventListener's own account creates the run",
        ));
    }
    for named in policies_of(spec, interceptor) {
        let found = match named {
            Some(policy) if catalog.policy(namespace, policy).is_some() => continue,
            Some(policy) => {
                format!("it names the AccessPolicy {policy}, which does not exist: all its events are denied")
            }
            None => "it gives the interceptor no param policy: all its events are denied".to_owned(),
        };
        findings.push(Finding::warn(check, found, format!("name an AccessPolicy of namespace {namespace}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::server::control::wire::Verdict;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::days(1000)
    }

    fn catalog(secrets: Result<(), &str>) -> Catalog {
        let mut catalog = Catalog::default();
        let references = json!([{"name": "old", "key": "s"}, {"name": "new", "key": "s"}]);
        let spec = json!({"type": "github", "host": "h", "webhook": {"secretRefs": references}});
        let source = serde_json::from_value(json!({"metadata": {"name": "acme"}, "spec": spec})).unwrap();
        catalog.put_event_source(&source, secrets.map(|()| vec!["s".into()]).map_err(Into::into));
        catalog
    }

    fn facts(days: &[(&str, i64)]) -> ClusterFacts {
        let secrets: BTreeMap<_, _> =
            days.iter().map(|(name, days)| ((*name).to_owned(), Ok(Some(now() - Duration::days(*days))))).collect();
        ClusterFacts { secrets, ..ClusterFacts::default() }
    }

    #[test]
    fn a_source_shows_the_age_of_its_secrets_and_an_old_one_is_to_be_rotated() {
        let catalog = catalog(Ok(()));
        assert_eq!(webhook_secrets(&catalog), ["new", "old"]);
        let found = |facts: &ClusterFacts| sources(&catalog, Some(facts), now()).remove(0);
        let rotating = found(&facts(&[("old", 400), ("new", 2)]));
        assert_eq!(rotating.verdict, Verdict::Ok);
        assert_eq!(rotating.found, "ready; Secret old is 400 days old; Secret new is 2 days old");
        assert_eq!(found(&facts(&[("old", 400)])).verdict, Verdict::Warn);
        assert_eq!(sources(&catalog, None, now())[0].found, "ready");
    }

    #[test]
    fn a_source_without_its_secret_fails_and_no_source_is_said() {
        let found = &sources(&catalog(Err("no Secret old")), None, now())[0];
        assert_eq!((found.verdict, found.found.as_str()), (Verdict::Fail, "not ready: no Secret old"));
        assert_eq!(sources(&Catalog::default(), None, now())[0].verdict, Verdict::Warn);
    }

    fn uses(interceptor: &str, policy: &str, account: Option<&str>) -> Value {
        let params = json!([{"name": "policy", "value": policy}]);
        json!({
            "name": "push", "serviceAccountName": account,
            "interceptors": [{"ref": {"name": interceptor}, "params": params}]
        })
    }

    #[test]
    fn triggers_that_can_not_work_are_named() {
        let mut catalog = Catalog::default();
        let policy = json!({
            "metadata": {"name": "deploy", "namespace": "prod"},
            "spec": {"source": "s", "subjects": [], "pipelines": []}
        });
        catalog.put_policy(serde_json::from_value(policy).unwrap());
        let metadata = json!({"name": "hooks", "namespace": "prod"});
        let inline = [
            uses("scim", "deploy", None),
            uses("scim", "gone", Some("someone")),
            uses("cel", "gone", Some("someone")),
            json!({"triggerRef": "push", "serviceAccountName": "someone"}),
        ];
        let listener = json!({"metadata": metadata, "spec": {"triggers": inline}});
        catalog.put_event_listener(serde_json::from_value(listener).unwrap());
        let metadata = json!({"name": "push", "namespace": "test"});
        let trigger = json!({"metadata": metadata, "spec": uses("scim", "deploy", None)});
        catalog.put_trigger(serde_json::from_value(trigger).unwrap());
        let found: Vec<_> = triggers(&catalog, "scim").into_iter().map(|it| (it.check, it.found)).collect();
        assert_eq!(found[0].1, "3 use the ClusterInterceptor scim");
        assert!(found[1].0 == "trigger test/push" && found[1].1.contains("deploy, which does not exist"), "{found:?}");
        assert!(found[2].0 == "inline trigger prod/hooks/push" && found[2].1.contains("someone"), "{found:?}");
        assert!(found[3].1.contains("gone, which does not exist"), "{found:?}");
        assert_eq!(found.len(), 4);
    }
}
