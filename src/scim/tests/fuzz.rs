//! Whole requests of any shape through the routes: each gets an answer in the protocol's form, none a 500.

use axum::body::Body;
use http::{HeaderValue, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::app::App;
use crate::identity::fuzz::{fuzz, json as any_json, name, object, operations, soup};

#[derive(Clone, Debug)]
struct Sent {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    header: Option<(&'static str, String)>,
    body: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop::sample::select(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"][..]);
    let known = prop::sample::select(
        &[
            "/Users",
            "/Groups",
            "/Users/USER",
            "/Groups/GROUP",
            "/Users/x",
            "/.search",
            "/Users/.search",
            "/Groups/.search",
            "/Bulk",
            "/Me",
            "/Schemas",
            "/ResourceTypes/User",
            "/ServiceProviderConfig",
            "",
        ][..],
    );
    let path =
        prop_oneof![9 => known.prop_map(str::to_owned), 1 => soup().prop_map(|text| format!("/{}", escaped(&text)))];
    let query = prop::collection::vec((name(), prop_oneof![soup(), name(), Just("1".to_owned())]), 0..4);
    let tag = prop_oneof![soup(), Just("*".to_owned()), Just("W/\"1\"".to_owned())];
    let header =
        prop::option::of((prop::sample::select(&["if-match", "if-none-match", "prefer", "content-type"][..]), tag));
    let change = operations().prop_map(|operations| json!({"Operations": operations})).boxed();
    let text = prop_oneof![
        object(any_json()).prop_map(|body| body.to_string()),
        change.clone().prop_map(|body| body.to_string()),
        bulk(change).prop_map(|body| body.to_string()),
        any_json().prop_map(|body| body.to_string()),
        (prop::sample::select(&["[", "{\"a\":", "\"", "7", "-", " "][..]), 0_usize..20_000)
            .prop_map(|(a, n)| a.repeat(n)),
    ];
    let body = prop_oneof![6 => text.prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..200)];
    (method, path, query, header, body).prop_map(|(method, path, query, header, body)| Sent {
        method,
        path,
        query,
        header,
        body,
    })
}

fn bulk(patch: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let word = |words: &'static [&'static str]| prop::sample::select(words).prop_map(Value::from);
    let data =
        prop_oneof![patch, object(any_json()), Just(json!({"displayName": "g", "members": [{"value": "bulkId:a"}]}))];
    let paths =
        word(&["/Users", "/Groups", "/Users/USER", "/Groups/GROUP", "/Groups/bulkId:a", "/Users/bulkId:b", "x"]);
    let one = (word(&["POST", "PUT", "PATCH", "DELETE", "get"]), paths, word(&["a", "b", "c", ""]), data)
        .prop_map(|(method, path, id, data)| json!({"method": method, "path": path, "bulkId": id, "data": data}));
    let all = prop::collection::vec(prop_oneof![9 => one, 1 => any_json()], 0..5);
    (all, any_json()).prop_map(|(all, fail)| match fail {
        Value::Number(_) => json!({"Operations": all, "failOnErrors": fail}),
        _ => json!({"Operations": all}),
    })
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn no_request_breaks_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let app = runtime.block_on(App::new());
    let (user, group) = runtime.block_on(async {
        let user = app.user("alice").await;
        let group = app.group("g", &[&user]).await;
        (user, group)
    });
    fuzz(1_000, &sent(), |sent| {
        let query: Vec<_> =
            sent.query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let path = sent.path.replace("USER", &user).replace("GROUP", &group);
        let (mut parts, _) = app.request(sent.method, &format!("{path}?{}", query.join("&")), None, &[]).into_parts();
        if let Some((name, value)) = &sent.header
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            parts.headers.insert(*name, value);
        }
        let body = match String::from_utf8(sent.body) {
            Ok(text) => text.replace("USER", &user).replace("GROUP", &group).into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        };
        let answer = runtime.block_on(app.send(Request::from_parts(parts, Body::from(body))));
        let status = answer.status.as_u16();
        prop_assert!(status < 500 || status == 501, "{status}: {}", answer.body);
        if status >= 400 && sent.method != "HEAD" {
            prop_assert_eq!(&answer.body["schemas"], &json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
            prop_assert_eq!(&answer.body["status"], &json!(status.to_string()));
        }
        for one in answer.body["Operations"].as_array().into_iter().flatten() {
            prop_assert!(!one["status"].as_str().is_none_or(|status| status.starts_with('5')), "{one}");
        }
        Ok(())
    });
}
