//! The bearer tokens that are accepted: a table in memory, by hash.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::rate::Allowance;
use crate::{
    identity::IdpName,
    store::{Store, StoreError, TokenRecord},
    ticket::{SecretHash, well_formed},
};

/// What SCIM bearer tokens begin with, so that secret scanners find them; `ticket::mint` makes them.
pub const TOKEN_PREFIX: &str = "scimidp_";

/// The accepted tokens. Readers never wait; the caller reloads after each change (and, with several replicas, at times).
///
/// A token is looked up by its SHA-256 in a hash map, which needs no comparison in constant time: what its timing could
/// tell is something of stored hashes, but whoever sends a token can't choose its hash, so that can't be used to come
/// nearer to a token of 256 random bits.
#[derive(Default)]
pub struct TokenTable {
    tokens: ArcSwap<HashMap<SecretHash, Entry>>,
    /// Of each IdP. It outlives its tokens, and JWTs have the same.
    allowances: Mutex<HashMap<IdpName, Arc<Allowance>>>,
    /// Reloads one after the other: the one that reads last sets last, or a token that was ended between would come back.
    reloads: tokio::sync::Mutex<()>,
}

struct Entry {
    id: String,
    idp: IdpName,
    expires_at: Option<DateTime<Utc>>,
    /// In microseconds since 1970; 0: not since `write_use` asked last.
    used: Arc<AtomicI64>,
    /// Of its IdP: a second token is no second allowance.
    allowance: Arc<Allowance>,
}

/// Whose a token is.
pub(super) struct Known {
    pub(super) idp: IdpName,
    pub(super) allowance: Arc<Allowance>,
}

impl fmt::Debug for TokenTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenTable").field("tokens", &self.tokens.load().len()).finish_non_exhaustive()
    }
}

impl TokenTable {
    /// A table of what the store holds now.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let table = Self::default();
        table.reload(store).await?;
        Ok(table)
    }

    /// Takes what the store holds now. On an error the table stays as it was.
    pub async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _alone = self.reloads.lock().await;
        self.set(store.tokens().await?);
        Ok(())
    }

    /// Takes these tokens; revoked ones are left out. What is known of their use stays.
    pub fn set(&self, tokens: Vec<TokenRecord>) {
        let before = self.tokens.load();
        let live = tokens.into_iter().filter(|token| token.revoked_at.is_none());
        let table = live.filter_map(|TokenRecord { id, idp, expires_at, hash, .. }| {
            let hash = hash?;
            let used = before.get(&hash).map(|known| known.used.clone()).unwrap_or_default();
            let allowance = self.allowance(&idp);
            Some((hash, Entry { id, idp, expires_at, used, allowance }))
        });
        self.tokens.store(Arc::new(table.collect()));
    }

    /// What an IdP may take of us.
    pub(super) fn allowance(&self, idp: &IdpName) -> Arc<Allowance> {
        // Whoever panicked left it whole: each change is one call.
        let mut all = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(idp.clone()).or_default().clone()
    }

    /// Writes which tokens were used since this was asked last: every minute, not for each request.
    pub async fn write_use(&self, store: &dyn Store) -> Result<(), StoreError> {
        let used = |entry: &Entry| {
            let at = entry.used.swap(0, Ordering::Relaxed);
            DateTime::from_timestamp_micros(at).filter(|_| at != 0).map(|at| (entry.id.clone(), at))
        };
        let used: Vec<_> = self.tokens.load().values().filter_map(used).collect();
        if used.is_empty() { Ok(()) } else { store.tokens_used(used).await }
    }

    /// Whose token this is, if it is one and lives. The checksum keeps noise from the hash.
    pub(super) fn check(&self, token: &str, now: DateTime<Utc>) -> Option<Known> {
        if !well_formed(TOKEN_PREFIX, token) {
            return None;
        }
        let tokens = self.tokens.load();
        let entry = tokens.get(&SecretHash::of(token))?;
        if entry.expires_at.is_some_and(|end| now >= end) {
            return None;
        }
        entry.used.store(now.timestamp_micros(), Ordering::Relaxed);
        Some(Known { idp: entry.idp.clone(), allowance: entry.allowance.clone() })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::ticket::mint;

    #[test]
    fn a_token_is_accepted_until_it_expires_or_is_revoked() {
        let token = mint(TOKEN_PREFIX).unwrap();
        let token = token.expose_secret();
        let at = Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap();
        let mut record = TokenRecord {
            id: "1".into(),
            idp: "okta".into(),
            created_at: at,
            expires_at: Some(at + Duration::hours(1)),
            revoked_at: None,
            last_used_at: None,
            hash: Some(SecretHash::of(token)),
        };
        let table = TokenTable::default();
        let whose = |token, at| table.check(token, at).map(|known| known.idp);
        assert_eq!(whose(token, at), None);
        table.set(vec![record.clone()]);
        assert_eq!(whose(token, at), Some("okta".into()));
        assert_eq!(whose(token, at + Duration::hours(1)), None);
        assert_eq!(whose(&token[1..], at), None);
        record.revoked_at = Some(at);
        table.set(vec![record]);
        assert_eq!(whose(token, at), None);
    }
}
