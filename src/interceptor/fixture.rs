//! A small world to test in: Alice and Bob of Okta, one policy, one source, one trigger; and a store that remembers what
//! it was asked to record. The real store has its own tests; here it matters what we ask of it and what we do with
//! its answers.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    api::{AccessPolicy, Receipt, RevocationReason, tekton::Trigger},
    audit,
    directory::{Change, Directory, LinkAuthority},
    identity::{Edit, IdpName, Relation, Resource, ResourceId, ResourceKind},
    policy::{Catalog, PolicyFacts},
    store::*,
    ticket::SecretHash,
};

pub(super) const SECRET: &str = "hunter2";
pub(super) const PUSH: &str = include_str!("../../tests/fixtures/github-push.json");
pub(super) const SCHEMA: &str = "urn:okta:acme:1.0:user:custom";

pub(super) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

pub(super) fn id(number: u128) -> ResourceId {
    ResourceId(Uuid::from_u128(number))
}

pub(super) const ALICE: u128 = 1;
pub(super) const BOB: u128 = 2;
pub(super) const DEPLOYERS: u128 = 10;

pub(super) fn resource(kind: ResourceKind, idp: &str, number: u128, attributes: Value) -> Change {
    let Value::Object(attributes) = attributes else { panic!("an object") };
    Change::Put(Box::new(Resource {
        id: id(number),
        kind,
        idp: idp.into(),
        external_id: None,
        attributes,
        version: 1,
        created: now(),
        last_modified: now(),
    }))
}

pub(super) fn person(number: u128, name: &str, active: bool, account: u64) -> Change {
    let link = json!({ "githubId": account.to_string() });
    resource(ResourceKind::User, "okta", number, json!({ "userName": name, "active": active, SCHEMA: link }))
}

pub(super) fn group(number: u128, name: &str, members: &[u128]) -> [Change; 2] {
    let added = members.iter().map(|member| id(*member)).collect();
    [
        resource(ResourceKind::Group, "okta", number, json!({ "displayName": name })),
        Change::Members { group: id(number), added, removed: vec![] },
    ]
}

/// All that decisions read.
pub(super) struct World {
    pub directory: Directory,
    pub catalog: Catalog,
    pub settings: Settings,
}

impl World {
    /// Alice and Bob are both in `deployers`; `fixtures/github-push.json` is a push of Bob's.
    pub fn new() -> Self {
        let authority = |host: &str, attribute: &str| LinkAuthority {
            host: host.into(),
            idp: "okta".into(),
            schema: SCHEMA.into(),
            attribute: attribute.into(),
        };
        let mut world = Self {
            directory: Directory::new(vec![authority("github.com", "githubId"), authority("ghe.example.com", "gheId")]),
            catalog: Catalog::default(),
            settings: Settings::default(),
        };
        world.change(&[Change::Idp("okta".into())]);
        world.change(&[person(ALICE, "alice@example.com", true, 7), person(BOB, "bob@example.com", true, 583_231)]);
        world.change(&group(DEPLOYERS, "Deployers", &[ALICE, BOB]));
        world.source("github-acme", "github.com", &["prod"]);
        world.policy("prod", "deploy-prod", |_| {});
        world.trigger("prod", "push", "deploy-prod");
        world
    }

    pub fn change(&mut self, changes: &[Change]) {
        self.directory.apply(self.directory.seq() + 1, changes);
    }

    pub fn source(&mut self, name: &str, host: &str, namespaces: &[&str]) {
        let object = json!({
            "metadata": { "name": name },
            "spec": {
                "type": "github", "host": host, "namespaces": namespaces, "repositories": { "owners": [123_456] },
                "webhook": { "secretRefs": [{ "name": "github-webhook", "key": "secret" }] }
            }
        });
        self.catalog.put_event_source(&serde_json::from_value(object).unwrap(), Ok(vec![SECRET.into()]));
    }

