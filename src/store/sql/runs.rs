//! Redeemed runs: from the redemption to their end.

use chrono::{DateTime, Utc};

use super::{
    conn::{Conn, OptionalExtension as _, Params, Row, SqlResult, params},
    entitlement::Judge,
    revoke::{self, Which},
    rows::{Id, Json, Time, Word},
    tx::Tx,
};
use crate::{
    api::RevocationReason,
    audit,
    directory::SubjectRef,
    identity::{IdpName, ResourceId},
    policy::PolicyFacts,
    store::{Revocations, RunRecord, StoreError},
};

const COLUMNS: &str =
    "uid, namespace, name, user_id, idp, user_name, policy, decision_id, event, redeemed_at, start_by,
     max_run_duration, started_at, ended_at, ended_reason, cancel_pending, subjects, subjects_generation";

/// By `runs_ended_user`: a bot has 100,000 runs that ended long ago.
pub const ENDED_LATELY: &str = "user_id = ?1 AND ended_at >= ?2";

/// A run and what its entitlement rests on.
pub struct Stored {
    pub run: RunRecord,
    pub subjects: Vec<SubjectRef>,
    generation: i64,
}

fn read(row: &Row<'_>) -> SqlResult<Stored> {
    let idp: String = row.get(4)?;
    Ok(Stored {
        run: RunRecord {
            uid: row.get(0)?,
            namespace: row.get(1)?,
            name: row.get(2)?,
            user: ResourceId(row.get::<Id>(3)?.0),
            idp: IdpName::from(idp.as_str()),
            user_name: row.get(5)?,
            policy: row.get::<Json<_>>(6)?.0,
            decision_id: row.get(7)?,
            event: row.get::<Json<_>>(8)?.0,
            redeemed_at: row.get::<Time>(9)?.0,
            start_by: row.get::<Time>(10)?.0,
            max_run_duration: row.get(11)?,
            started_at: row.get::<Option<Time>>(12)?.map(|time| time.0),
            ended_at: row.get::<Option<Time>>(13)?.map(|time| time.0),
            ended_reason: row.get::<Option<Word<_>>>(14)?.map(|word| word.0),
            cancel_pending: row.get(15)?,
        },
        subjects: row.get::<Json<_>>(16)?.0,
        generation: row.get(17)?,
    })
}

fn select(conn: &Conn, filter: &str, params: impl Params) -> Result<Vec<Stored>, StoreError> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE {filter}"))?;
    Ok(select.query_map(params, read)?)
}

/// One run.
pub fn get(conn: &Conn, uid: &str) -> Result<Option<Stored>, StoreError> {
    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE uid = ?1"))?;
    Ok(select.query_row([uid], read).optional()?)
}

/// Runs that have not ended, and those that have still to be told to.
pub fn live(conn: &Conn) -> Result<Vec<RunRecord>, StoreError> {
    let mut runs = select(conn, "ended_at IS NULL", params![])?;
    runs.extend(select(conn, "cancel_pending = 1 AND ended_at IS NOT NULL", params![])?);
    let mut runs: Vec<_> = runs.into_iter().map(|stored| stored.run).collect();
    runs.sort_by(|left, right| (left.redeemed_at, &left.uid).cmp(&(right.redeemed_at, &right.uid)));
    Ok(runs)
}

/// Runs that Tekton has still to be told to cancel.
pub fn to_cancel(conn: &Conn) -> Result<Vec<RunRecord>, StoreError> {
    let runs = select(conn, "cancel_pending = 1 AND ended_at IS NOT NULL", params![])?;
    Ok(runs.into_iter().map(|stored| stored.run).collect())
}

/// Live runs of a user.
pub fn live_of_user(conn: &Conn, user: ResourceId) -> Result<Vec<Stored>, StoreError> {
    select(conn, "user_id = ?1 AND ended_at IS NULL", [Id::from(user)])
}

