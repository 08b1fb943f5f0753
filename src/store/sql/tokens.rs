//! SCIM bearer tokens, and the identity providers that come into being by them.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    conn::{Conn, OptionalExtension as _, Row, SqlError, SqlResult, params},
    idps,
    rows::{Hash, Time, whole_micros},
    tx::Tx,
};
use crate::{
    audit::{self, Entry},
    identity::IdpName,
    store::{StoreError, TokenRecord},
    ticket::SecretHash,
};

/// Enough to rotate with overlap; more would be forgotten ones.
const LIVE: i64 = 2;

const SELECT: &str = "SELECT t.id, i.name, t.created_at, t.expires_at, t.revoked_at, t.last_used_at, t.hash
     FROM idp_tokens t JOIN idps i ON i.id = t.idp";

fn read(row: &Row<'_>) -> SqlResult<TokenRecord> {
    let idp: String = row.get(1)?;
    let time = |column: usize| Ok::<_, SqlError>(row.get::<Option<Time>>(column)?.map(|time| time.0));
    Ok(TokenRecord {
        id: row.get(0)?,
        idp: IdpName::from(idp.as_str()),
        created_at: row.get::<Time>(2)?.0,
        expires_at: time(3)?,
        revoked_at: time(4)?,
        last_used_at: time(5)?,
        hash: Some(row.get::<Hash>(6)?.0),
    })
}

/// Adds a token, and its IdP at its first.
pub fn create(
    tx: &mut Tx<'_>,
    name: &IdpName,
    hash: SecretHash,
    expires_at: Option<DateTime<Utc>>,
) -> Result<TokenRecord, StoreError> {
    let idp = idps::make(tx, name)?;
    let mut count = tx.prepare_cached(
        "SELECT count(*), count(*) FILTER (WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2))
         FROM idp_tokens WHERE idp = ?1",
    )?;
    let (all, live): (i64, i64) =
        count.query_row(params![idp, Time(tx.now())], |row| Ok((row.get(0)?, row.get(1)?)))?;
    drop(count);
    if live >= LIVE {
        return Err(StoreError::Limit(format!(
            "identity provider {name} has {live} live tokens, and {LIVE} is the most: revoke one first \
             (scim-tekton idp token list, scim-tekton idp token revoke)"
        )));
    }
    let token = TokenRecord {
        // Tokens are never deleted, so the number is never used twice.
        id: format!("{name}-{}", all + 1),
        idp: name.clone(),
        created_at: tx.now(),
        expires_at: expires_at.map(whole_micros),
        revoked_at: None,
        last_used_at: None,
        hash: Some(hash),
    };
    tx.prepare_cached("INSERT INTO idp_tokens (id, idp, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![token.id, idp, Hash(hash), Time(token.created_at), token.expires_at.map(Time)])?;
    tx.audit(&about(&token, audit::Kind::TokenCreated))?;
    Ok(token)
}

/// All tokens, in the order of their making.
pub fn all(conn: &Conn) -> Result<Vec<TokenRecord>, StoreError> {
    let mut select = conn.prepare_cached(&format!("{SELECT} ORDER BY t.created_at, length(t.id), t.id"))?;
    Ok(select.query_map(params![], read)?)
}

/// Ends a token; one that is ended already stays as it was.
pub fn revoke(tx: &mut Tx<'_>, id: &str) -> Result<TokenRecord, StoreError> {
    let mut select = tx.prepare_cached(&format!("{SELECT} WHERE t.id = ?1"))?;
    let token = select.query_row([id], read).optional()?;
    drop(select);
    let mut token = token.ok_or_else(|| StoreError::NotFound(format!("token {id}")))?;
    if token.revoked_at.is_none() {
        token.revoked_at = Some(tx.now());
        tx.prepare_cached("UPDATE idp_tokens SET revoked_at = ?2 WHERE id = ?1")?
            .execute(params![id, Time(tx.now())])?;
        tx.audit(&about(&token, audit::Kind::TokenRevoked))?;
    }
    Ok(token)
}

/// Notes when tokens were last used.
pub fn used(tx: &mut Tx<'_>, used: &[(String, DateTime<Utc>)]) -> Result<(), StoreError> {
    for (id, at) in used {
        tx.prepare_cached("UPDATE idp_tokens SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at, 0) < ?2")?
            .execute(params![id, Time(*at)])?;
    }
    Ok(())
}

fn about(token: &TokenRecord, kind: audit::Kind) -> Entry {
    Entry { detail: json!({ "token": token.id, "idp": token.idp }), ..Entry::new(kind) }
}