    pub fn policy(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = json!({
            "metadata": { "name": name, "namespace": namespace, "uid": format!("uid-of-{name}"), "generation": 3 },
            "spec": {
                "source": "github-acme", "subjects": [{ "group": { "idp": "okta", "displayName": "deployers" } }],
                "events": [{ "types": ["push"] }], "pipelines": [{ "name": "deploy" }], "serviceAccountName": "deployer"
            }
        });
        change(&mut object["spec"]);
        self.catalog.put_policy(serde_json::from_value::<AccessPolicy>(object).unwrap());
    }

    pub fn trigger(&mut self, namespace: &str, name: &str, policy: &str) {
        let object = json!({
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "interceptors": [{ "ref": { "name": "scim" }, "params": [{ "name": "policy", "value": policy }] }] }
        });
        self.catalog.put_trigger(serde_json::from_value::<Trigger>(object).unwrap());
    }

    pub fn decide(&self, request: &InterceptorRequest) -> Judgement {
        decide(&self.directory, &self.catalog, &self.settings, request, now())
    }

    /// The reason for a request, and its sentence.
    pub fn why(&self, request: &InterceptorRequest) -> (Reason, String) {
        let judgement = self.decide(request);
        (judgement.reason, judgement.sentence)
    }

    /// Behind its port, with a store that answers as given.
    pub fn served(self, outcome: impl Fn() -> Result<DecisionOutcome, StoreError> + Send + Sync + 'static) -> Served {
        let store =
            Arc::new(Remembering { outcome: Box::new(outcome), decisions: Mutex::default(), rows: Mutex::default() });
        let told = Arc::new(Told::default());
        let state = InterceptorState {
            directory: Arc::new(ArcSwap::from_pointee(self.directory)),
            catalog: Arc::new(ArcSwap::from_pointee(self.catalog)),
            store: store.clone(),
            clock: Arc::new(now),
            settings: Arc::new(self.settings),
            notifier: told.clone(),
            refusals: Arc::default(),
        };
        Served { state, store, told }
    }
}

pub(super) struct Served {
    pub state: InterceptorState,
    pub store: Arc<Remembering>,
    pub told: Arc<Told>,
}

impl Served {
    pub async fn answer(&self, request: &InterceptorRequest) -> Value {
        let request = serde_json::to_vec(request).unwrap();
        serde_json::to_value(self.state.answer(&request).await).unwrap()
    }
}

#[derive(Default)]
pub(super) struct Told(pub Mutex<Vec<Denied>>);

impl Notify for Told {
    fn denied(&self, denied: &Denied) {
        self.0.lock().unwrap().push(denied.clone());
    }
}

pub(super) fn sign(body: &str, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", audit::hex(hmac::sign(&key, body.as_bytes()).as_ref()))
}

/// A signed push of Bob's to trigger `push` of `prod`.
pub(super) fn push() -> InterceptorRequest {
    signed(PUSH.into())
}

/// The same with another body, signed too.
pub(super) fn push_with(change: impl FnOnce(&mut Value)) -> InterceptorRequest {
    let mut body: Value = serde_json::from_str(PUSH).unwrap();
    change(&mut body);
    signed(body.to_string())
}

fn signed(body: String) -> InterceptorRequest {
    let mut request = InterceptorRequest { body, ..InterceptorRequest::default() };
    request.header.insert("X-Github-Event".into(), vec!["push".into()]);
    request.header.insert("X-Hub-Signature-256".into(), vec![sign(&request.body, SECRET)]);
    request.interceptor_params.insert("policy".into(), "deploy-prod".into());
    at_trigger(request, "namespaces/prod/triggers/push")
}

pub(super) fn at_trigger(mut request: InterceptorRequest, id: &str) -> InterceptorRequest {
    let context = TriggerContext { event_url: "/".into(), event_id: "event-1".into(), trigger_id: id.into() };
    request.context = Some(context);
    request
}

pub(super) struct Remembering {
    outcome: Box<dyn Fn() -> Result<DecisionOutcome, StoreError> + Send + Sync>,
    pub decisions: Mutex<Vec<NewDecision>>,
    pub rows: Mutex<Vec<audit::Entry>>,
}

