//! Which trigger asks. The caller's word for it (`context.trigger_id`, FACTS 4) is checked against a Trigger, or an inline
//! trigger of an EventListener, that exists, names us and names the same policy.

use super::reason::{Reason, Refusal, refuse, shown};
use crate::{api::tekton::TriggerSpec, policy::Catalog};

/// What holds a trigger: where a Kubernetes Event about it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TriggerKind {
    /// A Trigger object.
    Trigger,
    /// An EventListener with the trigger inline.
    EventListener,
}

/// The object that holds a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerObject {
    /// Its kind.
    pub kind: TriggerKind,
    /// Its name; for an inline trigger, its EventListener's.
    pub name: String,
}

/// A trigger by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TriggerId<'a> {
    /// Namespace of the Trigger or EventListener.
    pub namespace: &'a str,
    /// Its name; for an inline trigger, within its EventListener.
    pub name: &'a str,
}

/// Takes a `context.trigger_id` apart.
pub(super) fn parse(id: &str) -> Result<TriggerId<'_>, Refusal> {
    let mut parts = id.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("namespaces"), Some(namespace), Some("triggerGroups"), Some(name), None) => refuse(
            Reason::TriggerGroup,
            format!(
                "the request comes from the trigger group {} of {}: put the scim interceptor into each trigger instead, a group names no trigger",
                shown(name),
                shown(namespace)
            ),
        ),
        (Some("namespaces"), Some(namespace), Some("triggers"), Some(""), None) if !namespace.is_empty() => {
            refuse(Reason::BadTriggerId, "the trigger has no name: give the inline trigger of the EventListener a name")
        }
        (Some("namespaces"), Some(namespace), Some("triggers"), Some(name), None) if !namespace.is_empty() => {
            Ok(TriggerId { namespace, name })
        }
        _ => refuse(
            Reason::BadTriggerId,
            format!("expected a trigger id namespaces/NAMESPACE/triggers/NAME, got {:?}", shown(id)),
        ),
    }
}

/// Finds the trigger and holds it against the policy that the request names.
pub(super) fn find(
    catalog: &Catalog,
    interceptor: &str,
    id: TriggerId<'_>,
    policy: &str,
) -> Result<TriggerObject, Refusal> {
    let TriggerId { namespace, name } = id;
    let object = catalog.trigger(namespace, name).map(|trigger| (TriggerKind::Trigger, name, &trigger.spec));
    let inline = catalog.listeners_in(namespace).flat_map(|listener| {
        let named = listener.spec.triggers.iter().filter(|trigger| {
            // A reference stands for a Trigger object, and its own name means nothing.
            trigger.trigger_ref.is_none() && trigger.name.as_deref() == Some(name)
        });
        let holder = listener.metadata.name.as_deref().unwrap_or_default();
        named.map(move |trigger| (TriggerKind::EventListener, holder, trigger))
    });
    let mut candidates = object.into_iter().chain(inline);
    let Some((kind, holder, spec)) = candidates.next() else {
        return refuse(
            Reason::UnknownTrigger,
            format!(
                "there is no Trigger {0} in namespace {1}, and no EventListener there with an inline trigger {0}",
                shown(name),
                shown(namespace)
            ),
        );
    };
    // The request names no EventListener. Of several triggers of one name, all must say the same of us.
    for (other_kind, other_holder, other) in candidates {
        if other_kind != kind || !policies_of(other, interceptor).eq(policies_of(spec, interceptor)) {
            return refuse(
                Reason::AmbiguousTrigger,
                format!(
                    "trigger {name} of namespace {namespace} stands in {holder} and in {other_holder}, and the request does not say in which: give them different names"
                ),
            );
        }
    }
    let mut named = policies_of(spec, interceptor).peekable();
    if named.peek().is_none() {
        return refuse(
            Reason::TriggerDoesNotNameUs,
            format!("trigger {name} of namespace {namespace} does not use the ClusterInterceptor {interceptor}"),
        );
    }
    if !named.any(|named| named == Some(policy)) {
        return refuse(
            Reason::TriggerNamesAnotherPolicy,
            format!(
                "trigger {name} of namespace {namespace} does not give the param policy the value {:?}",
                shown(policy)
            ),
        );
    }
    Ok(TriggerObject { kind, name: holder.into() })
}

