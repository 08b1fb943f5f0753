//! The bearer tokens that are accepted: a table in memory, by hash.

use std::{collections::HashMap, fmt};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

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
}

struct Entry {
    idp: IdpName,
    expires_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for TokenTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenTable").field("tokens", &self.tokens.load().len()).finish()
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
        self.set(store.tokens().await?);
        Ok(())
    }

    /// Takes these tokens; revoked ones are left out.
    pub fn set(&self, tokens: Vec<TokenRecord>) {
        let live = tokens.into_iter().filter(|token| token.revoked_at.is_none());
        let table = live
            .filter_map(|token| token.hash.map(|hash| (hash, Entry { idp: token.idp, expires_at: token.expires_at })))
            .collect();
        self.tokens.store(std::sync::Arc::new(table));
    }

    /// Whose token this is, if it is one and lives. The checksum keeps noise from the hash.
    pub fn check(&self, token: &str, now: DateTime<Utc>) -> Option<IdpName> {
        if !well_formed(TOKEN_PREFIX, token) {
            return None;
        }
        let tokens = self.tokens.load();
        let entry = tokens.get(&SecretHash::of(token))?;
        entry.expires_at.is_none_or(|end| now < end).then(|| entry.idp.clone())
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
            hash: Some(SecretHash::of(token)),
        };
        let table = TokenTable::default();
        assert_eq!(table.check(token, at), None);
        table.set(vec![record.clone()]);
        assert_eq!(table.check(token, at), Some("okta".into()));
        assert_eq!(table.check(token, at + Duration::hours(1)), None);
        assert_eq!(table.check(&token[1..], at), None);
        record.revoked_at = Some(at);
        table.set(vec![record]);
        assert_eq!(table.check(token, at), None);
    }
}