/// Runs of a user that ended at this moment or later.
pub fn ended_lately(conn: &Conn, user: ResourceId, since: DateTime<Utc>) -> Result<Vec<RunRecord>, StoreError> {
    let runs = select(conn, ENDED_LATELY, params![Id::from(user), Time(since)])?;
    Ok(runs.into_iter().map(|stored| stored.run).collect())
}

/// Inserts a run that has just been redeemed.
pub fn insert(tx: &Tx<'_>, run: &RunRecord, facts: &PolicyFacts) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO runs (uid, namespace, name, user_id, idp, user_name, policy, policy_uid, decision_id, event,
         redeemed_at, start_by, max_run_duration, subjects, subjects_generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        run.uid,
        run.namespace,
        run.name,
        Id::from(run.user),
        run.idp.as_str(),
        run.user_name,
        Json(&run.policy),
        run.policy.uid,
        run.decision_id,
        Json(&run.event),
        Time(run.redeemed_at),
        Time(run.start_by),
        run.max_run_duration,
        Json(&facts.subjects),
        facts.generation,
    ])?;
    Ok(())
}

/// Notes the start. One that comes after `start_by` changes nothing: the authority had ended by then.
pub fn started(tx: &Tx<'_>, uid: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
    let noted = tx
        .prepare_cached("UPDATE runs SET started_at = ?2 WHERE uid = ?1 AND started_at IS NULL AND start_by >= ?2")?
        .execute(params![uid, Time(at)])?;
    if noted == 0 && get(tx, uid)?.is_none() {
        return Err(StoreError::NotFound(format!("run {uid}")));
    }
    Ok(())
}

/// Ends a run. One that we never redeemed has nothing to revoke.
pub fn ended(tx: &mut Tx<'_>, uid: &str, reason: RevocationReason) -> Result<Revocations, StoreError> {
    let mut revocations = Revocations::default();
    match get(tx, uid)?.map(|stored| stored.run) {
        None => {}
        Some(run) if run.ended_at.is_none() => revoke::end_run(tx, run, reason, &mut revocations)?,
        Some(run) => revoke::ask(tx, &Which::Run(&run.uid), reason, &mut revocations)?,
    }
    Ok(revocations)
}

/// Takes in a policy's subjects; live runs that stood on others are judged anew.
pub fn policy_changed(tx: &mut Tx<'_>, policy_uid: &str, now: Option<&PolicyFacts>) -> Result<Revocations, StoreError> {
    let mut lost = Vec::new();
    let mut judge = Judge::new(tx);
    for live in select(tx, "policy_uid = ?1 AND ended_at IS NULL", [policy_uid])? {
        let Some(facts) = now else {
            lost.push((live.run, RevocationReason::PolicyChanged));
            continue;
        };
        if live.generation == facts.generation {
            continue;
        }
        tx.prepare_cached("UPDATE runs SET subjects = ?2, subjects_generation = ?3 WHERE uid = ?1")?
            .execute(params![live.run.uid, Json(&facts.subjects), facts.generation])?;
        if judge.loss(live.run.user, &facts.subjects)?.is_some() {
            lost.push((live.run, RevocationReason::PolicyChanged));
        }
    }
    let mut revocations = Revocations::default();
    for (run, reason) in lost {
        revoke::end_run(tx, run, reason, &mut revocations)?;
    }
    Ok(revocations)
}

/// Tekton was told.
pub fn cancel_done(tx: &mut Tx<'_>, uid: &str) -> Result<(), StoreError> {
    let cleared = tx
        .prepare_cached("UPDATE runs SET cancel_pending = 0 WHERE uid = ?1 AND cancel_pending = 1")?
        .execute([uid])?;
    if cleared == 1
        && let Some(stored) = get(tx, uid)?
    {
        tx.audit(&revoke::about_run(&stored.run, audit::Kind::RunCancelled))?;
    }
    Ok(())
}
