//! Kubernetes Events: how we speak to the person who looks at a run or a trigger.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::warn;

/// Writes Kubernetes Events. Failing to is logged, never an error: the audit log and `explain` say the same.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events by this instance.
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter { controller: format!("scim-tekton/{instance}"), instance: None };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Something went as it should.
    pub async fn normal(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(about, EventType::Normal, reason, action, note).await;
    }

    /// Something was refused or failed.
    pub async fn warning(&self, about: &ObjectReference, reason: &str, action: &str, note: &str) {
        self.publish(about, EventType::Warning, reason, action, note).await;
    }

    async fn publish(&self, about: &ObjectReference, type_: EventType, reason: &str, action: &str, note: &str) {
        // The API server refuses notes over 1,024 bytes.
        let note: String = note
            .chars()
            .take(1_000)
            .scan(0, |bytes, c| {
                *bytes += c.len_utf8();
                (*bytes <= 1_000).then_some(c)
            })
            .collect();
        let event = Event { type_, reason: reason.into(), note: Some(note), action: action.into(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, about).await {
            warn!(%error, reason, object = ?about.name, namespace = ?about.namespace, "can't write a Kubernetes Event");
        }
    }
}
