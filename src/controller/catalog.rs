//! The watches that feed the catalog: what is in force is what the API server last told.

use std::{collections::HashSet, sync::Arc};

use futures::{StreamExt as _, pin_mut};
use kube::{
    Api, Resource, ResourceExt as _,
    core::DeserializeGuard,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, info, warn};

use super::{Context, sources, watch_config};
use crate::{
    api::{
        AccessPolicy, CredentialTemplate, EventSource, GrantPhase, GroupRoleBinding, RevocationReason,
        tekton::{EventListener, Trigger},
    },
    policy::{Catalog, policy_facts, update_catalog},
    store::{GrantSelect, Revocations},
};

/// How the watch of one kind changes the catalog.
struct Feed<K> {
    kind: &'static str,
    put: fn(&mut Catalog, &K),
    remove: fn(&mut Catalog, &str, &str),
}

type Name = (String, String);

/// Counts down as the kinds have been listed once.
pub struct Ready(watch::Sender<usize>);

impl Default for Ready {
    fn default() -> Self {
        Self(watch::Sender::new(6))
    }
}

impl Ready {
    /// One more kind has been listed.
    pub(super) fn listed(&self) {
        self.0.send_modify(|left| *left = left.saturating_sub(1));
    }

    /// Whether every kind has been listed.
    pub fn is_ready(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Returns when every kind has been listed.
    pub async fn wait(&self) {
        let mut left = self.0.subscribe();
        // An error would mean that the sender is gone, and it is ours.
        let _ = left.wait_for(|left| *left == 0).await;
    }
}

/// Keeps the catalog, for ever.
pub async fn keep(context: Arc<Context>) {
    let mut all = JoinSet::new();
    all.spawn(sources::keep(Arc::clone(&context)));
    all.spawn(feed(
        Arc::clone(&context),
        Feed::<EventSource> {
            kind: "EventSource",
            put: |_, _| {},
            remove: |catalog, _, name| catalog.remove_event_source(name),
        },
    ));
    all.spawn(feed(
        Arc::clone(&context),
        Feed::<AccessPolicy> {
            kind: "AccessPolicy",
            put: |catalog, policy| catalog.put_policy(policy.clone()),
            remove: Catalog::remove_policy,
        },
    ));
    all.spawn(feed(
        Arc::clone(&context),
        Feed::<CredentialTemplate> {
            kind: "CredentialTemplate",
            put: |catalog, template| catalog.put_template(template.clone()),
            remove: Catalog::remove_template,
        },
    ));
    all.spawn(feed(
        Arc::clone(&context),
        Feed::<GroupRoleBinding> {
            kind: "GroupRoleBinding",
            put: |catalog, binding| catalog.put_group_role_binding(binding.clone()),
            remove: |catalog, _, name| catalog.remove_group_role_binding(name),
        },
    ));
    all.spawn(feed(
        Arc::clone(&context),
        Feed::<Trigger> {
            kind: "Trigger",
            put: |catalog, trigger| catalog.put_trigger(trigger.clone()),
            remove: Catalog::remove_trigger,
        },
    ));
    all.spawn(feed(
        context,
        Feed::<EventListener> {
            kind: "EventListener",
            put: |catalog, listener| catalog.put_event_listener(listener.clone()),
            remove: Catalog::remove_event_listener,
        },
    ));
    all.join_next().await;
}

async fn feed<K>(context: Arc<Context>, feed: Feed<K>)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + Followed + 'static,
{
    let api: Api<DeserializeGuard<K>> = Api::all(context.cluster.patient.clone());
    let events = watcher(api, watch_config()).default_backoff();
    pin_mut!(events);
    let mut known: HashSet<Name> = HashSet::new();
    let mut listed: HashSet<Name> = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(name(&object));
                known.insert(name(&object));
                put(&context, &feed, object).await;
            }
            Ok(watcher::Event::InitDone) => {
                // What was deleted while no watch was open.
                let gone: Vec<_> = known.difference(&listed).cloned().collect();
                for name in gone {
                    known.remove(&name);
                    remove(&context, &feed, &name, None).await;
                }
                if std::mem::take(&mut first) {
                    info!(kind = feed.kind, objects = known.len(), "listed");
                    context.catalog_ready.listed();
                }
            }
            Ok(watcher::Event::Apply(object)) => {
                known.insert(name(&object));
                put(&context, &feed, object).await;
            }
            Ok(watcher::Event::Delete(object)) => {
                known.remove(&name(&object));
                let uid = object.meta().uid.clone();
                remove(&context, &feed, &name(&object), uid).await;
            }
            Err(error) => warn!(kind = feed.kind, %error, "a watch broke; it is opened again"),
        }
    }
}