fn never<T>() -> Result<T, StoreError> {
    panic!("the interceptor never asks this")
}

#[async_trait]
#[rustfmt::skip]
impl Store for Remembering {
    async fn record_decision(&self, decision: NewDecision) -> Result<DecisionOutcome, StoreError> {
        self.decisions.lock().unwrap().push(decision);
        (self.outcome)()
    }
    async fn append_audit(&self, entries: Vec<audit::Entry>) -> Result<(), StoreError> {
        self.rows.lock().unwrap().extend(entries);
        Ok(())
    }
    async fn create_token(&self, _: &IdpName, _: SecretHash, _: Option<DateTime<Utc>>) -> Result<TokenRecord, StoreError> { never() }
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> { never() }
    async fn revoke_token(&self, _: &str) -> Result<TokenRecord, StoreError> { never() }
    async fn create(&self, _: &IdpName, _: ResourceKind, _: Edit) -> Result<Provisioned, StoreError> { never() }
    async fn edit(&self, _: &IdpName, _: ResourceKind, _: ResourceId, _: EditFn) -> Result<Provisioned, StoreError> { never() }
    async fn delete_if(&self, _: &IdpName, _: ResourceKind, _: ResourceId, _: CheckFn) -> Result<Provisioned, StoreError> { never() }
    async fn get(&self, _: &IdpName, _: ResourceKind, _: ResourceId) -> Result<Resource, StoreError> { never() }
    async fn members(&self, _: ResourceId) -> Result<Vec<Relation>, StoreError> { never() }
    async fn groups_of(&self, _: ResourceId) -> Result<Vec<Relation>, StoreError> { never() }
    async fn list(&self, _: &ListQuery) -> Result<Page, StoreError> { never() }
    async fn decision(&self, _: &str) -> Result<Option<DecisionRecord>, StoreError> { never() }
    async fn redeem(&self, _: RedeemRequest) -> Result<Redemption, StoreError> { never() }
    async fn run(&self, _: &str) -> Result<Option<RunRecord>, StoreError> { never() }
    async fn runs_to_cancel(&self) -> Result<Vec<RunRecord>, StoreError> { never() }
    async fn live_runs(&self) -> Result<Vec<RunRecord>, StoreError> { never() }
    async fn run_started(&self, _: &str, _: DateTime<Utc>) -> Result<(), StoreError> { never() }
    async fn run_ended(&self, _: &str, _: RevocationReason) -> Result<Revocations, StoreError> { never() }
    async fn policy_changed(&self, _: &str, _: Option<&PolicyFacts>) -> Result<Revocations, StoreError> { never() }
    async fn run_cancel_done(&self, _: &str) -> Result<(), StoreError> { never() }
    async fn begin_grant(&self, _: NewGrant) -> Result<Begun, StoreError> { never() }
    async fn activate_grant(&self, _: GrantId, _: Issued) -> Result<Activated, StoreError> { never() }
    async fn renew_grant(&self, _: GrantId, _: DateTime<Utc>) -> Result<Activated, StoreError> { never() }
    async fn fail_grant(&self, _: GrantId, _: &str) -> Result<(), StoreError> { never() }
    async fn revoke_grant(&self, _: GrantId, _: RevocationReason) -> Result<Revocations, StoreError> { never() }
    async fn grant(&self, _: GrantId) -> Result<Option<GrantRecord>, StoreError> { never() }
    async fn grants(&self, _: &GrantSelect) -> Result<Vec<GrantRecord>, StoreError> { never() }
    async fn record_receipt(&self, _: GrantId, _: &Receipt, _: bool) -> Result<(), StoreError> { never() }
    async fn audit_rows(&self, _: i64, _: usize) -> Result<Vec<audit::Row>, StoreError> { never() }
    async fn feed_directory(&self, _: Vec<String>, _: TakeFn) -> Result<(), StoreError> { never() }
    async fn ping(&self) -> Result<(), StoreError> { never() }
}
