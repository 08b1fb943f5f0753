//! JWTs that were verified, by their hashes, until they end: so that each request doesn't cost a signature.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::Role;
use crate::ticket::SecretHash;

/// Provisioners have one at a time; people come and go.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<SecretHash, Verified>>);

#[derive(Debug)]
struct Verified {
    /// The issuer's place among those that are believed.
    place: usize,
    /// Of its keys: what others verified is verified again.
    generation: u64,
    end: DateTime<Utc>,
    role: Role,
}

impl Memory {
    /// Whose it was, if it lives and the keys are still those that it was verified by.
    pub(super) fn get(
        &self,
        hash: &SecretHash,
        now: DateTime<Utc>,
        generation: impl Fn(usize) -> Option<u64>,
    ) -> Option<(usize, Role)> {
        let all = self.all();
        let known = all.get(hash)?;
        let holds = now < known.end && generation(known.place) == Some(known.generation);
        holds.then(|| (known.place, known.role.clone()))
    }

    pub(super) fn put(
        &self,
        hash: SecretHash,
        place: usize,
        generation: u64,
        end: DateTime<Utc>,
        role: Role,
        now: DateTime<Utc>,
    ) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, known| now < known.end);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(hash, Verified { place, generation, end, role });
    }

    /// Whoever panicked left it whole: each change is one call.
    fn all(&self) -> MutexGuard<'_, HashMap<SecretHash, Verified>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_lives_under_the_same_keys_and_no_more_than_so_many() {
        let (memory, at) = (Memory::default(), |second| DateTime::from_timestamp(second, 0).unwrap());
        let hash = |n: usize| SecretHash::of(&n.to_string());
        memory.put(hash(0), 7, 1, at(10), Role::Provisions, at(0));
        assert_eq!(memory.get(&hash(0), at(9), |_| Some(1)), Some((7, Role::Provisions)));
        assert_eq!(memory.get(&hash(0), at(10), |_| Some(1)), None, "it ended");
        assert_eq!(memory.get(&hash(0), at(9), |_| Some(2)), None, "other keys");
        assert_eq!(memory.get(&hash(1), at(9), |_| Some(1)), None, "never seen");
        (1..MOST).for_each(|n| memory.put(hash(n), 7, 1, at(20), Role::Provisions, at(0)));
        memory.put(hash(MOST), 7, 1, at(20), Role::Provisions, at(15));
        assert_eq!(memory.all().len(), MOST, "the dead one went");
        memory.put(hash(MOST + 1), 7, 1, at(20), Role::Provisions, at(15));
        assert_eq!(memory.all().len(), 1);
    }
}
