//! A ticket starts one run, in its namespace, under its policy, in its time (G4).

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::{
    conn::{Conn, OptionalExtension as _, params},
    decisions,
    entitlement::{self, Barred, Judge},
    rows::{Hash, Time, whole_micros},
    runs,
    tx::Tx,
};
use crate::{
    audit::{self, Entry},
    clock::rfc3339,
    directory::unconfirmed,
    store::{DecisionRecord, RedeemPolicy, RedeemRequest, Redemption, RunRecord, StoreError},
    ticket::SecretHash,
};

struct Ticket {
    decision_id: String,
    expires_at: DateTime<Utc>,
    spend_key: SecretHash,
    void: bool,
}

/// What a run that may start stands on.
struct Basis<'a> {
    ticket: Ticket,
    decision: DecisionRecord,
    policy: &'a RedeemPolicy,
    person: entitlement::Person,
}

/// Redeems a ticket, or says to the person who pushed what happened and what to do.
pub fn redeem(tx: &mut Tx<'_>, request: &RedeemRequest) -> Result<Redemption, StoreError> {
    if let Some(stored) = runs::get(tx, &request.uid)? {
        return Ok(Redemption::Redeemed(stored.run));
    }
    match judge(tx, request)? {
        Ok(basis) => start(tx, request, basis),
        Err(sentence) => refuse(tx, request, sentence),
    }
}

fn judge<'a>(tx: &Tx<'_>, request: &'a RedeemRequest) -> Result<Result<Basis<'a>, String>, StoreError> {
    let (ticket, decision) = match request.ticket {
        Some(hash) => match ticket(tx, hash)? {
            Some(ticket) if ticket.void => {
                return Ok(Err(
                    "the ticket of this run is of the time before scim-tekton's store was restored from a \
                               backup, and void since; push again, or redeliver the webhook, for a fresh ticket"
                        .into(),
                ));
            }
            Some(ticket) => {
                let decision = decisions::get(tx, &ticket.decision_id)?;
                (ticket, decision)
            }
            None => return Ok(Err(no_ticket())),
        },
        None => return Ok(Err(no_ticket())),
    };
    let Some((decision, user)) = decision.and_then(|decision| decision.user.map(|user| (decision, user))) else {
        return Ok(Err(no_ticket()));
    };
    if decision.namespace != request.namespace {
        return Ok(Err(format!(
            "the ticket of this run is for namespace {}, not for {}; push again, and let a trigger of this namespace \
             start the run",
            decision.namespace, request.namespace
        )));
    }
    if request.created_at > ticket.expires_at {
        return Ok(Err(format!(
            "this run was created at {}, but its ticket ended at {}; push again, or redeliver the webhook, for a fresh \
             ticket",
            rfc3339(request.created_at),
            rfc3339(ticket.expires_at)
        )));
    }
    if let Some((_, run)) = decisions::spent_by(tx, ticket.spend_key)? {
        return Ok(Err(format!(
            "the event behind this run has already started {run}, and one event starts one run; push again to start \
             another"
        )));
    }
    let policy = decision.policy.as_ref();
    let Some(policy) = policy.and_then(|policy| request.policies.get(&policy.uid)) else {
        let name = policy.map_or("", |policy| policy.name.as_str());
        return Ok(Err(format!(
            "AccessPolicy {name}, which allowed this run, does not exist any more; ask the editors of namespace {}, \
             then push again",
            request.namespace
        )));
    };
    if let Some(misfit) = &policy.misfit {
        return Ok(Err(misfit.clone()));
    }
    let start_by = start_by(request, policy);
    if tx.now() > start_by {
        return Ok(Err(format!(
            "this run had to start by {} (maxStartDelay of AccessPolicy {}); push again",
            rfc3339(start_by),
            policy.policy.name
        )));
    }
    let person = match entitlement::admitted(tx, user)? {
        Ok(person) => person,
        Err(Barred::Unconfirmed(idp)) => return Ok(Err(format!("{}, then push again", unconfirmed(&idp)))),
        Err(Barred::OwnerGone) => {
            return Ok(Err(
                "none of the owners of the agent behind this run is active in the identity provider any more; \
                           ask its administrators for another owner, then push again"
                    .into(),
            ));
        }
        Err(Barred::Deleted | Barred::Deactivated) => {
            return Ok(Err("the person behind this run is not active in the identity provider any more; ask its \
                           administrators, then push again"
                .into()));
        }
    };
    if Judge::new(tx).loss(user, &policy.facts.subjects)?.is_some() {
        return Ok(Err(format!(
            "the person behind this run is not a subject of AccessPolicy {} any more; ask to be added to one of its \
             groups, then push again",
            policy.policy.name
        )));
    }
    Ok(Ok(Basis { ticket, decision, policy, person }))
}

