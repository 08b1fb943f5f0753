//! What the identity provider was told is stored: for the invariant that an acknowledged write is never lost (G5). A
//! call that was not answered leaves a doubt: both is right.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The acknowledged state; what is in doubt is left out.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    users: Arc<Mutex<BTreeMap<String, bool>>>,
    members: Arc<Mutex<BTreeMap<(String, String), bool>>>,
}

impl Ledger {
    /// Whether a user is active was acknowledged.
    pub fn active(&self, user: &str, active: bool) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned(), active);
    }

    /// A change of it was sent.
    pub fn doubt(&self, user: &str) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
    }

    /// A user or group is to be deleted.
    pub fn forget(&self, id: &str) {
        self.doubt(id);
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|(group, user), _| group != id && user != id);
    }

    /// A membership was acknowledged.
    pub fn member(&self, group: &str, user: &str, is: bool) {
        let key = (group.to_owned(), user.to_owned());
        self.members.lock().unwrap_or_else(PoisonError::into_inner).insert(key, is);
    }

    /// A change of it was sent.
    pub fn doubt_member(&self, group: &str, user: &str) {
        let key = (group.to_owned(), user.to_owned());
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Users, and whether they are active.
    pub fn users(&self) -> BTreeMap<String, bool> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// (group, user), and whether they are in it.
    pub fn members(&self) -> BTreeMap<(String, String), bool> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
