//! From a request's bytes to the answer's: judge, record, tell. A ticket leaves only after it is durable (G6), and
//! nothing goes on when the store fails (G3).

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Map, json};
use uuid::{NoContext, Timestamp, Uuid};

use super::{
    Denied, InterceptorRequest, InterceptorResponse, Judgement, Notify, Reason, Refusals, Settings, decide,
    reason::shown,
    refusals::{self, Tally},
};
use crate::{
    clock::Clock,
    directory::{DirectoryCell, unconfirmed},
    policy::CatalogCell,
    store::{DecisionOutcome, NewDecision, NewTicket, Store, StoreError},
    ticket::{self, SecretHash},
};

/// What everyone hears whose event's signature does not hold, whatever the reason.
const UNAUTHENTICATED: &str = "the event is not authenticated; the cluster's admin finds the reason in scim-tekton's metrics, its audit log and `scim-tekton explain`";
const NOT_A_REQUEST: &str = "expected an InterceptorRequest of Tekton Triggers as JSON, of at most 8 MiB";
const STORE_FAILED: &str =
    "the decision could not be recorded, so the event was denied; redeliver it when scim-tekton is well again";

/// What the interceptor works with.
#[derive(Clone)]
pub struct InterceptorState {
    /// All identities.
    pub directory: DirectoryCell,
    /// All policies.
    pub catalog: CatalogCell,
    /// Where decisions and tickets are recorded.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// Of the configuration.
    pub settings: Arc<Settings>,
    /// Whom to tell of denials.
    pub notifier: Arc<dyn Notify>,
    /// What was refused before its signature held.
    pub refusals: Arc<Refusals>,
}

impl InterceptorState {
    /// Answers one request.
    pub async fn answer(&self, request: &[u8]) -> InterceptorResponse {
        let begun = Instant::now();
        let (result, reason, answer) = match serde_json::from_slice::<InterceptorRequest>(request) {
            Ok(request) => self.judge(&request).await,
            Err(_) => self.not_a_request().await,
        };
        count(result, reason);
        metrics::histogram!(crate::telemetry::metric::INTERCEPTOR_SECONDS, "result" => result)
            .record(begun.elapsed().as_secs_f64());
        answer
    }

    /// Answers what can't even be read as a request.
    pub(super) async fn answer_unreadable(&self) -> InterceptorResponse {
        let (result, reason, answer) = self.not_a_request().await;
        count(result, reason);
        answer
    }

    /// Writes what `Refusals` holds back; to be called every few seconds.
    pub async fn flush_refusals(&self) {
        self.write(&self.refusals.due((self.clock)())).await;
    }

    async fn judge(&self, request: &InterceptorRequest) -> (&'static str, Reason, InterceptorResponse) {
        let now = (self.clock)();
        // The guards end with this statement: no snapshot is held over the store's write.
        let judgement = decide(&self.directory.load(), &self.catalog.load(), &self.settings, request, now);
        if !judgement.authenticated {
            self.refused(judgement.reason, now).await;
            return (judgement.result(), judgement.reason, InterceptorResponse::stop(16, UNAUTHENTICATED));
        }
        let id = Uuid::new_v7(timestamp(now)).to_string();
        let recorded = match judgement.body_digest {
            Some(digest) => self.allow(&id, &judgement, digest).await,
            None => self.store.record_decision(record(&id, &judgement, None)).await.map(|_| Recorded::Denied),
        };
        let (reason, sentence) = match recorded {
            Ok(Recorded::Allowed(answer)) => return ("allowed", Reason::Allowed, answer),
            Ok(Recorded::Denied) => (judgement.reason, judgement.sentence.clone()),
            Ok(Recorded::Otherwise(reason, sentence)) => (reason, sentence),
            Err(error) => {
                tracing::error!(decision = id, %error, "a decision could not be recorded: denied");
                return (
                    "failed",
                    Reason::StoreFailed,
                    InterceptorResponse::stop(Reason::StoreFailed.code(), STORE_FAILED),
                );
            }
        };
        tracing::info!(decision = id, reason = reason.as_str(), trigger = judgement.trigger, "event denied");
        self.tell(id, &judgement, reason, &sentence);
        ("denied", reason, InterceptorResponse::stop(reason.code(), sentence))
    }

