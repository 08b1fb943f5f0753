//! JWTs of an IdP's issuer: each attack by its name.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::app::{Answer, App, Recorder};
use crate::{
    clock,
    keys::WebKeys,
    scim::{IdpSettings, JwtSettings, KeySource, MeBy, NoKeys, Settings},
    store::Store as _,
};

const ISSUER: &str = "https://idp.example/realms/acme";
const AUDIENCE: &str = "https://scim.example.com/scim/v2";

/// An issuer with one key at a time, that counts who asks for it.
pub(super) struct Issuer {
    state: Mutex<(EcdsaKeyPair, String)>,
    pub(super) asked: AtomicUsize,
    /// `None`: it is down.
    published: Mutex<Option<Value>>,
}

fn part(json: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

impl Issuer {
    fn new() -> Arc<Self> {
        let (asked, published) = (AtomicUsize::new(0), Mutex::default());
        let issuer = Self { state: Mutex::new((key(), "k1".into())), asked, published };
        issuer.publish();
        Arc::new(issuer)
    }

    fn publish(&self) {
        let state = self.state.lock().unwrap();
        let point = state.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": state.1, "x": x, "y": y});
        *self.published.lock().unwrap() = Some(json!({"keys": [key]}));
    }

    /// Another key from here on, published at once.
    fn rotate(&self, kid: &str) {
        *self.state.lock().unwrap() = (key(), kid.into());
        self.publish();
    }

    fn is_down(&self) {
        *self.published.lock().unwrap() = None;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A token of the client that provisions, with these claims changed; `null` takes one away.
    pub(super) fn token(&self, changes: &Value) -> String {
        self.signed(&json!({}), changes)
    }

    fn signed(&self, header: &Value, changes: &Value) -> String {
        let (message, state) = (self.unsigned(header, changes), self.state.lock().unwrap());
        let signature = state.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn unsigned(&self, header: &Value, changes: &Value) -> String {
        let now = clock::system()().timestamp();
        let kid = self.state.lock().unwrap().1.clone();
        let head = merged(json!({"alg": "ES256", "typ": "JWT", "kid": kid}), header);
        let claims = json!({
            "iss": ISSUER, "aud": ["account", AUDIENCE], "sub": "8d3f", "azp": "provisioner", "exp": now + 300,
            "iat": now, "preferred_username": "service-account-provisioner", "typ": "Bearer",
        });
        format!("{}.{}", part(&head), part(&merged(claims, changes)))
    }
}

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn merged(mut object: Value, changes: &Value) -> Value {
    let all = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    object
}

#[async_trait]
impl KeySource for Issuer {
    async fn keys(&self) -> Result<WebKeys, NoKeys> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let published = self.published.lock().unwrap().clone();
        let set = published.ok_or_else(|| NoKeys("it is down".into()))?;
        Ok(WebKeys::read(set.to_string().as_bytes()).unwrap())
    }
}

fn settings() -> JwtSettings {
    JwtSettings {
        issuer: ISSUER.into(),
        audiences: vec![AUDIENCE.into()],
        clients: vec!["provisioner".into()],
        subjects: vec![],
        jwks_uri: None,
        me: None,
    }
}

/// An app whose IdP `okta` has this issuer, with its keys asked for as the server does it.
pub(super) async fn app(me: Option<MeBy>) -> (App, Arc<Issuer>) {
    app_of(IdpSettings { jwt: Some(JwtSettings { me, ..settings() }), ..IdpSettings::default() }).await
}

pub(super) async fn app_limited(me: Option<MeBy>, requests_per_second: u32) -> (App, Arc<Issuer>) {
    let jwt = Some(JwtSettings { me, ..settings() });
    app_of(IdpSettings { requests_per_second, jwt, ..IdpSettings::default() }).await
}

async fn app_of(okta: IdpSettings) -> (App, Arc<Issuer>) {
    let settings = Settings { idps: [("okta".into(), okta)].into(), ..Settings::default() };
    let (app, issuer) = (App::with(Recorder::default(), settings).await, Issuer::new());
    let (_, _, ring) = app.state.key_rings().next().unwrap();
    let source = issuer.clone();
    tokio::spawn(async move { ring.tend("okta", &*source).await });
    (app, issuer)
}

pub(super) async fn send(app: &App, method: &str, path: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    app.send(app.request(method, path, None, &[("authorization", &bearer)])).await
}

async fn users(app: &App, token: &str) -> u16 {
    send(app, "GET", "/Users", token).await.status.as_u16()
}

#[tokio::test]
async fn a_jwt_of_the_issuer_provisions_as_a_token_of_ours_does() {
    let (app, issuer) = app(None).await;
    let alice = app.user("alice").await;
    let token = issuer.token(&json!({}));
    let bearer = format!("Bearer {token}");
    let body = json!({"userName": "bob", "externalId": "b"});
    let request = app.request("POST", "/Users", Some(body), &[("authorization", &bearer)]);
    let bob = app.send(request).await;
    assert_eq!(bob.status, 201);
    assert_eq!(send(&app, "GET", &format!("/Users/{alice}"), &token).await.status, 200, "the same IdP");
    assert_eq!(app.get(&format!("/Users/{}", bob.id())).await.status, 200);
    assert_eq!(app.call_as_other("GET", &format!("/Users/{}", bob.id()), None).await.status, 404, "and no other");
    assert_eq!(send(&app, "GET", "/ServiceProviderConfig", &token).await.status, 200);
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": []});
    let request = app.request("POST", "/Bulk", Some(bulk), &[("authorization", &bearer)]);
    assert_eq!(app.send(request).await.status, 200);
    assert_eq!(issuer.asked(), 1);
    // Without an issuer of its own an IdP has no JWTs.
    let without = App::new().await;
    assert_eq!(users(&without, &token).await, 401);
}

#[tokio::test]
async fn each_attack_is_refused_with_the_same_sentence() {
    let (app, issuer) = app(None).await;
    let good = issuer.token(&json!({}));
    assert_eq!(users(&app, &good).await, 200);
    let now = clock::system()().timestamp();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, claims) = message.split_once('.').unwrap();
    let published = issuer.published.lock().unwrap().clone().unwrap();
    // The public key as the secret, in each form in which it is published.
    let hs256 = |secret: &[u8]| {
        let message = issuer.unsigned(&json!({"alg": "HS256"}), &json!({}));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    };
    let point = issuer.state.lock().unwrap().0.public_key().as_ref().to_vec();
    let other = Issuer::new();
    let more = BASE64_URL_SAFE_NO_PAD.encode(json!({"sub": "8d3f", "azp": "provisioner"}).to_string());
    let attacks = [
        ("alg none", format!("{}.", issuer.unsigned(&json!({"alg": "none"}), &json!({})))),
        ("alg None", format!("{}.", issuer.unsigned(&json!({"alg": "None"}), &json!({})))),
        ("alg none, with a signature", issuer.signed(&json!({"alg": "none"}), &json!({}))),
        ("no signature", format!("{message}.")),
        ("HS256 with the public point", hs256(&point)),
        ("HS256 with the JWK", hs256(published["keys"][0].to_string().as_bytes())),
        ("HS256 with the JWK Set", hs256(published.to_string().as_bytes())),
        ("another algorithm", issuer.signed(&json!({"alg": "ES384"}), &json!({}))),
        ("RS256 with a key for ES256", issuer.signed(&json!({"alg": "RS256"}), &json!({}))),
        ("another's key by the same name", other.token(&json!({}))),
        (
            "a key that it brings itself",
            other.signed(&json!({"jwk": other.published.lock().unwrap().clone()}), &json!({})),
        ),
        ("other claims under the signature", format!("{head}.{more}.{signature}")),
        ("critical extension", issuer.signed(&json!({"crit": ["b64"], "b64": false}), &json!({}))),
        ("a log-out token", issuer.signed(&json!({"typ": "logout+jwt"}), &json!({}))),
        ("no kid", issuer.signed(&json!({"kid": null}), &json!({}))),
        ("another issuer", issuer.token(&json!({"iss": "https://evil.example/realms/acme"}))),
        ("another audience", issuer.token(&json!({"aud": "account"}))),
        ("expired", issuer.token(&json!({"exp": now - 61}))),
        ("not yet valid", issuer.token(&json!({"nbf": now + 120}))),
        ("missing exp", issuer.token(&json!({"exp": null}))),
        ("wrong client", issuer.token(&json!({"azp": "shop", "preferred_username": "service-account-shop"}))),
        ("a person by the client that provisions", issuer.token(&json!({"preferred_username": "alice", "sid": "s"}))),
        ("an ID token", issuer.token(&json!({"typ": "ID"}))),
        ("bound to a key", issuer.token(&json!({"cnf": {"jkt": "x"}}))),
        ("garbage", "a.b.c".into()),
        ("garbage in parts", format!("{head}.{claims}.!!!")),
        ("a list of claims", format!("{head}.{}.{signature}", BASE64_URL_SAFE_NO_PAD.encode("[]"))),
        ("five parts", format!("{good}.x.y")),
        ("endless", format!("{good}{}", "A".repeat(20_000))),
    ];
    let plain = send(&app, "GET", "/Users", "x").await;
    for (name, token) in attacks {
        let answer = send(&app, "GET", "/Users", &token).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (401, &plain.body), "{name}");
        assert_eq!(answer.header("www-authenticate"), plain.header("www-authenticate"), "{name}");
    }
    assert_eq!(users(&app, &good).await, 200);
    assert_eq!(issuer.asked(), 1, "none of them made us ask");
}

