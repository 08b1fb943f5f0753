//! A persistent map by namespace and name: a clone costs nothing, a look-up allocates nothing.

use std::sync::Arc;

use imbl::OrdMap;

/// Objects by (namespace, name).
#[derive(Clone, Debug)]
pub struct Namespaced<T>(OrdMap<Arc<str>, OrdMap<Arc<str>, Arc<T>>>);

impl<T> Default for Namespaced<T> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

impl<T> Namespaced<T> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.0.get(namespace)?.get(name)
    }

    /// All of a namespace, by name.
    pub fn of(&self, namespace: &str) -> impl Iterator<Item = &Arc<T>> {
        self.0.get(namespace).into_iter().flat_map(OrdMap::values)
    }

    /// All, by namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values().flat_map(OrdMap::values)
    }

    /// Puts an object in the place of the one with its name.
    pub(super) fn put(&mut self, namespace: &str, name: &str, object: T) {
        self.0.entry(namespace.into()).or_default().insert(name.into(), Arc::new(object));
    }

    /// Takes an object away.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(objects) = self.0.get_mut(namespace) else { return };
        objects.remove(name);
        if objects.is_empty() {
            self.0.remove(namespace);
        }
    }
}
