//! Intents to revoke: recorded in the transaction of what causes them.

use chrono::Duration;
use serde_json::json;

use super::{
    conn::params,
    entitlement,
    entitlement::Judge,
    grants, owners,
    rows::{Id, Time, Word},
    runs,
    tx::Tx,
};
use crate::{
    api::{GrantPhase, RevocationReason},
    audit::{self, Entry},
    identity::ResourceId,
    store::{GrantId, GrantRecord, Revocations, RunRecord, StoreError},
};

/// What happened to people.
pub enum Cause {
    /// This one is gone, whatever the policies say.
    Gone(ResourceId, RevocationReason),
    /// These may have lost something, and with them the Agents that they own: their live runs are judged.
    Judge(Vec<ResourceId>),
    /// These Agents, or their owners, are not what they were.
    Agents(Vec<ResourceId>),
}

/// Whose Grants.
pub enum Which<'a> {
    /// All of a run.
    Run(&'a str),
    /// All of a user.
    User(ResourceId),
    /// This one.
    One(GrantId),
    /// All that there are.
    All,
}

/// How long after its end a run's pods are still looked for when the person is gone: Tekton lets cancelled pods take
/// their grace period, and a step decides how long that is.
const PODS_MAY_LIVE: Duration = Duration::hours(1);

/// Records what follows from a change of people. Also tells what was asked for earlier and is not done: an IdP takes
/// someone from their groups a moment before it deactivates them, and its answer must wait for that as well.
pub fn because(tx: &mut Tx<'_>, cause: Cause) -> Result<Revocations, StoreError> {
    let mut revocations = Revocations::default();
    match cause {
        Cause::Gone(user, reason) => {
            gone(tx, user, reason, &mut revocations)?;
            revocations.join(because(tx, Cause::Agents(owners::agents_of(tx, user)?))?);
        }
        Cause::Judge(mut users) => {
            for at in 0..users.len() {
                let Some(user) = users.get(at).copied() else { break };
                users.append(&mut owners::agents_of(tx, user)?);
            }
            judge(tx, users, &mut revocations)?;
        }
        Cause::Agents(agents) => {
            let mut alive = Vec::new();
            for agent in agents {
                match entitlement::admitted(tx, agent)? {
                    Ok(_) => alive.push(agent),
                    Err(barred) => gone(tx, agent, barred.reason(), &mut revocations)?,
                }
            }
            judge(tx, alive, &mut revocations)?;
        }
    }
    Ok(revocations)
}

fn gone(tx: &mut Tx<'_>, user: ResourceId, reason: RevocationReason, into: &mut Revocations) -> Result<(), StoreError> {
    // Before anything is asked for, which would be found here again.
    into.grants.append(&mut grants::outstanding(tx, user)?);
    for run in runs::ended_lately(tx, user, tx.now() - PODS_MAY_LIVE)? {
        end_again(tx, run, reason, into)?;
    }
    for live in runs::live_of_user(tx, user)? {
        end_run(tx, live.run, reason, into)?;
    }
    // Ended runs have none that is not asked for already; a person who is gone leaves no doubt.
    ask(tx, &Which::User(user), reason, into)
}

fn judge(tx: &mut Tx<'_>, mut users: Vec<ResourceId>, into: &mut Revocations) -> Result<(), StoreError> {
    users.sort_unstable();
    users.dedup();
    let mut lost = Vec::new();
    let mut judge = Judge::new(tx);
    for user in users {
        into.grants.append(&mut grants::outstanding(tx, user)?);
        for live in runs::live_of_user(tx, user)? {
            if let Some(reason) = judge.loss(user, &live.subjects)? {
                lost.push((live.run, reason));
            }
        }
    }
    for (run, reason) in lost {
        end_run(tx, run, reason, into)?;
    }
    Ok(())
}

/// Ends a live run, and asks for its Grants.
pub fn end_run(
    tx: &mut Tx<'_>,
    mut run: RunRecord,
    reason: RevocationReason,
    into: &mut Revocations,
) -> Result<(), StoreError> {
    run.ended_at = Some(tx.now());
    run.ended_reason = Some(reason);
    run.cancel_pending = reason.cancels_run();
    tx.prepare_cached("UPDATE runs SET ended_at = ?2, ended_reason = ?3, cancel_pending = ?4 WHERE uid = ?1")?
        .execute(params![run.uid, Time(tx.now()), Word(reason), run.cancel_pending])?;
    tx.audit(&about_run(&run, audit::Kind::RunEnded))?;
    ask(tx, &Which::Run(&run.uid), reason, into)?;
    if run.cancel_pending {
        into.runs.push((run, reason));
    }
    Ok(())
}

/// A run that ended for less than its person's end: what may be left of it is now treated as a leaver's.
fn end_again(
    tx: &mut Tx<'_>,
    mut run: RunRecord,
    reason: RevocationReason,
    into: &mut Revocations,
) -> Result<(), StoreError> {
    if !run.ended_reason.is_some_and(|was| was.cancels_run() && !was.person_is_gone()) {
        return Ok(());
    }
    run.ended_reason = Some(reason);
    // It is what finds the run again if we stop before its pods are gone.
    run.cancel_pending = true;
    tx.prepare_cached("UPDATE runs SET ended_reason = ?2, cancel_pending = 1 WHERE uid = ?1")?
        .execute(params![run.uid, Word(reason)])?;
    tx.audit(&about_run(&run, audit::Kind::RunEnded))?;
    into.runs.push((run, reason));
    Ok(())
}

/// Pending and Active Grants become Revoking. What is Revoking already keeps its first reason.
pub fn ask(
    tx: &mut Tx<'_>,
    which: &Which<'_>,
    reason: RevocationReason,
    into: &mut Revocations,
) -> Result<(), StoreError> {
    for mut grant in grants::open(tx, which)? {
        grant.phase = GrantPhase::Revoking;
        grant.reason = Some(reason);
        grant.asked_at = Some(tx.now());
        tx.prepare_cached("UPDATE grants SET phase = ?2, reason = ?3, asked_at = ?4 WHERE id = ?1")?
            .execute(params![Id::from(grant.id), Word(grant.phase), Word(reason), Time(tx.now())])?;
        let mut entry = about_grant(&grant, audit::Kind::RevocationAsked);
        entry.detail = json!({ "reason": reason });
        tx.audit(&entry)?;
        into.grants.push(grant);
    }
    Ok(())
}

/// An entry about a run.
pub fn about_run(run: &RunRecord, kind: audit::Kind) -> Entry {
    Entry {
        user: Some(run.user),
        decision: Some(run.decision_id.clone()),
        run: Some(run.path()),
        detail: json!({ "uid": run.uid, "reason": run.ended_reason }),
        ..Entry::new(kind)
    }
}

/// An entry about a Grant.
pub fn about_grant(grant: &GrantRecord, kind: audit::Kind) -> Entry {
    Entry {
        user: Some(grant.user),
        decision: Some(grant.decision_id.clone()),
        run: Some(format!("{}/{}", grant.namespace, grant.run_name)),
        grant: Some(grant.id.to_string()),
        ..Entry::new(kind)
    }
}