#[tokio::test(start_paused = true)]
async fn a_key_rotated_is_asked_for_once_and_the_old_one_is_dead() {
    let (app, issuer) = app(None).await;
    let before = issuer.token(&json!({}));
    assert_eq!(users(&app, &before).await, 200);
    tokio::time::sleep(Duration::from_secs(31)).await;
    issuer.rotate("k2");
    assert_eq!(users(&app, &before).await, 200, "nobody knows yet");
    assert_eq!(users(&app, &issuer.token(&json!({}))).await, 200, "the new key, at the first try");
    assert_eq!(issuer.asked(), 2);
    assert_ne!(users(&app, &before).await, 200, "what was remembered went with its key");
    // Without anybody asking, a withdrawn key is gone within minutes.
    let second = issuer.token(&json!({}));
    assert_eq!(users(&app, &second).await, 200);
    issuer.rotate("k3");
    tokio::time::sleep(Duration::from_mins(5) + Duration::from_secs(1)).await;
    assert_ne!(users(&app, &second).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_is_one_fetch_each_half_minute() {
    let (app, issuer) = app(None).await;
    let good = issuer.token(&json!({}));
    assert_eq!(users(&app, &good).await, 200);
    let unknown = |n: usize| issuer.signed(&json!({"kid": format!("x{n}")}), &json!({}));
    for n in 0..500 {
        // It may have been published since: whoever has such a token is told to come back, and never let in.
        let answer = send(&app, "GET", "/Users", &unknown(n)).await;
        assert_eq!(answer.status, 503);
        assert!((1..=31).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
        assert_eq!(answer.body["status"], "503");
    }
    assert_eq!(issuer.asked(), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    // By now it has been asked; from here on at most one fetch each 30 s.
    let began = issuer.asked();
    for n in 0..600 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(matches!(users(&app, &unknown(n)).await, 401 | 503));
    }
    assert!(issuer.asked() - began <= 4, "{} in two minutes", issuer.asked() - began);
    assert_eq!(users(&app, &good).await, 200, "and who is known is served all the while");
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(users(&app, &unknown(0)).await, 401, "asked, and there is none of that name");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_ends_nothing_that_is_known_and_lets_nobody_new_in() {
    let (app, issuer) = app(None).await;
    let good = issuer.token(&json!({}));
    assert_eq!(users(&app, &good).await, 200);
    issuer.is_down();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!((60..=125).contains(&issuer.asked()), "it is asked again and again: {}", issuer.asked());
    assert_eq!(users(&app, &good).await, 200, "remembered");
    assert_eq!(users(&app, &issuer.token(&json!({"jti": "2"}))).await, 200, "by a key that is known");
    *issuer.state.lock().unwrap() = (key(), "k2".into());
    let rotated = issuer.token(&json!({}));
    let answer = send(&app, "GET", "/Users", &rotated).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after").is_empty()), (503, false));
    issuer.publish();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(users(&app, &rotated).await, 200, "and it is back");
}

#[tokio::test]
async fn two_idps_of_one_issuer_are_told_apart_by_their_clients() {
    let okta = IdpSettings { jwt: Some(settings()), ..IdpSettings::default() };
    let clients = vec!["other".into()];
    let entra = IdpSettings { jwt: Some(JwtSettings { clients, ..settings() }), ..IdpSettings::default() };
    let settings = Settings { idps: [("okta".into(), okta), ("entra".into(), entra)].into(), ..Settings::default() };
    let (app, issuer) = (App::with(Recorder::default(), settings).await, Issuer::new());
    for (_, _, ring) in app.state.key_rings() {
        let source = issuer.clone();
        tokio::spawn(async move { ring.tend("any", &*source).await });
    }
    let alice = app.user("alice").await;
    let other = issuer.token(&json!({"azp": "other", "preferred_username": null}));
    assert_eq!(send(&app, "GET", &format!("/Users/{alice}"), &issuer.token(&json!({}))).await.status, 200);
    assert_eq!(send(&app, "GET", &format!("/Users/{alice}"), &other).await.status, 404);
    assert_eq!(users(&app, &other).await, 200);
    // Of two that would both take it, nobody says which is meant.
    let audiences = vec!["elsewhere".into()];
    let okta = IdpSettings { jwt: Some(self::settings()), ..IdpSettings::default() };
    let entra = IdpSettings { jwt: Some(JwtSettings { audiences, ..self::settings() }), ..IdpSettings::default() };
    let both = [("okta".into(), okta), ("entra".into(), entra)].into();
    let app = App::with(Recorder::default(), Settings { idps: both, ..Settings::default() }).await;
    for (_, _, ring) in app.state.key_rings() {
        let source = issuer.clone();
        tokio::spawn(async move { ring.tend("any", &*source).await });
    }
    assert_eq!(users(&app, &issuer.token(&json!({"aud": "elsewhere"}))).await, 200);
    assert_eq!(users(&app, &issuer.token(&json!({"aud": [AUDIENCE, "elsewhere"]}))).await, 401);
}

#[tokio::test]
async fn an_idp_has_one_allowance_whichever_token_it_sends() {
    let okta = IdpSettings { jwt: Some(settings()), requests_per_second: 3, ..IdpSettings::default() };
    let (app, issuer) = app_of(okta).await;
    let token = issuer.token(&json!({}));
    let mut statuses = vec![];
    for _ in 0..3 {
        statuses.push(users(&app, &token).await);
        statuses.push(app.get("/Users").await.status.as_u16());
    }
    assert!(statuses.starts_with(&[200, 200, 200]) && statuses.contains(&429), "{statuses:?}");
    let rest = app.call_as_other("GET", "/Users", None).await;
    assert_eq!(rest.status, 200);
}

#[tokio::test]
async fn an_idp_that_never_had_a_token_of_ours_is_made() {
    let app = App::new().await;
    let names =
        || async { app.store.idps().await.unwrap().into_iter().map(|idp| idp.name.to_string()).collect::<Vec<_>>() };
    app.store.make_idp(&"keycloak".into()).await.unwrap();
    app.store.make_idp(&"keycloak".into()).await.unwrap();
    assert_eq!(names().await, ["entra", "keycloak", "okta"]);
}
