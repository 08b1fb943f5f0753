//! The catalog: an immutable snapshot of all objects that decisions read. A change makes the next snapshot and shares
//! all else with the one before it.
//!
//! Whoever watches the objects (the controller) or reads them from files calls `put_…` and `remove_…`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::OrdMap;
use secrecy::{ExposeSecret, SecretString};

use super::{Namespaced, rules};
use crate::api::{
    AccessPolicy, CredentialTemplate, EventSource, GroupRoleBinding, ObjectRef,
    tekton::{EventListener, Trigger},
};

/// Where the newest catalog stands: readers `load()`, writers `update_catalog`.
pub type CatalogCell = Arc<ArcSwap<Catalog>>;

/// Publishes a changed catalog. `change` may run more than once when several writers meet.
pub fn update_catalog(cell: &CatalogCell, change: impl Fn(&mut Catalog)) {
    cell.rcu(|old| {
        let mut next = Catalog::clone(old);
        change(&mut next);
        next
    });
}

/// An EventSource with the secrets that sign its events.
#[derive(Clone, Debug)]
pub struct SourceEntry {
    /// The object.
    pub object: EventSource,
    /// One secret, or two while rotating, none of them empty; or why every event of this source is denied.
    pub secrets: Result<Vec<SecretString>, String>,
}

/// Name, uid and generation of a policy.
pub fn policy_ref(policy: &AccessPolicy) -> ObjectRef {
    ObjectRef {
        name: policy.metadata.name.clone().unwrap_or_default(),
        uid: policy.metadata.uid.clone().unwrap_or_default(),
        generation: policy.metadata.generation,
    }
}

/// All objects at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    sources: OrdMap<Arc<str>, Arc<SourceEntry>>,
    policies: Namespaced<AccessPolicy>,
    templates: Namespaced<CredentialTemplate>,
    bindings: OrdMap<Arc<str>, Arc<GroupRoleBinding>>,
    triggers: Namespaced<Trigger>,
    listeners: Namespaced<EventListener>,
}

impl Catalog {
    /// An EventSource by name.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceEntry>> {
        self.sources.get(name)
    }

    /// All EventSources.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<SourceEntry>> {
        self.sources.values()
    }

    /// A policy.
    pub fn policy(&self, namespace: &str, name: &str) -> Option<&Arc<AccessPolicy>> {
        self.policies.get(namespace, name)
    }

    /// The policies of a namespace.
    pub fn policies_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<AccessPolicy>> {
        self.policies.of(namespace)
    }

    /// All policies.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<AccessPolicy>> {
        self.policies.iter()
    }

    /// A template.
    pub fn template(&self, namespace: &str, name: &str) -> Option<&Arc<CredentialTemplate>> {
        self.templates.get(namespace, name)
    }

    /// All templates.
    pub fn templates(&self) -> impl Iterator<Item = &Arc<CredentialTemplate>> {
        self.templates.iter()
    }

    /// A GroupRoleBinding.
    pub fn group_role_binding(&self, name: &str) -> Option<&Arc<GroupRoleBinding>> {
        self.bindings.get(name)
    }

    /// All GroupRoleBindings.
    pub fn group_role_bindings(&self) -> impl Iterator<Item = &Arc<GroupRoleBinding>> {
        self.bindings.values()
    }

    /// A Trigger object.
    pub fn trigger(&self, namespace: &str, name: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(namespace, name)
    }

    /// All Trigger objects.
    pub fn triggers(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.iter()
    }

    /// All EventListeners.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<EventListener>> {
        self.listeners.iter()
    }

    /// The EventListeners of a namespace.
    pub fn listeners_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<EventListener>> {
        self.listeners.of(namespace)
    }

    /// Takes in an EventSource with its secrets, in the order of `webhook.secretRefs`; a missing or empty one denies
    /// every event of the source, also while another one is good.
    pub fn put_event_source(&mut self, object: &EventSource, secrets: Result<Vec<SecretString>, String>) {
        let secrets = secrets.and_then(|secrets| {
            if secrets.is_empty() {
                Err("it names no secret".into())
            } else if secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
                Err("one of its secrets is empty".into())
            } else {
                Ok(secrets)
            }
        });
        let secrets = match rules::event_source(&object.spec) {
            Some(fault) => Err(fault.into()),
            None => secrets,
        };
        let name = object.metadata.name.as_deref().unwrap_or_default();
        self.sources.insert(name.into(), Arc::new(SourceEntry { object: object.clone(), secrets }));
    }

    /// Takes in a policy.
    pub fn put_policy(&mut self, object: AccessPolicy) {
        let (namespace, name) = key(&object.metadata);
        self.policies.put(&namespace, &name, object);
    }

    /// Takes in a template.
    pub fn put_template(&mut self, object: CredentialTemplate) {
        let (namespace, name) = key(&object.metadata);
        self.templates.put(&namespace, &name, object);
    }

    /// Takes in a GroupRoleBinding.
    pub fn put_group_role_binding(&mut self, object: GroupRoleBinding) {
        let (_, name) = key(&object.metadata);
        self.bindings.insert(name.into(), Arc::new(object));
    }

    /// Takes in a Trigger object.
    pub fn put_trigger(&mut self, object: Trigger) {
        let (namespace, name) = key(&object.metadata);
        self.triggers.put(&namespace, &name, object);
    }

    /// Takes in an EventListener.
    pub fn put_event_listener(&mut self, object: EventListener) {
        let (namespace, name) = key(&object.metadata);
        self.listeners.put(&namespace, &name, object);
    }

    /// An EventSource is gone.
    pub fn remove_event_source(&mut self, name: &str) {
        self.sources.remove(name);
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, namespace: &str, name: &str) {
        self.policies.remove(namespace, name);
    }

    /// A template is gone.
    pub fn remove_template(&mut self, namespace: &str, name: &str) {
        self.templates.remove(namespace, name);
    }

    /// A GroupRoleBinding is gone.
    pub fn remove_group_role_binding(&mut self, name: &str) {
        self.bindings.remove(name);
    }

    /// A Trigger object is gone.
    pub fn remove_trigger(&mut self, namespace: &str, name: &str) {
        self.triggers.remove(namespace, name);
    }

    /// An EventListener is gone.
    pub fn remove_event_listener(&mut self, namespace: &str, name: &str) {
        self.listeners.remove(namespace, name);
    }
}

