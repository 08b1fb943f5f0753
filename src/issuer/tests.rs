//! The issuer as its clients see it, without a socket.

use arc_swap::ArcSwap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::GrantPhase,
    config::{IssuerClient, Target},
    credential::oidc::OidcProvider,
    fake::{FakeStore, run_and_grant},
    identity::ResourceId,
    keys::SigningKeys,
};

const URL: &str = "https://scim.example.com/base";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

struct Setup {
    router: Router,
    store: Arc<FakeStore>,
    token: String,
}

fn setup_at(later: Duration, broken: bool) -> Setup {
    let keys: KeyCell = Arc::new(ArcSwap::from_pointee(SigningKeys::generate(now()).unwrap()));
    let (run, grant) = run_and_grant("run-1", ResourceId(uuid::Uuid::from_u128(7)), now());
    let target = Target { audience: "registry".into(), namespaces: vec!["prod".into()] };
    let provider = OidcProvider {
        keys: keys.clone(),
        issuer_url: URL.into(),
        cluster_id: "c".into(),
        targets: [("registry".into(), target)].into(),
    };
    let (token, _) = provider.issue(&grant, &run, "deploy", [], Duration::minutes(15), now()).unwrap();
    let store = Arc::new(FakeStore { broken, ..FakeStore::default() });
    store.grants.lock().unwrap().push(grant);
    let client = |id: &str, audience: &str| IssuerClient {
        id: id.into(),
        secret_file: None,
        secret_env: Some(format!("{id}_SECRET")),
        audience: audience.into(),
    };
    let env = [("registry_SECRET", "a:b+c%d-long-enough\n"), ("other_SECRET", "another-long-secret")];
    let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let clients = Clients::load(&[client("registry", "registry"), client("other", "other")], &env).unwrap();
    let clock: Clock = Arc::new(move || now() + later);
    let state = IssuerState::new(URL, keys, store.clone(), clients, clock).unwrap();
    Setup { router: router(state), store, token: token.expose_secret().to_owned() }
}

fn setup() -> Setup {
    setup_at(Duration::zero(), false)
}

/// Serves on a port of its own; its address.
async fn serve(router: &Router) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router.clone()).into_future());
    format!("http://{address}")
}

struct Answer {
    status: u16,
    cache: String,
    body: Value,
}

async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let cache = response.headers()["cache-control"].to_str().unwrap().to_owned();
    Answer { status: response.status().as_u16(), cache, body: response.json().await.unwrap() }
}

async fn get(url: &str) -> Answer {
    send(reqwest::Client::new().get(url)).await
}

/// Introspects with Basic credentials as they stand.
async fn ask(setup: &Setup, credentials: Option<&str>, body: String) -> Answer {
    let url = serve(&setup.router).await + "/introspect";
    let mut request = reqwest::Client::new().post(url).header("content-type", "application/x-www-form-urlencoded");
    if let Some(credentials) = credentials {
        request = request.header("authorization", format!("Basic {}", BASE64_STANDARD.encode(credentials)));
    }
    send(request.body(body)).await
}

async fn ask_for_token(setup: &Setup) -> Answer {
    ask(setup, Some("registry:a:b+c%d-long-enough"), format!("token={}", setup.token)).await
}

#[tokio::test]
async fn discovery_leads_to_the_keys_wherever_an_ingress_cuts_the_path() {
    let setup = setup();
    let address = serve(&setup.router).await;
    for base in [address.clone(), format!("{address}/base")] {
        let found = get(&format!("{base}/.well-known/openid-configuration")).await;
        assert_eq!((found.status, found.cache.as_str()), (200, "public, max-age=3600"));
        let metadata: CoreProviderMetadata = serde_json::from_value(found.body.clone()).unwrap();
        assert_eq!(metadata.issuer().as_str(), URL);
        assert_eq!(metadata.jwks_uri().as_str(), format!("{URL}/.well-known/jwks.json"));
        assert_eq!(found.body["issuer"], URL);
        assert_eq!(found.body["introspection_endpoint"], format!("{URL}/introspect"));
        assert_eq!(found.body["id_token_signing_alg_values_supported"], json!(["RS256"]));
        for path in ["/.well-known/jwks.json", "/jwks"] {
            let keys = get(&format!("{base}{path}")).await.body;
            let keys: CoreJsonWebKeySet = serde_json::from_value(keys).unwrap();
            assert_eq!(keys.keys().len(), 1);
        }
    }
}

