//! What is to be done with one RoleBinding. Pure.
//!
//! Adding may be impossible; removing never waits for it.

use std::collections::BTreeSet;

/// People, as the API server calls them.
pub(super) type Names = BTreeSet<String>;

/// What a live RoleBinding says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// Its people.
    pub(super) names: Names,
    /// Whether it says nothing but what we say.
    pub(super) exact: bool,
    /// Whether it gives another role, which can't be changed: it must be made anew.
    pub(super) other_role: bool,
    /// Version of the Directory that it was made from.
    pub(super) seq: i64,
}

/// Who shall hold a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Whoever is not among them loses it.
    pub(super) holders: Names,
    /// Why nobody can be added now, if so.
    pub(super) frozen: Option<String>,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is as it should be.
    Nothing,
    /// A new one.
    Create(Names),
    /// Other subjects.
    Replace(Names),
    /// Nobody holds the role.
    Delete,
}

impl Step {
    /// Who holds the role by this RoleBinding after it.
    pub(super) fn people(&self) -> Names {
        match self {
            Self::Create(people) | Self::Replace(people) => people.clone(),
            Self::Nothing | Self::Delete => Names::new(),
        }
    }
}

/// The step from what is there to what is wished.
pub(super) fn plan(live: Option<&Live>, wish: &Wish) -> Step {
    let target = match (live, &wish.frozen) {
        (_, None) => wish.holders.clone(),
        (Some(live), Some(_)) => live.names.intersection(&wish.holders).cloned().collect(),
        (None, Some(_)) => Names::new(),
    };
    match live {
        Some(live) if live.other_role => Step::Delete,
        None if target.is_empty() => Step::Nothing,
        None => Step::Create(target),
        Some(_) if target.is_empty() => Step::Delete,
        Some(live) if live.exact && live.names == target => Step::Nothing,
        Some(_) => Step::Replace(target),
    }
}

/// Somebody who gains a role by a write and somebody who loses it. One for each direction is enough to see it by: a
/// RoleBinding changes as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    pub(super) gained: Option<String>,
    pub(super) lost: Option<String>,
}

impl Turned {
    /// By a change from these people to those.
    pub(super) fn between(before: &Names, after: &Names) -> Self {
        Self { gained: after.difference(before).next().cloned(), lost: before.difference(after).next().cloned() }
    }

    /// With what an earlier write turned, as far as it is true of these people, who hold the role now.
    pub(super) fn after(self, earlier: Option<Self>, now: &Names) -> Self {
        let earlier = earlier.unwrap_or_default();
        Self {
            gained: self.gained.or(earlier.gained).filter(|name| now.contains(name)),
            lost: self.lost.or(earlier.lost).filter(|name| !now.contains(name)),
        }
    }

    /// Whether nobody did.
    pub(super) fn is_nobody(&self) -> bool {
        self.gained.is_none() && self.lost.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{Live, Names, Step, Turned, Wish, plan};

    fn names(names: &[&str]) -> Names {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn live(people: &[&str]) -> Live {
        Live { names: names(people), exact: true, other_role: false, seq: 1 }
    }

    fn wish(people: &[&str]) -> Wish {
        Wish { holders: names(people), frozen: None }
    }

    fn frozen(people: &[&str]) -> Wish {
        Wish { frozen: Some("nobody can be added".into()), ..wish(people) }
    }

    #[test]
    fn what_is_wished_is_written() {
        assert_eq!(plan(None, &wish(&[])), Step::Nothing);
        assert_eq!(plan(None, &wish(&["bob"])), Step::Create(names(&["bob"])));
        assert_eq!(plan(Some(&live(&["bob"])), &wish(&["bob"])), Step::Nothing);
        assert_eq!(plan(Some(&live(&["bob"])), &wish(&["carol"])), Step::Replace(names(&["carol"])));
        assert_eq!(plan(Some(&live(&["bob"])), &wish(&[])), Step::Delete);
        assert_eq!(plan(Some(&live(&[])), &wish(&[])), Step::Delete);
    }

    #[test]
    fn who_leaves_is_removed_where_nobody_can_be_added() {
        assert_eq!(plan(None, &frozen(&["bob"])), Step::Nothing);
        let both = live(&["bob", "carol"]);
        assert_eq!(plan(Some(&both), &frozen(&["carol", "dave"])), Step::Replace(names(&["carol"])));
        assert_eq!(plan(Some(&both), &frozen(&["dave"])), Step::Delete);
        assert_eq!(plan(Some(&both), &frozen(&["bob", "carol", "dave"])), Step::Nothing);
    }

    #[test]
    fn a_foreign_subject_is_written_over_and_one_of_another_role_is_made_anew() {
        let odd = Live { exact: false, ..live(&["bob"]) };
        assert_eq!(plan(Some(&odd), &wish(&["bob"])), Step::Replace(names(&["bob"])));
        assert_eq!(plan(Some(&odd), &frozen(&["bob", "carol"])), Step::Replace(names(&["bob"])));
        let other = Live { other_role: true, ..odd };
        assert_eq!(plan(Some(&other), &wish(&["bob"])), Step::Delete);
        assert_eq!(plan(Some(&other), &frozen(&["bob"])), Step::Delete);
    }

    #[test]
    fn who_turned_is_who_the_objects_say() {
        let turned = Turned::between(&names(&["bob", "old"]), &names(&["bob", "new"]));
        assert_eq!(turned, Turned { gained: Some("new".into()), lost: Some("old".into()) });
        assert!(Turned::between(&names(&["bob"]), &names(&["bob"])).is_nobody());
    }

    #[test]
    fn an_earlier_unproven_write_is_remembered_while_it_is_true() {
        let earlier = || Some(Turned { gained: Some("bob".into()), lost: Some("carol".into()) });
        let now = names(&["bob", "dave"]);
        let added = Turned { gained: Some("dave".into()), lost: None };
        assert_eq!(added.after(earlier(), &now), Turned { gained: Some("dave".into()), lost: Some("carol".into()) });
        assert!(Turned::default().after(earlier(), &names(&["carol"])).is_nobody());
    }
}
