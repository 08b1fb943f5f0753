//! Renewal over a fake store, a fake API server and a clock of the test's own.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{copies, fixture::Fixture},
    fake::run_and_grant,
    identity::ResourceId,
};

const LIFE: Span = Span::minutes(15);

/// A run and its Active kubernetes Grant of 15 minutes, issued now.
struct Issued {
    fixture: Fixture,
    grant: GrantRecord,
}

impl Issued {
    fn new() -> Self {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let fixture = Fixture::at(start);
        let (run, grant) = run_and_grant("run", ResourceId(uuid::Uuid::nil()), start);
        let grant = GrantRecord {
            provider: "kubernetes".into(),
            facts: json!({"ttlSeconds": LIFE.num_seconds()}),
            expires_at: Some(start + LIFE),
            secret_name: Some(delivery::secret_name(grant.id)),
            ..grant
        };
        fixture.store.runs.lock().unwrap().push(run);
        fixture.store.grants.lock().unwrap().push(grant.clone());
        let issued = Self { fixture, grant };
        issued.put("grants", json!({"metadata": {"name": "bound", "uid": "uid-of-the-bound-secret"}}));
        issued.put("prod", json!({"metadata": {"name": "copy"}, "data": {"token": "b2xk"}}));
        issued
    }

    fn path(&self, namespace: &str) -> String {
        format!("/api/v1/namespaces/{namespace}/secrets/grant-{}", self.grant.id)
    }

    fn put(&self, namespace: &str, secret: Value) {
        self.fixture.api.lock().unwrap().objects.insert(self.path(namespace), secret);
    }

    fn take_copy(&self) {
        self.fixture.api.lock().unwrap().objects.remove(&self.path("prod"));
    }

    /// The token that steps see.
    fn copy(&self) -> Option<String> {
        let copy = self.fixture.api.lock().unwrap().objects.get(&self.path("prod")).cloned()?;
        let token = BASE64_STANDARD.decode(copy["data"]["token"].as_str()?).unwrap();
        Some(String::from_utf8(token).unwrap())
    }

    fn row(&self) -> GrantRecord {
        self.fixture.store.grants.lock().unwrap()[0].clone()
    }

    fn set_row(&self, change: impl FnOnce(&mut GrantRecord)) {
        change(&mut self.fixture.store.grants.lock().unwrap()[0]);
    }

    fn break_at(&self, broken: Option<(&'static str, u16)>) {
        self.fixture.api.lock().unwrap().broken = broken;
    }

    async fn renew(&self) -> Renewed {
        renew(Arc::clone(&self.fixture.context), self.row()).await
    }

    /// What `keep` does every two seconds.
    async fn look(&self, renewals: &Mutex<Renewals>) {
        for grant in due(&self.fixture.context, renewals).await {
            renew_due(&self.fixture.context, renewals, grant).await;
        }
    }
}

#[tokio::test]
async fn at_two_thirds_of_its_life_a_fresh_token_of_the_same_account_and_secret_is_in_the_copy() {
    let issued = Issued::new();
    let renewals = Mutex::default();
    issued.fixture.pass(LIFE * 2 / 3 - Span::seconds(1));
    issued.look(&renewals).await;
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (0, Some("old")));
    issued.fixture.pass(Span::seconds(1));
    issued.look(&renewals).await;
    let row = issued.row();
    assert_eq!((row.renewals, issued.copy().as_deref()), (1, Some("token-1")));
    assert_eq!(row.expires_at, Some(*issued.fixture.now.lock().unwrap() + LIFE));
    let asked = issued.fixture.api.lock().unwrap().tokens.clone();
    assert_eq!(asked[0]["expirationSeconds"], LIFE.num_seconds());
    assert_eq!(asked[0]["boundObjectRef"]["uid"], "uid-of-the-bound-secret");
    assert_eq!(asked[0]["boundObjectRef"]["kind"], "Secret");
}