/// The `policy` param of each use of our interceptor in a trigger.
pub fn policies_of<'a>(trigger: &'a TriggerSpec, interceptor: &str) -> impl Iterator<Item = Option<&'a str>> {
    trigger
        .interceptors
        .iter()
        .filter(move |used| {
            let cluster = used.ref_.kind.as_deref().is_none_or(|kind| kind.is_empty() || kind == "ClusterInterceptor");
            cluster && used.ref_.name.as_deref() == Some(interceptor)
        })
        .map(|used| used.params.iter().find(|param| param.name == "policy").and_then(|param| param.value.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tekton::{EventListener, Trigger};

    fn spec(name: &str, interceptor: &str, policy: &str) -> serde_json::Value {
        json!({ "name": name, "interceptors": [
            { "ref": { "name": "cel" }, "params": [{ "name": "filter", "value": "true" }] },
            { "ref": { "name": interceptor }, "params": [{ "name": "policy", "value": policy }] }
        ] })
    }

    fn trigger(catalog: &mut Catalog, name: &str, interceptor: &str, policy: &str) {
        let mut trigger = Trigger::new(name, serde_json::from_value(spec(name, interceptor, policy)).unwrap());
        trigger.metadata.namespace = Some("prod".into());
        catalog.put_trigger(trigger);
    }

    fn listener(catalog: &mut Catalog, name: &str, triggers: &[serde_json::Value]) {
        let spec = serde_json::from_value(json!({ "triggers": triggers })).unwrap();
        let mut listener = EventListener::new(name, spec);
        listener.metadata.namespace = Some("prod".into());
        catalog.put_event_listener(listener);
    }

    fn found(catalog: &Catalog, id: &str, policy: &str) -> Result<TriggerObject, Reason> {
        parse(id).and_then(|id| find(catalog, "scim", id, policy)).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_trigger_object_and_an_inline_trigger_are_found_with_what_holds_them() {
        let mut catalog = Catalog::default();
        trigger(&mut catalog, "t", "scim", "p");
        listener(&mut catalog, "hooks", &[spec("i", "scim", "p"), json!({ "name": "r", "triggerRef": "t" })]);
        let t = found(&catalog, "namespaces/prod/triggers/t", "p").unwrap();
        assert_eq!(t, TriggerObject { kind: TriggerKind::Trigger, name: "t".into() });
        let i = found(&catalog, "namespaces/prod/triggers/i", "p").unwrap();
        assert_eq!(i, TriggerObject { kind: TriggerKind::EventListener, name: "hooks".into() });
        assert_eq!(found(&catalog, "namespaces/prod/triggers/r", "p"), Err(Reason::UnknownTrigger));
    }

    #[test]
    fn a_trigger_must_name_us_and_the_policy_of_the_request() {
        let mut catalog = Catalog::default();
        trigger(&mut catalog, "other", "github", "p");
        trigger(&mut catalog, "t", "scim", "p");
        assert_eq!(found(&catalog, "namespaces/prod/triggers/other", "p"), Err(Reason::TriggerDoesNotNameUs));
        assert_eq!(found(&catalog, "namespaces/prod/triggers/t", "q"), Err(Reason::TriggerNamesAnotherPolicy));
        assert_eq!(found(&catalog, "namespaces/test/triggers/t", "p"), Err(Reason::UnknownTrigger));
        let mut namespaced = Trigger::new("n", serde_json::from_value(spec("n", "scim", "p")).unwrap());
        namespaced.metadata.namespace = Some("prod".into());
        namespaced.spec.interceptors[1].ref_.kind = Some("NamespacedInterceptor".into());
        catalog.put_trigger(namespaced);
        assert_eq!(found(&catalog, "namespaces/prod/triggers/n", "p"), Err(Reason::TriggerDoesNotNameUs));
    }

    #[test]
    fn a_name_that_may_mean_two_triggers_is_ambiguous() {
        let mut catalog = Catalog::default();
        listener(&mut catalog, "a", &[spec("t", "scim", "p")]);
        listener(&mut catalog, "b", &[spec("t", "scim", "p")]);
        assert!(found(&catalog, "namespaces/prod/triggers/t", "p").is_ok());
        listener(&mut catalog, "b", &[spec("t", "scim", "q")]);
        assert_eq!(found(&catalog, "namespaces/prod/triggers/t", "p"), Err(Reason::AmbiguousTrigger));
        listener(&mut catalog, "b", &[spec("t", "cel", "p")]);
        assert_eq!(found(&catalog, "namespaces/prod/triggers/t", "p"), Err(Reason::AmbiguousTrigger));
        catalog.remove_event_listener("prod", "b");
        trigger(&mut catalog, "t", "scim", "p");
        assert_eq!(found(&catalog, "namespaces/prod/triggers/t", "p"), Err(Reason::AmbiguousTrigger));
    }

    #[test]
    fn a_trigger_group_and_anything_else_is_no_trigger_id() {
        assert_eq!(parse("namespaces/prod/triggerGroups/g").unwrap_err().reason, Reason::TriggerGroup);
        for id in [
            "",
            "t",
            "prod/t",
            "namespaces/prod/triggers/",
            "namespaces//triggers/t",
            "namespaces/prod/triggers/t/x",
            "namespaces/prod/pods/t",
        ] {
            assert_eq!(parse(id).unwrap_err().reason, Reason::BadTriggerId, "{id}");
        }
    }
}