    async fn allow(&self, id: &str, judgement: &Judgement, digest: [u8; 32]) -> Result<Recorded, StoreError> {
        let ticket = ticket::mint_ticket().map_err(|error| StoreError::Failed(error.to_string()))?;
        let new_ticket = NewTicket {
            hash: ticket::hash_of(&ticket),
            expires_at: judgement.at + self.settings.ticket_ttl,
            spend_key: spend_key(judgement, digest),
        };
        fail::fail_point!("decide::before_store");
        let outcome = self.store.record_decision(record(id, judgement, Some(new_ticket))).await?;
        fail::fail_point!("decide::after_store");
        let name = judgement.user.as_ref().map(|user| shown(&user.user_name)).unwrap_or_default();
        Ok(match outcome {
            DecisionOutcome::Recorded => {
                tracing::info!(decision = id, trigger = judgement.trigger, "event allowed");
                Recorded::Allowed(extensions(id, judgement, ticket.expose_secret()))
            }
            DecisionOutcome::NotActive => {
                Recorded::Otherwise(Reason::Inactive, format!("{name} was deactivated at this very moment"))
            }
            DecisionOutcome::Unconfirmed(idp) => Recorded::Otherwise(Reason::IdpNotConfirmed, unconfirmed(&idp)),
            DecisionOutcome::Spent(run) => Recorded::Otherwise(
                Reason::AlreadyUsed,
                format!(
                    "this event has already started PipelineRun {run}; a redelivery starts no second one: push again"
                ),
            ),
        })
    }

    fn tell(&self, decision_id: String, judgement: &Judgement, reason: Reason, sentence: &str) {
        let Some(object) = &judgement.trigger_object else { return };
        self.notifier.denied(&Denied {
            decision_id,
            namespace: judgement.namespace.clone(),
            trigger_kind: object.kind,
            trigger_name: object.name.clone(),
            reason,
            sentence: sentence.into(),
        });
    }

    async fn not_a_request(&self) -> (&'static str, Reason, InterceptorResponse) {
        let reason = Reason::NotAnInterceptorRequest;
        self.refused(reason, (self.clock)()).await;
        ("unauthenticated", reason, InterceptorResponse::stop(reason.code(), NOT_A_REQUEST))
    }

    async fn refused(&self, reason: Reason, now: DateTime<Utc>) {
        if let Some(tally) = self.refusals.count(reason, now) {
            self.write(&[tally]).await;
        }
    }

    async fn write(&self, tallies: &[Tally]) {
        if tallies.is_empty() {
            return;
        }
        if let Err(error) = self.store.append_audit(tallies.iter().map(refusals::row).collect()).await {
            tracing::error!(%error, "the audit rows of refused events could not be written");
            self.refusals.put_back(tallies);
        }
    }
}

enum Recorded {
    Allowed(InterceptorResponse),
    Denied,
    /// Allowed by us, and denied by what only the store knows.
    Otherwise(Reason, String),
}

fn count(result: &'static str, reason: Reason) {
    metrics::counter!(crate::telemetry::metric::INTERCEPTOR_DECISIONS, "result" => result, "reason" => reason.as_str())
        .increment(1);
}

fn record(id: &str, judgement: &Judgement, ticket: Option<NewTicket>) -> NewDecision {
    NewDecision {
        id: id.into(),
        at: judgement.at,
        allowed: judgement.allowed(),
        code: judgement.code(),
        reason: judgement.sentence.clone(),
        reason_code: judgement.reason.as_str().into(),
        trace: judgement.trace.clone(),
        user: judgement.user.as_ref().map(|user| user.id),
        namespace: judgement.namespace.clone(),
        trigger: judgement.trigger.clone(),
        policy: judgement.policy.clone(),
        event: judgement.event.clone(),
        ticket,
    }
}

fn extensions(id: &str, judgement: &Judgement, ticket: &str) -> InterceptorResponse {
    let user = judgement.user.as_deref();
    let mut extensions = Map::new();
    extensions.insert(
        "scim".into(),
        json!({
            "decisionId": id,
            "userId": user.map(|user| user.id),
            "userName": user.map(|user| &*user.user_name),
            // A binding of an extension that is missing drops the event (CLUSTER.md), so it is never missing.
            "displayName": user.map(|user| user.display_name.as_deref().unwrap_or(&user.user_name)),
            "groups": judgement.groups.iter().map(|group| &**group).collect::<Vec<_>>(),
            "serviceAccountName": judgement.service_account,
            "policy": judgement.policy.as_ref().map(|policy| policy.name.as_str()),
            "ticket": ticket,
        }),
    );
    InterceptorResponse::go_on(extensions)
}

/// All tickets of one signed body, for one source, policy and trigger, share one spend: one event starts one run of a
/// trigger, however often it is delivered. A length stands before each part, so that no two sets of parts make one text.
fn spend_key(judgement: &Judgement, digest: [u8; 32]) -> SecretHash {
    let policy = judgement.policy.as_ref().map_or("", |policy| &policy.uid);
    let mut text = String::with_capacity(256);
    for part in [&judgement.event.source, policy, &judgement.trigger, &crate::audit::hex(&digest)] {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    SecretHash::of(&text)
}

fn timestamp(now: DateTime<Utc>) -> Timestamp {
    Timestamp::from_unix(NoContext, u64::try_from(now.timestamp()).unwrap_or_default(), now.timestamp_subsec_nanos())
}
