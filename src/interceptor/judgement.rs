//! What was decided, and all that an answer, a record and an explanation need of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Reason, TriggerObject};
use crate::{
    api::ObjectRef,
    directory::User,
    store::{DecisionRecord, EventFacts, TraceStep},
};

/// A decision before it is recorded.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Why, in one word.
    pub reason: Reason,
    /// Whether the signature held. If not, nobody but `explain` is told more than that.
    pub authenticated: bool,
    /// Why, for the one who can do something about it.
    pub sentence: String,
    /// Step by step.
    pub trace: Vec<TraceStep>,
    /// Namespace of the trigger; empty before it is known.
    pub namespace: String,
    /// `context.trigger_id`, as the caller says.
    pub trigger: String,
    /// What holds the trigger.
    pub trigger_object: Option<TriggerObject>,
    /// The policy.
    pub policy: Option<ObjectRef>,
    /// The service account that the policy wants its runs to use.
    pub service_account: String,
    /// What the event told.
    pub event: EventFacts,
    /// The person.
    pub user: Option<Arc<User>>,
    /// Names of the groups by which the person is a subject.
    pub groups: Vec<Arc<str>>,
    /// SHA-256 of the signed body, where the event is allowed.
    pub body_digest: Option<[u8; 32]>,
}

impl Judgement {
    /// Whether the event may go on.
    pub fn allowed(&self) -> bool {
        self.reason == Reason::Allowed
    }

    /// gRPC status code.
    pub fn code(&self) -> i32 {
        self.reason.code()
    }

    /// `allowed`, `denied` or `unauthenticated`.
    pub fn result(&self) -> &'static str {
        match (self.allowed(), self.authenticated) {
            (true, _) => "allowed",
            (false, true) => "denied",
            (false, false) => "unauthenticated",
        }
    }

    /// As `explain` shows it. It has no id, for it was recorded nowhere.
    pub fn unrecorded(&self) -> DecisionRecord {
        DecisionRecord {
            id: String::new(),
            at: self.at,
            allowed: self.allowed(),
            code: self.code(),
            reason_code: self.reason.as_str().into(),
            reason: self.sentence.clone(),
            trace: self.trace.clone(),
            user: self.user.as_ref().map(|user| user.id),
            namespace: self.namespace.clone(),
            trigger: self.trigger.clone(),
            policy: self.policy.clone(),
            event: self.event.clone(),
        }
    }
}
