//! How the people of one role are shared among several RoleBindings. Whoever is in one stays in it, so that one person
//! more or less is one write. Pure, but for what is known of how many there are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use super::{
    place::Place,
    plan::{Live, Names, Step, Turned, Wish, plan},
};

/// A RoleBinding of more subjects nears etcd's limit of 1.5 MB an object.
pub(super) const MOST_SUBJECTS: usize = 1_000;
/// Characters of the role's hash at the end of a place's name: no number of a shard is so long.
const HASH: usize = 10;

/// The live RoleBindings of a place, by their numbers.
pub(super) type Shards = BTreeMap<usize, Live>;

/// What they say together.
pub(super) fn whole(live: &Shards) -> Option<Live> {
    live.values().cloned().reduce(|mut all, live| {
        all.names.extend(live.names);
        Live {
            exact: all.exact && live.exact,
            other_role: all.other_role || live.other_role,
            seq: all.seq.max(live.seq),
            ..all
        }
    })
}

/// The steps from what is there to what is wished: first those by which nobody gains anything.
pub(super) fn steps(live: &Shards, wish: &Wish, most: usize) -> Vec<(usize, Step)> {
    let mut steps = Vec::new();
    for (number, holders) in share(live, &wish.holders, most) {
        let wish = Wish { holders, frozen: wish.frozen.clone() };
        let step = plan(live.get(&number), &wish);
        if step != Step::Nothing {
            let before = live.get(&number).map(|live| live.names.clone()).unwrap_or_default();
            let gains = Turned::between(&before, &step.people()).gained.is_some();
            steps.push((gains, number, step));
        }
    }
    steps.sort_by_key(|(gains, number, _)| (*gains, *number));
    steps.into_iter().map(|(_, number, step)| (number, step)).collect()
}

/// Who is to be in which. Whoever comes goes where there is room.
fn share(live: &Shards, holders: &Names, most: usize) -> BTreeMap<usize, Names> {
    let mut homeless: BTreeSet<&String> = holders.iter().collect();
    let mut shares: BTreeMap<usize, Names> = BTreeMap::new();
    for (number, live) in live {
        let kept: Names = live.names.iter().filter(|name| homeless.contains(name)).take(most).cloned().collect();
        for name in &kept {
            homeless.remove(name);
        }
        shares.insert(*number, kept);
    }
    let mut homeless = homeless.into_iter().cloned().peekable();
    for number in 0.. {
        if homeless.peek().is_none() {
            break;
        }
        let share = shares.entry(number).or_default();
        let room = most.saturating_sub(share.len());
        share.extend(homeless.by_ref().take(room));
    }
    shares
}

/// The highest number that a RoleBinding of a place may have, as far as this process has seen.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<(String, String), usize>>);

impl Known {
    /// None if we have not looked yet.
    pub(super) fn highest(&self, place: &Place) -> Option<usize> {
        self.0.lock().ok()?.get(&(place.namespace.clone(), place.name.clone())).copied()
    }

    /// There are RoleBindings up to this number.
    pub(super) fn saw(&self, place: &Place, number: usize) {
        self.raise((place.namespace.clone(), place.name.clone()), number);
    }

    /// There is, or may be, a RoleBinding of this name.
    pub(super) fn found(&self, namespace: &str, name: &str) {
        let Some((place, last)) = name.rsplit_once('-').filter(|(_, last)| last.len() < HASH) else { return };
        let Ok(number) = last.parse() else { return };
        let key = (namespace.to_owned(), place.to_owned());
        // Of a place that we have not looked at, we don't know whether there are more.
        if self.0.lock().is_ok_and(|all| all.contains_key(&key)) {
            self.raise(key, number);
        }
    }

