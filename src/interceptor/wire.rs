//! Tekton's request and answer, as Triggers v0.37 has them (`pkg/apis/triggers/v1beta1/interceptor_types.go`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an EventListener asks. Its `extensions`, from interceptors before us, are not read: nothing vouches for them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InterceptorRequest {
    /// The webhook's body, to the byte.
    pub body: String,
    /// The webhook's headers; only the body is signed, so these are hints.
    pub header: BTreeMap<String, Vec<String>>,
    /// Params of the interceptor in its trigger.
    pub interceptor_params: Map<String, Value>,
    /// Where it comes from, by the caller's own word.
    pub context: Option<TriggerContext>,
}

/// Where an event comes from, as the caller says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TriggerContext {
    /// Path of the EventListener that was called.
    pub event_url: String,
    /// The EventListener's id of the event.
    pub event_id: String,
    /// `namespaces/NS/triggers/NAME`.
    pub trigger_id: String,
}

impl InterceptorRequest {
    /// All values of a header, whatever the case of its name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.header
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .flat_map(|(_, values)| values.iter().map(String::as_str))
    }

    /// The trigger that the caller claims.
    pub fn trigger_id(&self) -> &str {
        self.context.as_ref().map_or("", |context| &context.trigger_id)
    }
}

/// What we answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterceptorResponse {
    /// For the trigger's bindings: `$(extensions.scim.ticket)`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
    /// Whether the event goes on. This alone counts: Tekton ignores the status of an event that goes on.
    #[serde(rename = "continue")]
    pub goes_on: bool,
    /// Why not.
    pub status: Status,
}

/// Why an event does not go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `google.rpc.Code`.
    #[serde(skip_serializing_if = "is_zero")]
    pub code: i32,
    /// A sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl InterceptorResponse {
    /// The event stops here.
    pub fn stop(code: i32, message: impl Into<String>) -> Self {
        Self { status: Status { code, message: message.into() }, ..Self::default() }
    }

    /// The event goes on.
    pub fn go_on(extensions: Map<String, Value>) -> Self {
        Self { extensions, goes_on: true, status: Status::default() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(code: &i32) -> bool {
    *code == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_as_tekton_writes_it() {
        let text = r#"{"body":"{\"a\": 1}","header":{"X-Mode":["ok"]},"extensions":{"x":{}},"interceptor_params":{"policy":"p"},"context":{"event_url":"/","event_id":"4c4f","trigger_id":"namespaces/demo/triggers/t"}}"#;
        let request: InterceptorRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.body, r#"{"a": 1}"#);
        assert_eq!(request.headers("x-mode").collect::<Vec<_>>(), ["ok"]);
        assert_eq!(request.interceptor_params["policy"], "p");
        assert_eq!(request.trigger_id(), "namespaces/demo/triggers/t");
        let empty: InterceptorRequest = serde_json::from_str(r#"{"context":null}"#).unwrap();
        assert_eq!(empty.trigger_id(), "");
    }

    #[test]
    fn an_answer_always_says_whether_the_event_goes_on() {
        let stop = serde_json::to_value(InterceptorResponse::stop(7, "no")).unwrap();
        assert_eq!(stop, json!({ "continue": false, "status": { "code": 7, "message": "no" } }));
        let mut extensions = Map::new();
        extensions.insert("scim".into(), json!({}));
        let go_on = serde_json::to_value(InterceptorResponse::go_on(extensions)).unwrap();
        assert_eq!(go_on, json!({ "extensions": { "scim": {} }, "continue": true, "status": {} }));
    }
}
