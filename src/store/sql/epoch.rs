//! A new epoch. A backup knows nothing of who has left since: nothing of before it gives anybody anything.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    conn::{Conn, params},
    idps,
    revoke::{self, Which},
    runs, standing, tokens,
    tx::{Heads, Tx},
};
use crate::{
    api::RevocationReason,
    audit::{Entry, Kind},
    store::{AuditHead, Restored, Revocations, StoreError},
};

/// In one transaction, so that no half of it can ever be served.
pub fn begin(conn: &mut Conn, now: DateTime<Utc>) -> Result<Restored, StoreError> {
    conn.begin()?;
    let conn = &*conn;
    let (mut heads, mut changes) = (Heads::load(conn)?, Vec::new());
    let backup = standing::head(conn)?;
    let begun = end_what_was(&mut Tx::new(conn, now, &mut heads, &mut changes), backup);
    conn.control(if begun.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    begun
}

fn end_what_was(tx: &mut Tx<'_>, backup: AuditHead) -> Result<Restored, StoreError> {
    let (was, store) = (standing::of(tx)?.store, Uuid::new_v4());
    standing::become_restored(tx, store)?;
    tx.raise_epoch()?;
    tx.leap_feed()?;
    let tickets = tx.prepare_cached("UPDATE tickets SET void = 1 WHERE void = 0")?.execute(params![])?;
    let idps = idps::doubt_all(tx, tx.now())?;
    // First: what follows is told as its consequence.
    tx.audit(&Entry {
        detail: json!({
            "backup": backup, "from": was, "store": store, "epoch": tx.epoch()?, "idps": idps, "tickets": tickets,
        }),
        ..Entry::new(Kind::Restored)
    })?;
    let mut revocations = Revocations::default();
    let mut ended = 0;
    for run in runs::live(tx)?.into_iter().filter(|run| run.ended_at.is_none()) {
        revoke::end_run(tx, run, RevocationReason::SecurityEvent, &mut revocations)?;
        ended += 1;
    }
    // Also those whose run has ended, should there be any.
    revoke::ask(tx, &Which::All, RevocationReason::SecurityEvent, &mut revocations)?;
    let live = |token: &crate::store::TokenRecord| {
        token.revoked_at.is_none() && token.expires_at.is_none_or(|end| end > tx.now())
    };
    let tokens = tokens::all(tx)?.into_iter().filter(live).map(|token| token.id).collect();
    Ok(Restored { backup, store, idps, runs: ended, grants: revocations.grants.len(), tickets, tokens, kept: None })
}