    fn raise(&self, key: (String, String), number: usize) {
        if let Ok(mut all) = self.0.lock() {
            let highest = all.entry(key).or_insert(number);
            *highest = (*highest).max(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{RoleKind, RoleRef};

    const MOST: usize = 5;

    fn wish(holders: &Names) -> Wish {
        Wish { holders: holders.clone(), frozen: None }
    }

    /// What is there after these steps.
    fn after(mut live: Shards, steps: &[(usize, Step)]) -> Shards {
        for (number, step) in steps {
            match step {
                Step::Nothing => {}
                Step::Delete => drop(live.remove(number)),
                Step::Create(names) | Step::Replace(names) => {
                    let names = names.clone();
                    live.insert(*number, Live { names, exact: true, ..Live::default() });
                }
            }
        }
        live
    }

    /// Numbers from a seed, so that a failure can be had again.
    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % most
        }
    }

    fn is_right(live: &Shards, holders: &Names, seed: u64) {
        let all: Vec<_> = live.values().flat_map(|live| &live.names).collect();
        assert_eq!(all.len(), holders.len(), "somebody is in two, or missing: seed {seed}");
        assert_eq!(all.into_iter().cloned().collect::<Names>(), *holders, "seed {seed}");
        assert!(live.values().all(|live| (1..=MOST).contains(&live.names.len())), "seed {seed}");
    }

    #[test]
    fn whatever_comes_and_goes_everybody_is_in_one_and_one_change_is_one_write() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let (mut live, mut holders) = (Shards::new(), Names::new());
            for _ in 0..60 {
                let name = format!("okta:{}", random.below(40));
                if !holders.remove(&name) {
                    holders.insert(name);
                }
                let steps = steps(&live, &wish(&holders), MOST);
                assert_eq!(steps.len(), 1, "seed {seed}");
                live = after(live, &steps);
                is_right(&live, &holders, seed);
            }
            assert!(steps(&live, &wish(&holders), MOST).is_empty());
        }
    }

    #[test]
    fn after_any_change_at_once_no_leaver_is_in_any_and_nobody_gains_before_all_have_lost() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut live = Shards::new();
            for _ in 0..10 {
                let holders: Names = (0..random.below(40)).map(|_| format!("okta:{}", random.below(60))).collect();
                let steps = steps(&live, &wish(&holders), MOST);
                let is_loss = |(number, step): &(usize, Step)| {
                    live.get(number).is_some_and(|live| step.people().is_subset(&live.names))
                };
                assert!(steps.is_sorted_by_key(|step| !is_loss(step)), "seed {seed}");
                let frozen = Wish { frozen: Some("nobody can be added".into()), ..wish(&holders) };
                let shrunk = after(live.clone(), &super::steps(&live, &frozen, MOST));
                let was = whole(&live).unwrap_or_default().names;
                is_right(&shrunk, &was.intersection(&holders).cloned().collect(), seed);
                live = after(live, &steps);
                is_right(&live, &holders, seed);
            }
        }
    }

    #[test]
    fn whoever_was_put_into_two_by_hand_is_in_one_again() {
        let both = |names: &[&str]| Live {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            exact: true,
            ..Live::default()
        };
        let live = Shards::from([(0, both(&["a", "b"])), (2, both(&["b", "c", "leaver"]))]);
        let holders = ["a", "b", "c"].map(str::to_owned).into();
        let steps = steps(&live, &wish(&holders), MOST);
        assert_eq!(steps, [(2, Step::Replace(Names::from(["c".to_owned()])))]);
    }

    #[test]
    fn how_many_there_are_is_known_once_they_were_looked_for() {
        let role = RoleRef { kind: RoleKind::Role, name: "deployer".into() };
        let place = Place { namespace: "ns".into(), role, name: "scim-shop-0123456789".into() };
        let known = Known::default();
        known.found("ns", "scim-shop-0123456789-3");
        assert_eq!(known.highest(&place), None);
        known.saw(&place, 0);
        known.found("ns", "scim-shop-0123456789");
        assert_eq!(known.highest(&place), Some(0));
        known.found("ns", "scim-shop-0123456789-3");
        known.found("ns", "scim-shop-0123456789-2");
        assert_eq!(known.highest(&place), Some(3));
    }
}