#[tokio::test]
async fn the_audience_learns_that_a_token_is_good_and_whose_it_is() {
    let setup = setup();
    let answer = ask_for_token(&setup).await;
    assert_eq!((answer.status, answer.cache.as_str()), (200, "no-store"));
    assert!(answer.body["jti"].as_str().is_some_and(|jti| jti.len() == 36));
    let mut body = answer.body;
    body.as_object_mut().unwrap().remove("jti");
    let expected = json!({
        "active": true, "iss": URL, "sub": "tekton:cluster@c/ns@prod:pipeline:deploy", "aud": "registry",
        "exp": 1_800_000_900, "iat": 1_800_000_000, "client_id": "registry", "username": "alice@example.com",
        "scim_id": "00000000-0000-0000-0000-000000000007",
    });
    assert_eq!(body, expected);
    let encoded = ask(&setup, Some("registry:a%3Ab%2Bc%25d-long-enough"), format!("token={}", setup.token)).await;
    assert_eq!(encoded.body["active"], true);
}

#[tokio::test]
async fn a_revoked_expired_foreign_or_broken_token_is_exactly_inactive() {
    let inactive = json!({"active": false});
    let setup = setup();
    let other = ask(&setup, Some("other:another-long-secret"), format!("token={}", setup.token)).await;
    assert_eq!((other.status, other.body), (200, inactive.clone()));
    let broken = ask(&setup, Some("registry:a:b+c%d-long-enough"), "token=x.y.z".into()).await;
    assert_eq!((broken.status, broken.body), (200, inactive.clone()));
    for phase in [GrantPhase::Pending, GrantPhase::Revoking, GrantPhase::Revoked, GrantPhase::Failed] {
        setup.store.grants.lock().unwrap()[0].phase = phase;
        assert_eq!(ask_for_token(&setup).await.body, inactive);
    }
    setup.store.grants.lock().unwrap().clear();
    assert_eq!(ask_for_token(&setup).await.body, inactive);
    let late = setup_at(Duration::minutes(15), false);
    assert_eq!(ask_for_token(&late).await.body, inactive);
    assert_eq!(ask_for_token(&setup_at(Duration::seconds(899), false)).await.body["active"], true);
}

#[tokio::test]
async fn who_is_no_client_learns_nothing() {
    let setup = setup();
    let token = format!("token={}", setup.token);
    for credentials in [None, Some("registry:wrong"), Some("registry"), Some("nobody:another-long-secret"), Some(":")] {
        let answer = ask(&setup, credentials, token.clone()).await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("invalid_client")), "{credentials:?}");
    }
}

#[tokio::test]
async fn errors_are_oauths() {
    let credentials = Some("registry:a:b+c%d-long-enough");
    let setup = setup();
    let empty = ask(&setup, credentials, "tok=1".into()).await;
    assert_eq!((empty.status, &empty.body["error"]), (400, &json!("invalid_request")));
    let large = ask(&setup, credentials, format!("token={}", "x".repeat(LONGEST_BODY))).await;
    assert_eq!((large.status, &large.body["error"]), (400, &json!("invalid_request")));
    let answer = ask_for_token(&setup_at(Duration::zero(), true)).await;
    assert_eq!((answer.status, &answer.body["error"]), (503, &json!("temporarily_unavailable")));
}

#[test]
fn a_client_without_a_good_secret_is_named() {
    let client = |file: Option<&str>, env: Option<&str>| IssuerClient {
        id: "a".into(),
        secret_file: file.map(Into::into),
        secret_env: env.map(Into::into),
        audience: "a".into(),
    };
    let env = [("SHORT".to_owned(), "hunter2".to_owned())].into();
    for (client, part) in [
        (client(None, Some("SHORT")), "at least 16"),
        (client(None, Some("ABSENT")), "ABSENT is not set"),
        (client(Some("/nowhere"), None), "/nowhere"),
    ] {
        let error = Clients::load(&[client], &env).unwrap_err().to_string();
        assert!(error.contains("issuer.clients.0.secret") && error.contains(part), "{error}");
        assert!(!error.contains("hunter2"));
    }
}
