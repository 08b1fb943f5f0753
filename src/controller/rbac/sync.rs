//! Making all RoleBindings of one GroupRoleBinding what they should be.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
    core::PartialObjectMeta,
};
use tracing::info;

use super::{RbacSync, apply::Failure, place::Place};
use crate::{
    api::{GROUP_ROLE_BINDING_LABEL, GroupRoleBinding, INSTANCE_LABEL},
    controller::namespaces::Whose,
};

/// Namespaces that are written at once.
const AT_ONCE: usize = 8;
/// Sentences that a status holds.
const MOST_SENTENCES: usize = 5;

/// What a sync came to.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// How many people hold the roles.
    pub(super) subjects: i64,
    /// Whether any of it is in a namespace of this instance.
    pub(super) ours: bool,
    /// Where the RoleBindings are.
    pub(super) places: Vec<Place>,
    /// Those of which we know what stands there now.
    pub(super) settled: Vec<Place>,
    /// What failed; all the rest was done.
    pub(super) failures: Vec<Failure>,
}

impl Synced {
    /// What failed, in sentences.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut sentences: Vec<_> =
            self.failures.iter().take(MOST_SENTENCES).map(|failure| failure.why.clone()).collect();
        if let Some(more @ 1..) = self.failures.len().checked_sub(MOST_SENTENCES) {
            sentences.push(format!("and {more} more"));
        }
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// Whether it is to be tried again at once.
    pub(super) fn again(&self) -> bool {
        self.failures.iter().any(|failure| failure.again)
    }

    fn standing(&self) -> Standing {
        match (self.failures.is_empty(), self.again()) {
            (true, _) => Standing::Applied,
            (false, false) => Standing::Refused,
            (false, true) => Standing::Open,
        }
    }
}

/// What the last sync of a GroupRoleBinding left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing to do.
    Applied,
    /// What another attempt at once would not mend.
    Refused,
    /// What is to be tried again at once: somebody may hold what is no longer theirs.
    Open,
}

/// Whether a namespace is ours, and what the sync in it came to; nothing, if it is others'.
type InNamespace = (bool, Vec<(Place, Result<usize, Failure>)>);

impl RbacSync {
    /// Makes the RoleBindings what the Directory says now: all that can be, whatever fails. `prune` also removes what
    /// an older version of the GroupRoleBinding left elsewhere.
    pub(super) async fn sync(&self, binding: &GroupRoleBinding, prune: bool) -> Synced {
        let lock = self.lock(&binding.name_any());
        let _writing = lock.lock().await;
        let namespaces: BTreeSet<_> = binding.spec.namespaces.iter().flat_map(|namespaces| &namespaces.names).collect();
        let namespaces: Vec<_> = namespaces.into_iter().collect();
        let mut synced = Synced::default();
        // Before anything is written: what is found there may be more than we know of.
        let there = if prune { Some(self.list(&binding.name_any()).await) } else { None };
        for some in namespaces.chunks(AT_ONCE) {
            let done = join_all(some.iter().map(|namespace| self.sync_in(binding, namespace))).await;
            synced.ours |= done.iter().any(|(selected, _)| *selected);
            for (place, result) in done.into_iter().flat_map(|(_, done)| done) {
                synced.places.push(place.clone());
                if !result.as_ref().is_err_and(|failure| failure.again) {
                    synced.settled.push(place);
                }
                match result {
                    Ok(subjects) => synced.subjects = synced.subjects.max(i64::try_from(subjects).unwrap_or(i64::MAX)),
                    Err(failure) => synced.failures.push(failure),
                }
            }
        }
        let pruned = match there {
            None => Ok(()),
            Some(Ok(there)) => self.prune(there, &synced.places).await,
            Some(Err(error)) => Err(format!("listing RoleBindings: {error}")),
        };
        if let Err(why) = pruned {
            synced.failures.push(Failure { why, again: true });
        }
        self.note(binding.name_any(), synced.standing());
        synced
    }

