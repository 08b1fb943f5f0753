//! A source host: the push event in the whole shape that GitHub documents, signed. GitHub did not send it.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{Instance, Outcome, unique};
use crate::ensure;

/// A signed webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The raw body.
    pub body: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

/// The push event of a person, to main of acme/shop; each call makes another commit.
pub fn push_by(github: u64) -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("../../fixtures/github-push.json")).expect("the fixture is JSON");
    event["sender"]["id"] = json!(github);
    event["after"] = json!(format!("{}{}", unique(), "0".repeat(32)));
    event
}

/// Signs an event with a webhook's secret.
pub fn sign(event: &Value, secret: &str) -> Webhook {
    let body = serde_json::to_string_pretty(event).expect("JSON");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    let signature = format!("sha256={}", scim_tekton::audit::hex(tag.as_ref()));
    let headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("X-Hub-Signature-256", &signature),
    ];
    Webhook { body, headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
}

impl Webhook {
    /// Replaces a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Delivers it to an EventListener, as the host would.
    pub async fn deliver(&self, url: &str) -> Outcome {
        let mut request = reqwest::Client::new().post(url).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        ensure!(response.status().as_u16() == 202, "the EventListener answered {}", response.status());
        Ok(())
    }

    /// The request that an EventListener makes of it for one of its triggers.
    pub fn interceptor_request(&self, trigger_id: &str, policy: &str) -> Value {
        let header: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        json!({
            "body": self.body,
            "header": header,
            "interceptor_params": {"policy": policy},
            "context": {"event_url": "/", "event_id": uuid::Uuid::new_v4(), "trigger_id": trigger_id},
        })
    }
}

/// Asks our interceptor directly, as anybody may who reaches the port.
pub async fn ask_interceptor(instance: &Instance, request: &Value) -> Outcome<Value> {
    let client = instance.client()?;
    let response = client
        .post(&instance.interceptor)
        .header("content-type", "application/json")
        .body(request.to_string())
        .send()
        .await?;
    ensure!(response.status().is_success(), "the interceptor answered {}", response.status());
    Ok(serde_json::from_str(&response.text().await?)?)
}