fn start(tx: &mut Tx<'_>, request: &RedeemRequest, basis: Basis<'_>) -> Result<Redemption, StoreError> {
    let Basis { ticket, decision, policy, person } = basis;
    let Some(user) = decision.user else { return refuse(tx, request, no_ticket()) };
    let run = RunRecord {
        uid: request.uid.clone(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        user,
        idp: person.idp,
        user_name: person.user_name,
        policy: policy.policy.clone(),
        decision_id: decision.id,
        event: decision.event,
        redeemed_at: tx.now(),
        start_by: start_by(request, policy),
        max_run_duration: policy.max_run_duration,
        started_at: None,
        ended_at: None,
        ended_reason: None,
        cancel_pending: false,
    };
    runs::insert(tx, &run, &policy.facts)?;
    tx.prepare_cached("INSERT INTO spends (spend_key, run_uid, run_path) VALUES (?1, ?2, ?3)")?.execute(params![
        Hash(ticket.spend_key),
        run.uid,
        run.path()
    ])?;
    tx.audit(&Entry {
        user: Some(user),
        decision: Some(run.decision_id.clone()),
        run: Some(run.path()),
        detail: json!({ "uid": run.uid, "policy": run.policy }),
        ..Entry::new(audit::Kind::Redeemed)
    })?;
    Ok(Redemption::Redeemed(run))
}

/// One audit row a run: whoever asks again learns the same, and fills nothing.
fn refuse(tx: &mut Tx<'_>, request: &RedeemRequest, sentence: String) -> Result<Redemption, StoreError> {
    let first = tx
        .prepare_cached(
            "INSERT INTO refused_redemptions (run_uid, at, reason) VALUES (?1, ?2, ?3) ON CONFLICT (run_uid) DO NOTHING",
        )?
        .execute(params![request.uid, Time(tx.now()), sentence])?;
    if first == 1 {
        let ticket = match request.ticket {
            Some(hash) => ticket(tx, hash)?,
            None => None,
        };
        tx.audit(&Entry {
            decision: ticket.map(|ticket| ticket.decision_id),
            run: Some(format!("{}/{}", request.namespace, request.name)),
            detail: json!({ "uid": request.uid, "reason": sentence }),
            ..Entry::new(audit::Kind::RedemptionRefused)
        })?;
    }
    Ok(Redemption::Refused(sentence))
}

fn ticket(conn: &Conn, hash: SecretHash) -> Result<Option<Ticket>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT decision_id, expires_at, spend_key, void FROM tickets WHERE hash = ?1")?;
    let ticket = select.query_row([Hash(hash)], |row| {
        Ok(Ticket {
            decision_id: row.get(0)?,
            expires_at: row.get::<Time>(1)?.0,
            spend_key: row.get::<Hash>(2)?.0,
            void: row.get(3)?,
        })
    });
    Ok(ticket.optional()?)
}

fn start_by(request: &RedeemRequest, policy: &RedeemPolicy) -> DateTime<Utc> {
    let delay = Duration::try_seconds(policy.max_start_delay).unwrap_or_else(Duration::zero);
    whole_micros(request.created_at.checked_add_signed(delay).unwrap_or(request.created_at))
}

fn no_ticket() -> String {
    "this run carries no ticket of ours, so nobody answers for it; start it by an event through the EventListener"
        .into()
}
