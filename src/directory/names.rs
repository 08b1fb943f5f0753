//! Finding resources by their IdP and name, without case. The names themselves stand in the resources: here is only a hash
//! of each, and where to look.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use imbl::OrdSet;

use super::handles::Handle;
use crate::identity::{IdpName, fold};

/// One kind's names. The hash is keyed by chance, so nobody makes up names that fall on each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    hasher: Arc<RandomState>,
    entries: OrdSet<(u64, Handle)>,
}

impl Names {
    /// Notes a name.
    pub(super) fn insert(&mut self, idp: &IdpName, name: &str, handle: Handle) {
        self.entries.insert(self.entry(idp, name, handle));
    }

    /// What is noted of a name, for `add`.
    pub(super) fn entry(&self, idp: &IdpName, name: &str, handle: Handle) -> (u64, Handle) {
        (self.hash(idp, &fold(name)), handle)
    }

    /// Notes many names.
    pub(super) fn add(&mut self, entries: Vec<(u64, Handle)>) {
        self.entries.extend(entries);
    }

    /// Forgets it.
    pub(super) fn remove(&mut self, idp: &IdpName, name: &str, handle: Handle) {
        self.entries.remove(&self.entry(idp, name, handle));
    }

    /// Who may be called so, without case; `is` tells of each, by its own IdP and name, whether it is.
    pub(super) fn find<'a, T>(
        &'a self,
        idp: &IdpName,
        name: &str,
        named: impl Fn(Handle) -> Option<(T, &'a IdpName, &'a str)>,
    ) -> Option<T> {
        let name = fold(name);
        let hash = self.hash(idp, &name);
        let from = self.entries.range((hash, Handle::FIRST)..=(hash, Handle::LAST));
        from.filter_map(|(_, handle)| named(*handle))
            .find(|(_, whose, called)| *whose == idp && fold(called) == name)
            .map(|(found, ..)| found)
    }

    fn hash(&self, idp: &IdpName, folded: &str) -> u64 {
        self.hasher.hash_one((idp.as_str(), folded))
    }
}
