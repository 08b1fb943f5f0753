//! What an API server answers to a request.

use std::collections::BTreeMap;

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    etcd::{Key, merge, text},
    servers::Token,
    world::State,
};
use crate::api::PENDING;

/// A token of ours lives this many times shorter than it was asked for, so that a short history sees renewals.
const SHORTER: i64 = 20;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Call {
    pub server: usize,
    pub method: Method,
    pub key: Key,
    pub subresource: String,
    pub query: BTreeMap<String, String>,
    /// Of somebody else than us.
    pub token: Option<String>,
    pub body: Value,
}

pub type Answer = (u16, Value);

pub fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

impl Call {
    pub fn new(server: usize, method: Method, uri: &http::Uri, token: Option<String>, body: Value) -> Self {
        let mut parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        // `api/VERSION` or `apis/GROUP/VERSION`.
        parts.drain(..if parts[0] == "api" { 2 } else { 3 });
        let mut namespace = "";
        if parts.len() > 2 && parts[0] == "namespaces" {
            namespace = parts[1];
            parts.drain(..2);
        }
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let query = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let query = query
            .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=").replace("%2F", "/").replace("%2C", ",")))
            .collect();
        Self {
            server,
            method,
            key: Key::new(part(0), namespace, part(1)),
            subresource: part(2).into(),
            query,
            token,
            body,
        }
    }

    /// What it does to what, without names that differ from history to history.
    pub fn kind(&self) -> String {
        format!("{} {} {}", self.method, self.key.resource, self.subresource)
    }
}

/// Whether labels fulfil one requirement of a selector: `NAME=VALUE`, or `NAME` alone.
fn has(labels: &Value, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels[name] == value,
        None => wanted.is_empty() || !labels[wanted].is_null(),
    }
}

fn refusal(code: u16, reason: &str) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code});
    (code, status)
}

