//! A Grant's way to being Active, and how it stays so. Each step is a compare-and-set on the row: of two leaders one
//! wins, and no intent to revoke is overtaken.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    conn::params,
    entitlement::{self, Barred, Judge},
    grants,
    revoke::{self, about_grant},
    rows::{Id, Json, Time, Word},
    runs,
    tx::Tx,
};
use crate::{
    api::{GrantPhase, RevocationReason},
    audit,
    directory::unconfirmed,
    store::{Activated, Begun, GrantId, GrantRecord, Issued, NewGrant, Revocations, StoreError},
};

/// Leaves a Pending row with the epoch of the judgement.
pub fn begin(tx: &mut Tx<'_>, new: &NewGrant) -> Result<Begun, StoreError> {
    if let Some(grant) = grants::of_task(tx, &new.run_uid, &new.task, new.index)? {
        return Ok(Begun::Existing(grant));
    }
    let Some(stored) = runs::get(tx, &new.run_uid)? else {
        return Ok(Begun::Refused("this run redeemed no ticket of ours, so no credential is issued to it".into()));
    };
    let run = &stored.run;
    if let Some(reason) = run.ended_reason {
        return Ok(Begun::Refused(format!("this run's authority has ended: {}", reason.as_str())));
    }
    if tx.now() >= run.not_after() {
        let until = crate::clock::rfc3339(run.not_after());
        return Ok(Begun::Refused(format!("this run's authority ended at {until} (AccessPolicy {})", run.policy.name)));
    }
    if let Err(Barred::Unconfirmed(idp)) = entitlement::admitted(tx, run.user)? {
        return Ok(Begun::Refused(unconfirmed(&idp)));
    }
    if let Some(reason) = Judge::new(tx).loss(run.user, &stored.subjects)? {
        return Ok(Begun::Refused(format!(
            "the person behind this run is not entitled by AccessPolicy {} any more: {}",
            run.policy.name,
            reason.as_str()
        )));
    }
    let user_name = entitlement::person(tx, run.user)?.map_or_else(|| run.user_name.clone(), |now| now.user_name);
    tx.prepare_cached(
        "INSERT INTO grants (id, run_uid, task, matrix_index, user_id, user_name, provider, template, template_uid,
         facts, phase, epoch, created_at, not_after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        Id::from(new.id),
        new.run_uid,
        new.task,
        new.index,
        Id::from(run.user),
        user_name,
        new.provider,
        Json(&new.template),
        new.template.uid,
        Json(&new.facts),
        Word(GrantPhase::Pending),
        tx.epoch()?,
        Time(tx.now()),
        Time(run.not_after()),
    ])?;
    let grant = grants::expect(tx, new.id)?;
    let mut entry = about_grant(&grant, audit::Kind::GrantPending);
    entry.detail = json!({ "task": grant.task, "index": grant.index, "template": grant.template,
        "policy": grant.policy, "provider": grant.provider });
    tx.audit(&entry)?;
    Ok(Begun::Pending(grant))
}

/// Pending → Active, or the intent to revoke.
pub fn activate(tx: &mut Tx<'_>, id: GrantId, issued: &Issued) -> Result<Activated, StoreError> {
    let grant = grants::expect(tx, id)?;
    match grant.phase {
        GrantPhase::Pending => {}
        // Whoever issued it first hands it out; a second credential under one row would escape its revocation.
        GrantPhase::Active => {
            return Err(StoreError::Limit(format!("grant {id} is Active already: another has issued it")));
        }
        GrantPhase::Revoking | GrantPhase::Revoked | GrantPhase::Failed => return Ok(Activated::Revoking(grant)),
    }
    let epoch = tx.epoch()?;
    if let Some(reason) = ended(tx, &grant, grant.epoch == epoch)? {
        return take_back(tx, &grant, reason);
    }
    tx.prepare_cached(
        "UPDATE grants SET phase = ?2, epoch = ?3, issued_at = ?4, expires_at = ?5, secret_name = ?6, facts = ?7
         WHERE id = ?1 AND phase = 'Pending'",
    )?
    .execute(params![
        Id::from(id),
        Word(GrantPhase::Active),
        epoch,
        Time(tx.now()),
        Time(issued.expires_at),
        issued.secret_name,
        Json(&issued.facts),
    ])?;
    let grant = grants::expect(tx, id)?;
    audit_life(tx, &grant, audit::Kind::GrantIssued)?;
    Ok(Activated::Active(grant))
}

