//! One command's view of the transaction that it shares with its batch.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    conn::{Conn, params},
    rows::{Id, Json, Time},
    standing,
};
use crate::{
    audit::{self, Entry},
    directory::Change,
    store::{AuditHead, StoreError},
};

/// More changes than a store sees between a backup and its restore: a thousand a second for eleven days.
const FEED_LEAP: i64 = 1_000_000_000;

/// Where the audit chain and the change feed stand, so that appending needs no read.
#[derive(Clone, Debug)]
pub struct Heads {
    audit_seq: i64,
    audit_hash: String,
    feed_seq: i64,
}

impl Heads {
    /// As the database has them.
    pub fn load(conn: &Conn) -> Result<Self, StoreError> {
        let AuditHead { seq: audit_seq, hash: audit_hash } = standing::head(conn)?;
        Ok(Self { audit_seq, audit_hash, feed_seq: feed_seq(conn)? })
    }

    /// Number of the last change.
    pub fn feed_seq(&self) -> i64 {
        self.feed_seq
    }
}

/// Number of the last change that a connection sees.
pub fn feed_seq(conn: &Conn) -> Result<i64, StoreError> {
    Ok(conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM changes")?.query_row(params![], |row| row.get(0))?)
}

/// What a command works on: the connection inside its savepoint, and what it appends to the chain and the feed.
pub struct Tx<'a> {
    conn: &'a Conn,
    now: DateTime<Utc>,
    heads: &'a mut Heads,
    changes: &'a mut Vec<Change>,
}

impl<'a> Tx<'a> {
    /// For the writer: `changes` gathers the batch's.
    pub fn new(conn: &'a Conn, now: DateTime<Utc>, heads: &'a mut Heads, changes: &'a mut Vec<Change>) -> Self {
        Self { conn, now, heads, changes }
    }

    /// The moment at which this command is said to happen.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Number of the last change so far.
    pub fn seq(&self) -> i64 {
        self.heads.feed_seq
    }

    /// Appends a row to the audit chain.
    pub fn audit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let seq = self.heads.audit_seq + 1;
        let hash = audit::link(&self.heads.audit_hash, seq, self.now, entry);
        self.conn
            .prepare_cached("INSERT INTO audit (seq, at, entry, hash) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![seq, Time(self.now), Json(entry), hash])?;
        self.heads.audit_seq = seq;
        self.heads.audit_hash = hash;
        Ok(())
    }

    /// Appends changes to the feed; they are published when the batch is committed.
    pub fn publish(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            let (kind, id, body) = match change {
                Change::Idp(idp) => ("idp", None, Some(json!({ "name": idp }))),
                Change::Confirmed(idp, is) => ("confirmed", None, Some(json!({ "name": idp, "confirmed": is }))),
                Change::Put(resource) => ("put", Some(resource.id), None),
                Change::Deleted(kind, id) => ("deleted", Some(*id), Some(json!({ "kind": kind }))),
                Change::Members { group, added, removed } => {
                    ("members", Some(*group), Some(json!({ "added": added, "removed": removed })))
                }
            };
            // Here, and not by the database: its own numbers become visible out of order.
            let seq = self.heads.feed_seq + 1;
            self.conn
                .prepare_cached("INSERT INTO changes (seq, at, kind, id, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![seq, Time(self.now), kind, id.map(Id::from), body.map(Json)])?;
            self.heads.feed_seq = seq;
            self.changes.push(change.clone());
        }
        Ok(())
    }

    /// Goes on with a number that no lost change can have had: whoever has seen a later state of the lost store (a
    /// RoleBinding says from which one it was made) must not take this one for an older one for ever.
    pub fn leap_feed(&mut self) -> Result<(), StoreError> {
        let seq = self.heads.feed_seq + FEED_LEAP;
        self.conn
            .prepare_cached("INSERT INTO changes (seq, at, kind) VALUES (?1, ?2, 'restored')")?
            .execute(params![seq, Time(self.now)])?;
        self.heads.feed_seq = seq;
        Ok(())
    }

    /// Raises the epoch: entitlement is taken away, and what was judged before must be judged again.
    pub fn raise_epoch(&mut self) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'entitlement_epoch'")?
            .execute(params![])?;
        Ok(())
    }

    /// The epoch at which a judgement made now holds.
    pub fn epoch(&self) -> Result<i64, StoreError> {
        let mut select = self.conn.prepare_cached("SELECT value FROM meta WHERE key = 'entitlement_epoch'")?;
        Ok(select.query_row(params![], |row| row.get(0))?)
    }
}

impl Deref for Tx<'_> {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        self.conn
    }
}
