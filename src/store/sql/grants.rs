//! Grants as rows: read, selected, and what a revocation achieved.

use serde_json::json;

use super::{
    conn::{Conn, OptionalExtension as _, Row, SqlError, SqlResult, ToColumn, params},
    receipt,
    revoke::{self, Which},
    rows::{Id, Json, Time, Word},
    tx::Tx,
};
use crate::{
    api::{GrantPhase, Receipt, RevocationReason},
    audit,
    identity::{IdpName, ResourceId},
    store::{GrantId, GrantRecord, GrantSelect, Revocations, StoreError},
};

/// Columns as `read` takes them.
pub const SELECT: &str = "SELECT g.id, g.run_uid, r.namespace, r.name, g.task, g.matrix_index, g.user_id, r.idp, g.user_name,
     g.provider, r.policy, g.template, r.decision_id, g.facts, g.phase, g.epoch, g.created_at, g.issued_at, g.expires_at,
     g.not_after, g.renewals, g.secret_name, g.asked_at, g.revoked_at, g.reason, g.receipt, g.failure
     FROM grants g JOIN runs r ON r.uid = g.run_uid";

/// Which are `outstanding`.
pub const OUTSTANDING: &str =
    "WHERE g.user_id = ?1 AND g.phase IN ('Revoking', 'Failed') AND g.revoked_at IS NULL ORDER BY g.created_at";

fn read(row: &Row<'_>) -> SqlResult<GrantRecord> {
    let idp: String = row.get(7)?;
    let time = |column: usize| Ok::<_, SqlError>(row.get::<Option<Time>>(column)?.map(|time| time.0));
    Ok(GrantRecord {
        id: GrantId(row.get::<Id>(0)?.0),
        run_uid: row.get(1)?,
        namespace: row.get(2)?,
        run_name: row.get(3)?,
        task: row.get(4)?,
        index: row.get(5)?,
        user: ResourceId(row.get::<Id>(6)?.0),
        idp: IdpName::from(idp.as_str()),
        user_name: row.get(8)?,
        provider: row.get(9)?,
        policy: row.get::<Json<_>>(10)?.0,
        template: row.get::<Json<_>>(11)?.0,
        decision_id: row.get(12)?,
        facts: row.get::<Json<_>>(13)?.0,
        phase: row.get::<Word<_>>(14)?.0,
        epoch: row.get(15)?,
        created_at: row.get::<Time>(16)?.0,
        issued_at: time(17)?,
        expires_at: time(18)?,
        not_after: row.get::<Time>(19)?.0,
        renewals: row.get(20)?,
        secret_name: row.get(21)?,
        asked_at: time(22)?,
        revoked_at: time(23)?,
        reason: row.get::<Option<Word<_>>>(24)?.map(|word| word.0),
        receipt: row.get::<Option<Json<_>>>(25)?.map(|json| json.0),
        failure: row.get(26)?,
    })
}

/// One Grant.
pub fn get(conn: &Conn, id: GrantId) -> Result<Option<GrantRecord>, StoreError> {
    let mut select = conn.prepare_cached(&format!("{SELECT} WHERE g.id = ?1"))?;
    Ok(select.query_row([Id::from(id)], read).optional()?)
}

/// One Grant that must be there.
pub fn expect(conn: &Conn, id: GrantId) -> Result<GrantRecord, StoreError> {
    get(conn, id)?.ok_or_else(|| StoreError::NotFound(format!("grant {id}")))
}

/// The Grant of a run's task, where there is one.
pub fn of_task(conn: &Conn, run: &str, task: &str, index: i64) -> Result<Option<GrantRecord>, StoreError> {
    let filter = "WHERE g.run_uid = ?1 AND g.task = ?2 AND g.matrix_index = ?3";
    let mut select = conn.prepare_cached(&format!("{SELECT} {filter}"))?;
    Ok(select.query_row(params![run, task, index], read).optional()?)
}

/// Those that are Pending or Active.
pub fn open(conn: &Conn, which: &Which<'_>) -> Result<Vec<GrantRecord>, StoreError> {
    let (column, value): (_, Box<dyn ToColumn>) = match which {
        Which::Run(uid) => ("g.run_uid", Box::new((*uid).to_owned())),
        Which::User(user) => ("g.user_id", Box::new(Id::from(*user))),
        Which::One(id) => ("g.id", Box::new(Id::from(*id))),
        // Of every row.
        Which::All => ("1", Box::new(1)),
    };
    let sql = format!("{SELECT} WHERE {column} = ?1 AND g.phase IN ('Pending', 'Active') ORDER BY g.created_at");
    let mut select = conn.prepare_cached(&sql)?;
    Ok(select.query_map([value], read)?)
}