/// A longer life for an Active Grant, or the intent to revoke.
pub fn renew(tx: &mut Tx<'_>, id: GrantId, expires_at: DateTime<Utc>) -> Result<Activated, StoreError> {
    let grant = grants::expect(tx, id)?;
    match grant.phase {
        GrantPhase::Active => {}
        GrantPhase::Pending => {
            return Err(StoreError::Limit(format!("grant {id} is Pending: it must be activated before it is renewed")));
        }
        GrantPhase::Revoking | GrantPhase::Revoked | GrantPhase::Failed => return Ok(Activated::Revoking(grant)),
    }
    if let Some(reason) = ended(tx, &grant, false)? {
        return take_back(tx, &grant, reason);
    }
    tx.prepare_cached("UPDATE grants SET expires_at = ?2, renewals = renewals + 1 WHERE id = ?1 AND phase = 'Active'")?
        .execute(params![Id::from(id), Time(expires_at)])?;
    let grant = grants::expect(tx, id)?;
    audit_life(tx, &grant, audit::Kind::GrantRenewed)?;
    Ok(Activated::Active(grant))
}

/// Pending → Failed. An intent to revoke that has come meanwhile stands: it removes the same objects.
pub fn fail(tx: &mut Tx<'_>, id: GrantId, why: &str) -> Result<(), StoreError> {
    let grant = grants::expect(tx, id)?;
    if grant.phase != GrantPhase::Pending {
        return Ok(());
    }
    tx.prepare_cached("UPDATE grants SET phase = ?2, failure = ?3 WHERE id = ?1")?.execute(params![
        Id::from(id),
        Word(GrantPhase::Failed),
        why
    ])?;
    let mut entry = about_grant(&grant, audit::Kind::GrantFailed);
    entry.detail = json!({ "why": why });
    tx.audit(&entry)
}

/// Why a Grant may not live on, if it may not. `judged`: the entitlement is known to hold.
fn ended(tx: &Tx<'_>, grant: &GrantRecord, judged: bool) -> Result<Option<RevocationReason>, StoreError> {
    if tx.now() >= grant.not_after {
        return Ok(Some(RevocationReason::Expired));
    }
    let Some(stored) = runs::get(tx, &grant.run_uid)? else { return Ok(Some(RevocationReason::RunDeleted)) };
    if stored.run.ended_at.is_some() {
        return Ok(Some(stored.run.ended_reason.unwrap_or(RevocationReason::RunFinished)));
    }
    if judged { Ok(None) } else { Judge::new(tx).loss(grant.user, &stored.subjects) }
}

/// What is lost is lost to the whole run; what has expired is this Grant alone.
fn take_back(tx: &mut Tx<'_>, grant: &GrantRecord, reason: RevocationReason) -> Result<Activated, StoreError> {
    let mut revocations = Revocations::default();
    let run = runs::get(tx, &grant.run_uid)?.map(|stored| stored.run).filter(|run| run.ended_at.is_none());
    match run {
        Some(run) if reason != RevocationReason::Expired => revoke::end_run(tx, run, reason, &mut revocations)?,
        _ => revoke::ask(tx, &revoke::Which::One(grant.id), reason, &mut revocations)?,
    }
    Ok(Activated::Revoking(grants::expect(tx, grant.id)?))
}

fn audit_life(tx: &mut Tx<'_>, grant: &GrantRecord, kind: audit::Kind) -> Result<(), StoreError> {
    let mut entry = about_grant(grant, kind);
    entry.detail = json!({ "expiresAt": grant.expires_at.map(crate::clock::rfc3339), "renewals": grant.renewals });
    tx.audit(&entry)
}
