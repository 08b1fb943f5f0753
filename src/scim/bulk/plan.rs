//! In which order operations are done: as they were sent, but what one refers to before it. In a circle of references
//! (RFC 7644 §3.7.1) somebody must be first: it is created without the reference that closes the circle, and gets it as
//! soon as that is there: before operations on it, which the whole of what was sent would undo.

use std::collections::{HashMap, HashSet};

/// A step, by the operation's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Does an operation, without its references to these.
    Do(usize, HashSet<usize>),
    /// Adds what was left out.
    Complete(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    UnderWay,
    Done,
}

/// Plans operations of which each needs the creation of others. Linear in operations and references, without recursion:
/// a chain may be as long as the request.
pub(super) fn plan(needs: &[Vec<usize>]) -> Vec<Step> {
    let mut states = vec![State::New; needs.len()];
    let mut steps = Vec::with_capacity(needs.len());
    let mut open = Open::default();
    for first in 0..needs.len() {
        let mut path = vec![Visit { operation: first, looked_at: 0, later: HashSet::new() }];
        while let Some(mut visit) = path.pop() {
            let needed = needs.get(visit.operation).map(Vec::as_slice).unwrap_or_default();
            if visit.looked_at == 0 && replace(&mut states, visit.operation, State::UnderWay) == State::Done {
                replace(&mut states, visit.operation, State::Done);
                continue;
            }
            let Some(next) = needed.get(visit.looked_at).copied() else {
                replace(&mut states, visit.operation, State::Done);
                open.wait(visit.operation, &visit.later);
                steps.push(Step::Do(visit.operation, visit.later));
                steps.extend(open.closed_by(visit.operation).map(Step::Complete));
                continue;
            };
            visit.looked_at += 1;
            match states.get(next) {
                Some(State::New) => {
                    path.push(visit);
                    path.push(Visit { operation: next, looked_at: 0, later: HashSet::new() });
                }
                Some(State::UnderWay) => {
                    visit.later.insert(next);
                    path.push(visit);
                }
                _ => path.push(visit),
            }
        }
    }
    steps
}

/// An operation on the way to what it needs.
struct Visit {
    operation: usize,
    looked_at: usize,
    later: HashSet<usize>,
}

/// What was done without some of its references.
#[derive(Default)]
struct Open {
    /// How many of them are not done yet.
    missing: HashMap<usize, usize>,
    /// Who waits for an operation.
    waiting: HashMap<usize, Vec<usize>>,
}

impl Open {
    fn wait(&mut self, operation: usize, later: &HashSet<usize>) {
        self.missing.insert(operation, later.len());
        for needed in later {
            self.waiting.entry(*needed).or_default().push(operation);
        }
    }

    /// What can be completed now that this is done.
    fn closed_by(&mut self, operation: usize) -> impl Iterator<Item = usize> {
        let waited = self.waiting.remove(&operation).unwrap_or_default();
        waited.into_iter().filter(|one| match self.missing.get_mut(one) {
            Some(missing) => {
                *missing -= 1;
                *missing == 0
            }
            None => false,
        })
    }
}

fn replace(states: &mut [State], at: usize, new: State) -> State {
    states.get_mut(at).map_or(State::Done, |state| std::mem::replace(state, new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(operation: usize) -> Step {
        without(operation, [])
    }

    fn without<const N: usize>(operation: usize, later: [usize; N]) -> Step {
        Step::Do(operation, later.into())
    }

    #[test]
    fn what_needs_nothing_stays_in_its_order_and_what_is_needed_comes_first() {
        assert_eq!(plan(&[vec![], vec![], vec![]]), [done(0), done(1), done(2)]);
        assert_eq!(plan(&[vec![2], vec![], vec![]]), [done(2), done(0), done(1)]);
        assert_eq!(plan(&[vec![1, 2], vec![2], vec![]]), [done(2), done(1), done(0)]);
        assert_eq!(plan(&[]), []);
    }

    #[test]
    fn a_circle_is_opened_at_one_place_and_closed_when_all_are_there() {
        assert_eq!(plan(&[vec![1], vec![0]]), [without(1, [0]), done(0), Step::Complete(1)]);
        assert_eq!(plan(&[vec![0], vec![]]), [without(0, [0]), Step::Complete(0), done(1)]);
        let three = plan(&[vec![1], vec![2], vec![0, 1]]);
        assert_eq!(three, [without(2, [0, 1]), done(1), done(0), Step::Complete(2)]);
    }

    #[test]
    fn a_circle_is_closed_before_anything_else_is_done() {
        assert_eq!(plan(&[vec![1], vec![1]]), [without(1, [1]), Step::Complete(1), done(0)]);
        let two = plan(&[vec![1], vec![2], vec![1, 2]]);
        assert_eq!(two, [without(2, [1, 2]), done(1), Step::Complete(2), done(0)]);
    }

    #[test]
    fn a_chain_may_be_as_long_as_the_request() {
        let long = 100_000;
        let needs: Vec<_> = (1..=long).map(|next| if next < long { vec![next] } else { vec![0] }).collect();
        let steps = plan(&needs);
        assert_eq!((steps.len(), &steps[0]), (long + 1, &without(long - 1, [0])));
    }
}
