//! A denial as a Kubernetes Event on its Trigger, or on the EventListener of an inline trigger: the EventListener
//! itself swallows it (FACTS 1, 3).

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client, Resource as _};

use crate::{
    api::tekton::{EventListener, Trigger},
    cluster::Events,
    interceptor::{Denied, Notify, TriggerKind},
};

/// Writes the Events, each in a task of its own: the sender waits for none.
pub struct EventNotifier {
    client: Client,
    events: Events,
}

impl EventNotifier {
    /// With this client.
    pub fn new(client: Client, events: Events) -> Self {
        Self { client, events }
    }
}

impl Notify for EventNotifier {
    fn denied(&self, denied: &Denied) {
        let (client, events, denied) = (self.client.clone(), self.events.clone(), denied.clone());
        tokio::spawn(async move {
            if let Some(about) = reference(client, &denied).await {
                let note = format!("{} (decision {})", denied.sentence, denied.decision_id);
                events.warning(&about, "EventDenied", "Decide", &note).await;
            }
        });
    }
}

async fn reference(client: Client, denied: &Denied) -> Option<ObjectReference> {
    let (namespace, name) = (&denied.namespace, &denied.trigger_name);
    match denied.trigger_kind {
        TriggerKind::Trigger => {
            Some(Api::<Trigger>::namespaced(client, namespace).get_opt(name).await.ok()??.object_ref(&()))
        }
        TriggerKind::EventListener => {
            Some(Api::<EventListener>::namespaced(client, namespace).get_opt(name).await.ok()??.object_ref(&()))
        }
    }
}
