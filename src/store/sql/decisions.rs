//! Decisions and the tickets that allowed ones carry.

use serde_json::json;

use super::{
    conn::{Conn, OptionalExtension as _, Row, SqlResult, params},
    entitlement::{self, Barred},
    rows::{Hash, Id, Json, Time},
    tx::Tx,
};
use crate::{
    audit::{self, Entry},
    identity::ResourceId,
    store::{DecisionOutcome, DecisionRecord, NewDecision, StoreError, TraceStep},
    ticket::SecretHash,
};

/// Records a decision. What is allowed is checked once more, here where all replicas meet: the person is active, their
/// IdP is believed, and the event has started no run.
pub fn record(tx: &mut Tx<'_>, mut decision: NewDecision) -> Result<DecisionOutcome, StoreError> {
    let outcome = if decision.allowed { recheck(tx, &decision)? } else { DecisionOutcome::Recorded };
    if let Some(denial) = outcome.denial() {
        decision.allowed = false;
        decision.code = denial.code;
        decision.reason_code = denial.reason_code.into();
        decision.trace.push(TraceStep { check: "store".into(), ok: false, found: denial.reason.clone() });
        decision.reason = denial.reason;
        decision.ticket = None;
    }
    tx.prepare_cached(
        "INSERT INTO decisions (id, at, allowed, code, reason_code, reason, trace, user_id, namespace, trigger_id,
         policy, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        decision.id,
        Time(decision.at),
        decision.allowed,
        decision.code,
        decision.reason_code,
        decision.reason,
        Json(&decision.trace),
        decision.user.map(Id::from),
        decision.namespace,
        decision.trigger,
        decision.policy.as_ref().map(Json),
        Json(&decision.event),
    ])?;
    if let Some(ticket) = decision.ticket.as_ref().filter(|_| decision.allowed) {
        tx.prepare_cached("INSERT INTO tickets (hash, decision_id, expires_at, spend_key) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![Hash(ticket.hash), decision.id, Time(ticket.expires_at), Hash(ticket.spend_key)])?;
    }
    let kind = if decision.allowed { audit::Kind::DecisionAllowed } else { audit::Kind::DecisionDenied };
    // The sentence may name a person: it stands in the decision's row, not in the chain.
    tx.audit(&Entry {
        user: decision.user,
        decision: Some(decision.id),
        detail: json!({
            "reason": decision.reason_code,
            "code": decision.code,
            "namespace": decision.namespace,
            "trigger": decision.trigger,
            "policy": decision.policy,
            "source": decision.event.source,
            "event": decision.event.event,
        }),
        ..Entry::new(kind)
    })?;
    Ok(outcome)
}

fn recheck(tx: &Tx<'_>, decision: &NewDecision) -> Result<DecisionOutcome, StoreError> {
    let barred = match decision.user {
        Some(user) => entitlement::admitted(tx, user)?.err(),
        None => Some(Barred::Deleted),
    };
    match barred {
        None => {}
        Some(Barred::Unconfirmed(idp)) => return Ok(DecisionOutcome::Unconfirmed(idp)),
        Some(Barred::Deleted | Barred::Deactivated | Barred::OwnerGone) => return Ok(DecisionOutcome::NotActive),
    }
    let spent = match &decision.ticket {
        Some(ticket) => spent_by(tx, ticket.spend_key)?,
        None => None,
    };
    Ok(spent.map_or(DecisionOutcome::Recorded, |(_, run)| DecisionOutcome::Spent(run)))
}

/// Uid and path of the run that an event has started.
pub fn spent_by(conn: &Conn, spend_key: SecretHash) -> Result<Option<(String, String)>, StoreError> {
    let mut select = conn.prepare_cached("SELECT run_uid, run_path FROM spends WHERE spend_key = ?1")?;
    Ok(select.query_row([Hash(spend_key)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// A recorded decision.
pub fn get(conn: &Conn, id: &str) -> Result<Option<DecisionRecord>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT id, at, allowed, code, reason_code, reason, trace, user_id, namespace, trigger_id, policy, event
         FROM decisions WHERE id = ?1",
    )?;
    Ok(select.query_row([id], read).optional()?)
}

fn read(row: &Row<'_>) -> SqlResult<DecisionRecord> {
    Ok(DecisionRecord {
        id: row.get(0)?,
        at: row.get::<Time>(1)?.0,
        allowed: row.get(2)?,
        code: row.get(3)?,
        reason_code: row.get(4)?,
        reason: row.get(5)?,
        trace: row.get::<Json<_>>(6)?.0,
        user: row.get::<Option<Id>>(7)?.map(|id| ResourceId(id.0)),
        namespace: row.get(8)?,
        trigger: row.get(9)?,
        policy: row.get::<Option<Json<_>>>(10)?.map(|json| json.0),
        event: row.get::<Json<_>>(11)?.0,
    })
}