#[tokio::test]
async fn no_token_is_asked_for_beyond_the_grants_end_but_for_the_ten_minutes_that_the_api_server_wants() {
    for (left, expected) in [(Span::minutes(12), 720), (Span::minutes(5), 600)] {
        let issued = Issued::new();
        let now = *issued.fixture.now.lock().unwrap();
        issued.set_row(|row| row.not_after = now + left);
        assert_eq!(issued.renew().await, Renewed::Done);
        assert_eq!(issued.fixture.api.lock().unwrap().tokens[0]["expirationSeconds"], expected);
    }
}

#[tokio::test]
async fn whoever_is_not_entitled_any_more_gets_nothing() {
    let issued = Issued::new();
    issued.set_row(|row| row.phase = GrantPhase::Revoked);
    assert_eq!(issued.renew().await, Renewed::Done);
    assert_eq!(issued.copy().as_deref(), Some("old"));
}

#[tokio::test]
async fn while_the_api_server_makes_no_tokens_the_old_one_stays_and_one_event_tells_why() {
    let issued = Issued::new();
    let renewals = Mutex::default();
    issued.break_at(Some(("/token", 503)));
    issued.fixture.pass(LIFE * 2 / 3);
    for _ in 0..20 {
        issued.look(&renewals).await;
        issued.fixture.pass(Span::seconds(2));
    }
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (0, Some("old")));
    let events = issued.fixture.api.lock().unwrap().events.clone();
    assert_eq!(events.len(), 1, "{events:?}");
    issued.break_at(None);
    issued.fixture.pass(Span::minutes(1));
    issued.look(&renewals).await;
    assert_eq!(issued.copy().as_deref(), Some("token-1"));
}

#[tokio::test]
async fn a_token_that_is_not_in_its_secret_yet_is_renewed_again_until_it_is() {
    let issued = Issued::new();
    let renewals = Mutex::default();
    issued.break_at(Some(("/prod/secrets", 500)));
    issued.fixture.pass(LIFE * 2 / 3);
    issued.look(&renewals).await;
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (1, Some("old")));
    issued.break_at(None);
    issued.fixture.pass(Span::seconds(2));
    issued.look(&renewals).await;
    assert_eq!(issued.copy().as_deref(), Some("token-2"));
    issued.fixture.pass(Span::seconds(2));
    issued.look(&renewals).await;
    assert_eq!(issued.row().renewals, 2);
}

#[tokio::test]
async fn after_a_restart_what_was_renewed_is_renewed_once_more_since_nobody_knows_what_the_secret_holds() {
    let issued = Issued::new();
    issued.set_row(|row| row.renewals = 1);
    let renewals = Mutex::default();
    for _ in 0..3 {
        issued.look(&renewals).await;
    }
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (2, Some("token-1")));
}

#[tokio::test]
async fn a_secret_that_somebody_deleted_is_replaced_by_a_fresh_one() {
    let issued = Issued::new();
    copies::compare(&issued.fixture.context).await.unwrap();
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (0, Some("old")));
    issued.take_copy();
    copies::compare(&issued.fixture.context).await.unwrap();
    assert_eq!((issued.row().renewals, issued.copy().as_deref()), (1, Some("token-1")));
    // So too by a renewal.
    issued.take_copy();
    assert_eq!(issued.renew().await, Renewed::Done);
    assert_eq!(issued.copy().as_deref(), Some("token-2"));
}

#[tokio::test]
async fn a_copy_that_comes_after_its_grants_end_is_taken_away_again() {
    let issued = Issued::new();
    let now = *issued.fixture.now.lock().unwrap();
    issued.set_row(|row| (row.phase, row.revoked_at) = (GrantPhase::Revoked, Some(now)));
    issued.fixture.pass(Span::minutes(1));
    copies::compare(&issued.fixture.context).await.unwrap();
    assert_eq!(issued.copy(), None);
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_no_secret_is_replaced() {
    let issued = Issued::new();
    issued.take_copy();
    issued.break_at(Some(("/prod/secrets", 403)));
    copies::compare(&issued.fixture.context).await.unwrap();
    assert_eq!(issued.fixture.api.lock().unwrap().tokens.len(), 0);
    assert_eq!(issued.renew().await, Renewed::Done);
}