async fn put<K: Followed + Resource<DynamicType = ()>>(
    context: &Arc<Context>,
    feed: &Feed<K>,
    object: DeserializeGuard<K>,
) {
    match &object.0 {
        Ok(parsed) => {
            update_catalog(&context.catalog, |catalog| (feed.put)(catalog, parsed));
            parsed.changed(context).await;
        }
        Err(error) => {
            // Fail closed: what we can't read is not in force.
            let (namespace, name) = name(&object);
            debug!(kind = feed.kind, namespace, name, %error, "an object that does not parse is not in force");
            update_catalog(&context.catalog, |catalog| (feed.remove)(catalog, &namespace, &name));
        }
    }
}

async fn remove<K: Followed>(context: &Arc<Context>, feed: &Feed<K>, name: &Name, uid: Option<String>) {
    let uid = uid.or_else(|| K::uid_in(&context.catalog.load(), name));
    update_catalog(&context.catalog, |catalog| (feed.remove)(catalog, &name.0, &name.1));
    if let Some(uid) = uid {
        K::removed(context, name, &uid).await;
    }
}

fn name<K: Resource<DynamicType = ()>>(object: &DeserializeGuard<K>) -> Name {
    (object.meta().namespace.clone().unwrap_or_default(), object.meta().name.clone().unwrap_or_default())
}

/// What follows from a change of one kind, beyond the catalog.
pub(super) trait Followed {
    /// An object was added or changed.
    fn changed(&self, _context: &Arc<Context>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
    /// The uid of an object of the catalog that is gone without a word.
    fn uid_in(_catalog: &Catalog, _name: &Name) -> Option<String> {
        None
    }
    /// An object is gone.
    fn removed(_context: &Arc<Context>, _name: &Name, _uid: &str) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

impl Followed for GroupRoleBinding {
    fn uid_in(catalog: &Catalog, (_, name): &Name) -> Option<String> {
        catalog.group_role_bindings().find(|binding| binding.name_any() == *name)?.uid()
    }

    /// The garbage collector would do it too, but needs half a minute to learn of a kind that is new in the cluster.
    async fn removed(context: &Arc<Context>, (_, name): &Name, _uid: &str) {
        if let Err(why) = context.rbac.removed(name).await {
            warn!(name, why, "RoleBindings of a deleted GroupRoleBinding are left to the garbage collector");
        }
    }
}

impl Followed for Trigger {}
impl Followed for EventListener {}

impl Followed for EventSource {
    async fn changed(&self, context: &Arc<Context>) {
        sources::resolve(context, self).await;
    }
}

impl Followed for AccessPolicy {
    async fn changed(&self, context: &Arc<Context>) {
        let directory = context.directory.load_full();
        let facts = policy_facts(self, directory.idps()).ok();
        let uid = self.uid().unwrap_or_default();
        revoke(context, "AccessPolicy", context.store.policy_changed(&uid, facts.as_ref()).await);
    }

    fn uid_in(catalog: &Catalog, name: &Name) -> Option<String> {
        catalog.policy(&name.0, &name.1)?.uid()
    }

    async fn removed(context: &Arc<Context>, _name: &Name, uid: &str) {
        revoke(context, "AccessPolicy", context.store.policy_changed(uid, None).await);
    }
}

impl Followed for CredentialTemplate {
    fn uid_in(catalog: &Catalog, name: &Name) -> Option<String> {
        catalog.template(&name.0, &name.1)?.uid()
    }

    async fn removed(context: &Arc<Context>, _name: &Name, uid: &str) {
        let phases = vec![GrantPhase::Pending, GrantPhase::Active];
        let select = GrantSelect { template_uid: Some(uid.to_owned()), phases, ..GrantSelect::default() };
        let grants = match context.store.grants(&select).await {
            Ok(grants) => grants,
            Err(error) => return warn!(%error, "can't look for the Grants of a deleted CredentialTemplate"),
        };
        for grant in grants {
            let revoked = context.store.revoke_grant(grant.id, RevocationReason::TemplateDeleted).await;
            revoke(context, "CredentialTemplate", revoked);
        }
    }
}

fn revoke(context: &Arc<Context>, kind: &str, revocations: Result<Revocations, crate::store::StoreError>) {
    match revocations {
        Ok(revocations) if revocations.is_empty() => {}
        Ok(revocations) => {
            info!(kind, grants = revocations.grants.len(), runs = revocations.runs.len(), "a change takes Grants away");
            let revoker = Arc::clone(&context.revoker);
            tokio::spawn(async move { revoker.revoke(revocations).await });
        }
        Err(error) => warn!(kind, %error, "can't record what a change takes away"),
    }
}
