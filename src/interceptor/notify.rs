//! Telling people. The EventListener has answered its sender long before and swallows our answer (FACTS 1, 3), so whoever
//! can reach the developer another way is told of each denial.

use super::{Reason, TriggerKind};

/// A denial that may be told: its event was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The Decision, for `explain`.
    pub decision_id: String,
    /// Namespace of the trigger.
    pub namespace: String,
    /// What holds the trigger.
    pub trigger_kind: TriggerKind,
    /// Its name.
    pub trigger_name: String,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, for the developer who pushed.
    pub sentence: String,
}

/// Tells people of denials, by Kubernetes Events and the like. Must not wait: it is called before the answer leaves.
pub trait Notify: Send + Sync {
    /// An event was denied.
    fn denied(&self, denied: &Denied);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NobodyToTell;

impl Notify for NobodyToTell {
    fn denied(&self, _: &Denied) {}
}