fn key(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (String, String) {
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{EventSourceSpec, EventSourceType, Repositories, SecretKeyRef, Webhook};

    fn source() -> EventSource {
        EventSource::new(
            "github-acme",
            EventSourceSpec {
                type_: EventSourceType::Github,
                host: "github.com".into(),
                webhook: Webhook { secret_refs: vec![SecretKeyRef { name: "hook".into(), key: "secret".into() }] },
                repositories: Repositories::default(),
                namespaces: vec!["prod".into()],
            },
        )
    }

    fn secrets_of(secrets: Result<Vec<SecretString>, String>) -> Result<usize, String> {
        let mut catalog = Catalog::default();
        catalog.put_event_source(&source(), secrets);
        catalog.source("github-acme").unwrap().secrets.as_ref().map(Vec::len).map_err(Clone::clone)
    }

    #[test]
    fn a_source_is_ready_only_with_secrets_that_are_not_empty() {
        assert_eq!(secrets_of(Ok(vec!["a".into(), "b".into()])), Ok(2));
        assert_eq!(secrets_of(Ok(vec![])), Err("it names no secret".into()));
        assert_eq!(secrets_of(Ok(vec!["a".into(), "".into()])), Err("one of its secrets is empty".into()));
        assert_eq!(secrets_of(Err("no Secret hook".into())), Err("no Secret hook".into()));
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let mut catalog = Catalog::default();
        catalog.put_event_source(&source(), Ok(vec!["hunter2".into()]));
        assert!(!format!("{catalog:?}").contains("hunter2"));
    }

    #[test]
    fn a_snapshot_does_not_see_later_changes() {
        let cell = CatalogCell::default();
        let mut trigger = Trigger::default();
        trigger.metadata.name = Some("push".into());
        trigger.metadata.namespace = Some("prod".into());
        update_catalog(&cell, |catalog| catalog.put_trigger(trigger.clone()));
        let before = cell.load_full();
        update_catalog(&cell, |catalog| catalog.remove_trigger("prod", "push"));
        assert!(before.trigger("prod", "push").is_some());
        assert!(cell.load().trigger("prod", "push").is_none());
        assert!(before.trigger("test", "push").is_none());
    }
}