/// Those of a user whose revocation was asked for, or whose issue failed, and whose objects are not known to be gone.
pub fn outstanding(conn: &Conn, user: ResourceId) -> Result<Vec<GrantRecord>, StoreError> {
    let mut select = conn.prepare_cached(&format!("{SELECT} {OUTSTANDING}"))?;
    Ok(select.query_map([Id::from(user)], read)?)
}

/// Those that match, oldest first.
pub fn select(conn: &Conn, which: &GrantSelect) -> Result<Vec<GrantRecord>, StoreError> {
    let (sql, values) = selection(which);
    let mut select = conn.prepare_cached(&sql)?;
    Ok(select.query_map(values, read)?)
}

/// The query for those that match, and its values.
pub fn selection(select: &GrantSelect) -> (String, Vec<Box<dyn ToColumn>>) {
    let mut filter = vec!["TRUE".to_owned()];
    let mut values: Vec<Box<dyn ToColumn>> = Vec::new();
    let mut equal = |column: &str, value: Option<Box<dyn ToColumn>>| {
        if let Some(value) = value {
            values.push(value);
            filter.push(format!("{column} = ?{}", values.len()));
        }
    };
    equal("g.user_id", select.user.map(|user| Box::new(Id::from(user)) as _));
    equal("g.run_uid", select.run_uid.clone().map(|uid| Box::new(uid) as _));
    equal("r.policy_uid", select.policy_uid.clone().map(|uid| Box::new(uid) as _));
    equal("g.template_uid", select.template_uid.clone().map(|uid| Box::new(uid) as _));
    if !select.phases.is_empty() {
        // The addition keeps the planner off the index on the phase where fewer rows are found otherwise.
        let few = select.user.is_some() || select.run_uid.is_some() || select.template_uid.is_some();
        let phase = if few { "g.phase || ''" } else { "g.phase" };
        let mut places = Vec::new();
        for phase in &select.phases {
            values.push(Box::new(Word(*phase)));
            places.push(format!("?{}", values.len()));
        }
        filter.push(format!("{phase} IN ({})", places.join(", ")));
    }
    if select.unfinished {
        filter.push("g.revoked_at IS NULL".to_owned());
    }
    if let Some(before) = select.expires_before {
        values.push(Box::new(Time(before)));
        filter.push(format!("g.expires_at < ?{}", values.len()));
    }
    if let Some(since) = select.ended_since {
        values.push(Box::new(Time(since)));
        filter.push(format!("g.revoked_at >= ?{}", values.len()));
    }
    (format!("{SELECT} WHERE {} ORDER BY g.created_at, g.id", filter.join(" AND ")), values)
}

/// Records the intent to revoke one Grant.
pub fn revoke(tx: &mut Tx<'_>, id: GrantId, reason: RevocationReason) -> Result<Revocations, StoreError> {
    expect(tx, id)?;
    let mut revocations = Revocations::default();
    revoke::ask(tx, &Which::One(id), reason, &mut revocations)?;
    Ok(revocations)
}

/// Takes in what a revocation achieved; when it is done, Revoking → Revoked.
pub fn record_receipt(tx: &mut Tx<'_>, id: GrantId, new: Receipt, done: bool) -> Result<(), StoreError> {
    let grant = expect(tx, id)?;
    let mut whole = match grant.receipt.clone() {
        Some(old) => receipt::merge(old, new),
        None => new,
    };
    if done || grant.revoked_at.is_some() {
        // All has been done and proven, whatever somebody who appends had read before.
        whole.unproven.clear();
    }
    tx.prepare_cached("UPDATE grants SET receipt = ?2 WHERE id = ?1")?.execute(params![Id::from(id), Json(&whole)])?;
    // A Failed Grant stays Failed; that its objects are gone is known by the time.
    let phase = match grant.phase {
        GrantPhase::Revoking if done => GrantPhase::Revoked,
        GrantPhase::Failed if done && grant.revoked_at.is_none() => GrantPhase::Failed,
        _ => return Ok(()),
    };
    tx.prepare_cached("UPDATE grants SET phase = ?2, revoked_at = ?3 WHERE id = ?1")?.execute(params![
        Id::from(id),
        Word(phase),
        Time(tx.now())
    ])?;
    let mut entry = revoke::about_grant(&grant, audit::Kind::Revoked);
    entry.detail = json!({ "reason": grant.reason, "receipt": whole });
    tx.audit(&entry)
}
