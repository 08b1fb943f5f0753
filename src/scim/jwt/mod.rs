//! JWTs of an IdP's own issuer as bearer tokens (RFC 7519, RFC 9068), beside the opaque ones of ours: whose one is, and
//! whether it is the client that provisions or a person.
//!
//! What a token claims is judged before its signature, which only may refuse it, never let it in: so nobody makes us
//! calculate, or ask for keys, with less than claims that fit.

mod claims;
mod compact;
mod memory;
mod ring;

pub use claims::{JwtSettings, MeBy};
pub(super) use claims::{Refusal, Role};
pub use ring::{KeyRing, KeySource, NoKeys};

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::{
    rate::Allowance,
    state::Settings,
    tokens::{Known, TokenTable},
};
use crate::{identity::IdpName, keys::Unverified, ticket::SecretHash};
use claims::check;
use compact::Compact;
use memory::Memory;

/// The issuers that are believed.
#[derive(Debug)]
pub(super) struct Trusts {
    list: Vec<Trust>,
    memory: Memory,
}

/// One IdP's issuer.
#[derive(Debug)]
struct Trust {
    idp: IdpName,
    settings: JwtSettings,
    ring: Arc<KeyRing>,
    /// The IdP's own: another kind of token is no second allowance.
    provisions: Arc<Allowance>,
    /// Of all its people together: they take nothing from provisioning.
    people: Arc<Allowance>,
}

/// Why a JWT is not taken.
#[derive(Debug)]
pub(super) enum Denied {
    /// It is not good.
    Refused(Refusal),
    /// It may be good, and its issuer's keys can't be had now.
    NoKeys(IdpName, Duration),
}

impl Trusts {
    pub(super) fn new(settings: &Settings, tokens: &TokenTable) -> Self {
        let trust = |(idp, settings): (&IdpName, &super::IdpSettings)| {
            let settings = settings.jwt.clone()?;
            let (ring, provisions, people) = (Arc::default(), tokens.allowance(idp), Arc::default());
            Some(Trust { idp: idp.clone(), settings, ring, provisions, people })
        };
        Self { list: settings.idps.iter().filter_map(trust).collect(), memory: Memory::default() }
    }

    /// Whether anybody's people may use `/Me`.
    pub(super) fn know_people(&self) -> bool {
        self.list.iter().any(|trust| trust.settings.me.is_some())
    }

    /// Whose keys are to be fetched, for as long as the process lives.
    pub(super) fn rings(&self) -> impl Iterator<Item = (IdpName, JwtSettings, Arc<KeyRing>)> {
        self.list.iter().map(|trust| (trust.idp.clone(), trust.settings.clone(), Arc::clone(&trust.ring)))
    }

    /// Whose token this is.
    pub(super) async fn check(&self, token: &str, now: DateTime<Utc>) -> Result<(Known, Role), Denied> {
        if self.list.is_empty() || !compact::looks_like_one(token) {
            return Err(Denied::Refused(Refusal::Malformed));
        }
        let hash = SecretHash::of(token);
        let remembered = self.memory.get(&hash, now, |place| Some(self.list.get(place)?.ring.generation()));
        if let Some((trust, role)) = remembered.and_then(|(place, role)| Some((self.list.get(place)?, role))) {
            return Ok((trust.known(&role), role));
        }
        let compact = compact::read(token).map_err(Denied::Refused)?;
        let (place, trust, role) = self.believe(&compact, now).map_err(Denied::Refused)?;
        let generation = trust.verified(&compact).await?;
        if let Some(end) = compact.claims.end() {
            self.memory.put(hash, place, generation, end, role.clone(), now);
        }
        Ok((trust.known(&role), role))
    }

    /// To which one's rules the claims fit; to two is to none, since then nobody says which of them is meant.
    fn believe(&self, compact: &Compact<'_>, now: DateTime<Utc>) -> Result<(usize, &Trust, Role), Refusal> {
        let (mut fits, mut nearest) = (None, Refusal::Malformed);
        for (place, trust) in self.list.iter().enumerate() {
            match check(&compact.claims, &trust.settings, now) {
                Ok(_) if fits.is_some() => return Err(Refusal::Ambiguous),
                Ok(role) => fits = Some((place, trust, role)),
                Err(refusal) => {
                    if refusal == Refusal::Client {
                        trust.tell_of_client(compact);
                    }
                    nearest = nearest.max(refusal);
                }
            }
        }
        fits.ok_or(nearest)
    }
}

impl Trust {
    fn known(&self, role: &Role) -> Known {
        let allowance = match role {
            Role::Provisions => &self.provisions,
            Role::Person { .. } => &self.people,
        };
        Known { idp: self.idp.clone(), allowance: Arc::clone(allowance) }
    }

    /// Holds the signature against the keys, fresh ones if the key is not there; gives the keys' generation.
    async fn verified(&self, compact: &Compact<'_>) -> Result<u64, Denied> {
        let unverified = match self.ring.verify(compact) {
            Ok(generation) => return Ok(generation),
            Err(unverified) => unverified,
        };
        if unverified == Unverified::Forged {
            return Err(Denied::Refused(Refusal::Signature));
        }
        self.ring.fresh().await.map_err(|wait| Denied::NoKeys(self.idp.clone(), wait))?;
        self.ring.verify(compact).map_err(|_| Denied::Refused(Refusal::Signature))
    }

    /// Who sets this up can't see what Entra sends: the log tells, of what the issuer really signed.
    fn tell_of_client(&self, compact: &Compact<'_>) {
        if self.ring.verify(compact).is_ok() {
            let (client, subject) = (compact.claims.client(), compact.claims.text("sub"));
            let person = compact.claims.is_of_person(client);
            tracing::warn!(
                idp = %self.idp, ?client, ?subject, person,
                "a genuine JWT is refused: it is a person's, or of another than idps[].jwt.clients (and subjects)",
            );
        }
    }
}