    async fn sync_in(&self, binding: &GroupRoleBinding, namespace: &str) -> InNamespace {
        let mut done = Vec::new();
        let whose = self.namespaces.whose(namespace).await;
        for role in &binding.spec.role_refs {
            let place = Place::new(binding, namespace, role);
            let result = match &whose {
                Ok(Whose::Others) => continue,
                // Who names one that isn't there, beside one of ours, shall hear of it.
                Ok(Whose::Ours | Whose::Nobodys) => self.apply(binding, &place).await,
                Err(error) => {
                    let why = format!("looking whether namespace {namespace} is ours: {error}");
                    Err(Failure { why, again: true })
                }
            };
            done.push((place, result));
        }
        (!matches!(whose, Ok(Whose::Others | Whose::Nobodys)), done)
    }

    /// Removes all RoleBindings of a GroupRoleBinding that is gone.
    pub async fn removed(&self, name: &str) -> Result<(), String> {
        let lock = self.lock(name);
        let _writing = lock.lock().await;
        let there = self.list(name).await.map_err(|error| format!("listing RoleBindings: {error}"))?;
        self.prune(there, &[]).await
    }

    /// What there is of it, anywhere.
    async fn list(&self, binding: &str) -> kube::Result<Vec<PartialObjectMeta<RoleBinding>>> {
        let all: Api<RoleBinding> = Api::all(self.cluster.rbac.clone());
        let instance = &self.settings.instance;
        let labels = format!("{GROUP_ROLE_BINDING_LABEL}={binding},{INSTANCE_LABEL}={instance}");
        let there = all.list_metadata(&ListParams::default().labels(&labels)).await?.items;
        for found in &there {
            self.shards.found(&found.namespace().unwrap_or_default(), &found.name_any());
        }
        Ok(there)
    }

    /// Removes what is in none of these places.
    async fn prune(&self, there: Vec<PartialObjectMeta<RoleBinding>>, keep: &[Place]) -> Result<(), String> {
        let mut failed = Ok(());
        for stray in there {
            let (namespace, name) = (stray.namespace().unwrap_or_default(), stray.name_any());
            if keep.iter().any(|place| place.namespace == namespace && place.number(&name).is_some()) {
                continue;
            }
            match self.delete_any(&namespace, &name, &DeleteParams::default()).await {
                Ok(()) => info!(namespace, name, "RoleBinding pruned"),
                Err(error) => failed = Err(format!("pruning {namespace}/{name}: {error}")),
            }
        }
        failed
    }

    /// Whether nothing is left to do at once: a process before this one may have left something.
    pub(super) fn is_settled(&self, name: &str) -> bool {
        let standing = self.standing.lock().ok().and_then(|standing| standing.get(name).copied());
        standing.is_some_and(|standing| standing != Standing::Open)
    }

    fn note(&self, name: String, now: Standing) {
        if let Ok(mut standing) = self.standing.lock() {
            standing.insert(name, now);
        }
        self.count_behind();
    }

    /// Counts the GroupRoleBindings that are behind the Directory, and still exist.
    pub(super) fn count_behind(&self) {
        let catalog = self.catalog.load_full();
        let known: BTreeSet<_> = catalog.group_role_bindings().map(|binding| binding.name_any()).collect();
        let Ok(mut standing) = self.standing.lock() else { return };
        standing.retain(|name, _| known.contains(name));
        let behind = standing.values().filter(|standing| **standing != Standing::Applied).count();
        #[expect(clippy::cast_precision_loss, reason = "there are not 2^52 of them")]
        metrics::gauge!(crate::telemetry::metric::ROLE_BINDINGS_BEHIND).set(behind as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Synced};

    #[test]
    fn a_status_holds_some_sentences_and_counts_the_rest() {
        let failure = |why: &str, again| Failure { why: why.into(), again };
        assert_eq!(Synced::default().trouble(), None);
        let mut synced = Synced { failures: vec![failure("a", false), failure("b", false)], ..Synced::default() };
        assert_eq!(synced.trouble().as_deref(), Some("a; b"));
        assert!(!synced.again());
        synced.failures.extend(vec![failure("c", true); 5]);
        assert_eq!(synced.trouble().as_deref(), Some("a; b; c; c; c; and 2 more"));
        assert!(synced.again());
    }
}
