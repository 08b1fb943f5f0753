//! In which order operations are done: as they were sent, but what one refers to before it. In a circle of references
//! (RFC 7644 §3.7.1) somebody must be first: it is created without the reference that closes the circle, and gets it when
//! all are there.

use std::collections::HashSet;

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
    for first in 0..needs.len() {
        let mut incomplete = Vec::new();
        let mut path = vec![Visit { operation: first, looked_at: 0, later: HashSet::new() }];
        while let Some(mut visit) = path.pop() {
            let needed = needs.get(visit.operation).map(Vec::as_slice).unwrap_or_default();
            if visit.looked_at == 0 && replace(&mut states, visit.operation, State::UnderWay) == State::Done {
                replace(&mut states, visit.operation, State::Done);
                continue;
            }
            let Some(next) = needed.get(visit.looked_at).copied() else {
                replace(&mut states, visit.operation, State::Done);
                if !visit.later.is_empty() {
                    incomplete.push(Step::Complete(visit.operation));
                }
                steps.push(Step::Do(visit.operation, visit.later));
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
        steps.append(&mut incomplete);
    }
    steps
}

/// An operation on the way to what it needs.
struct Visit {
    operation: usize,
    looked_at: usize,
    later: HashSet<usize>,
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
    fn a_chain_may_be_as_long_as_the_request() {
        let long = 100_000;
        let needs: Vec<_> = (1..=long).map(|next| if next < long { vec![next] } else { vec![0] }).collect();
        let steps = plan(&needs);
        assert_eq!((steps.len(), &steps[0]), (long + 1, &without(long - 1, [0])));
    }
}