impl State {
    /// Does what a request asks for, now.
    pub fn answer(&mut self, call: &Call) -> Answer {
        match (call.method.as_str(), call.key.resource.as_str()) {
            ("POST", "selfsubjectaccessreviews" | "subjectaccessreviews") => self.review(call),
            ("POST", "serviceaccounts") if call.subresource == "token" => self.make_token(call),
            (_, "events") => (201, call.body.clone()),
            ("GET", _) if call.token.is_some() => self.read_with_token(call),
            ("GET", _) if call.key.name.is_empty() => self.list(call),
            ("GET", _) => match self.etcd.get(&call.key) {
                Some(object) => (200, Value::clone(object)),
                None => refusal(404, "NotFound"),
            },
            ("POST", _) => self.create(call),
            ("PUT", _) => match self.etcd.get(&call.key) {
                None => refusal(404, "NotFound"),
                Some(_) => (200, Value::clone(&self.put(&call.key, call.body.clone()))),
            },
            ("PATCH", _) => self.patch(call),
            ("DELETE", _) => self.remove(call),
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    fn review(&mut self, call: &Call) -> Answer {
        let attributes = &call.body["spec"]["resourceAttributes"];
        let namespace = text(attributes, "/namespace");
        let account = if let Some(token) = &call.token {
            match self.holder(call.server, token) {
                Some(account) => Some(account),
                None => return refusal(401, "Unauthorized"),
            }
        } else {
            let user = text(&call.body, "/spec/user").strip_prefix("system:serviceaccount:");
            user.and_then(|user| user.split_once(':')).map(|(place, name)| Key::new("serviceaccounts", place, name))
        };
        let allowed = account.is_some_and(|account| self.servers[call.server].bound(&account, namespace));
        let mut body = call.body.clone();
        body["status"] = json!({"allowed": allowed});
        (201, body)
    }

    /// Whose a token is, if this server takes it.
    fn holder(&self, server: usize, token: &str) -> Option<Key> {
        let token = self.tokens.iter().find(|known| known.text == token)?;
        self.servers[server].authenticates(token, Instant::now()).then(|| token.account.clone())
    }

    fn read_with_token(&mut self, call: &Call) -> Answer {
        match call.token.as_ref().and_then(|token| self.holder(call.server, token)) {
            None => refusal(401, "Unauthorized"),
            Some(account) if self.servers[call.server].bound(&account, &call.key.namespace) => refusal(404, "NotFound"),
            Some(_) => refusal(403, "Forbidden"),
        }
    }

    fn make_token(&mut self, call: &Call) -> Answer {
        let secret = Key { resource: "secrets".into(), ..call.key.clone() };
        let (Some(account), Some(bound)) = (self.etcd.get(&call.key), self.etcd.get(&secret)) else {
            return refusal(404, "NotFound");
        };
        let (account_uid, secret_uid) = (text(account, "/metadata/uid"), text(bound, "/metadata/uid"));
        if text(&call.body, "/spec/boundObjectRef/uid") != secret_uid {
            return refusal(409, "Conflict");
        }
        let seconds = call.body["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
        if seconds < 600 {
            return refusal(422, "Invalid");
        }
        let life = chrono::Duration::seconds(seconds / SHORTER);
        let told = (self.now() + life).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let token = Token {
            text: format!("token-{}", self.tokens.len() + 1),
            grant: call.key.name.trim_start_matches("grant-").to_owned(),
            account: call.key.clone(),
            account_uid: account_uid.to_owned(),
            secret_uid: secret_uid.to_owned(),
            ends: Instant::now() + life.to_std().unwrap(),
            told: told.clone(),
        };
        let mut body = call.body.clone();
        body["status"] = json!({"token": token.text, "expirationTimestamp": told});
        self.tokens.push(token);
        self.count("tokens made");
        self.look();
        (201, body)
    }

    fn list(&mut self, call: &Call) -> Answer {
        let namespace = (!call.key.namespace.is_empty()).then_some(call.key.namespace.as_str());
        let wanted = call.query.get("labelSelector").map(String::as_str).unwrap_or_default();
        let items: Vec<_> = self
            .etcd
            .list(&call.key.resource, namespace)
            .map(|(_, object)| Value::clone(object))
            .filter(|object| wanted.split(',').all(|label| has(&object["metadata"]["labels"], label)))
            .collect();
        (
            200,
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": self.etcd.revision().to_string()}, "items": items}),
        )
    }

    fn create(&mut self, call: &Call) -> Answer {
        let key = Key { name: text(&call.body, "/metadata/name").to_owned(), ..call.key.clone() };
        if self.etcd.get(&key).is_some() {
            return refusal(409, "AlreadyExists");
        }
        if call.query.contains_key("dryRun") {
            return (201, call.body.clone());
        }
        (201, Value::clone(&self.put(&key, call.body.clone())))
    }

    fn patch(&mut self, call: &Call) -> Answer {
        let Some(before) = self.etcd.get(&call.key) else { return refusal(404, "NotFound") };
        for condition in ["uid", "resourceVersion"] {
            let wanted = &call.body["metadata"][condition];
            if !wanted.is_null() && *wanted != before["metadata"][condition] {
                return refusal(409, "Conflict");
            }
        }
        let mut after = Value::clone(before);
        let mut body = call.body.clone();
        // A main object's patch leaves its status alone, and a status' patch all else.
        if call.subresource == "status" {
            body = json!({"status": body["status"]});
        } else if let Some(body) = body.as_object_mut() {
            body.remove("status");
        }
        merge(&mut after, &body);
        if call.key.resource == "pipelineruns" && before["spec"] != after["spec"] {
            let (was, is) = (text(before, "/spec/status"), text(&after, "/spec/status"));
            let done = before["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|c| c["status"] != "Unknown"));
            // Tekton's webhook: what is done stays as it is, and what is cancelled stays cancelled.
            if done || (was == "Cancelled" && is != was) || (was.is_empty() && is == PENDING) {
                return refusal(400, "BadRequest");
            }
        }
        if after == **before {
            return (200, after);
        }
        (200, Value::clone(&self.put(&call.key, after)))
    }

    fn remove(&mut self, call: &Call) -> Answer {
        let Some(object) = self.etcd.get(&call.key) else { return refusal(404, "NotFound") };
        let wanted = &call.body["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
            return refusal(409, "Conflict");
        }
        self.delete(&call.key);
        (200, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))
    }
}
