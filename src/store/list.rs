//! What is listed, from where on, and a page of it.

use crate::identity::{Filter, IdpName, Relation, Resource, ResourceKind, Sort};

/// What to list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Whose.
    pub idp: IdpName,
    /// Of which type.
    pub kind: ResourceKind,
    /// Which; all if absent.
    pub filter: Option<Filter>,
    /// From which on.
    pub start: Start,
    /// How many at most.
    pub count: usize,
    /// Whether each comes with its relations.
    pub related: bool,
}

impl ListQuery {
    /// Whether it finds one at most, by an index, and reads no group's members.
    pub fn finds_one(&self) -> bool {
        let indexed = self.filter.as_ref().and_then(|filter| filter.indexable(self.kind));
        self.kind != ResourceKind::Group && indexed.is_some_and(|(attribute, _)| attribute.is_of_one())
    }

    /// Whether it may read a whole directory: no index has its filter, or its order, or it asks for the members of many
    /// groups.
    pub fn may_read_all(&self) -> bool {
        let unindexed = self.filter.as_ref().is_some_and(|filter| filter.indexable(self.kind).is_none());
        unindexed
            || matches!(&self.start, Start::Sorted(sort, _) if !sort.is_by_name(self.kind))
            || (self.related && self.kind == ResourceKind::Group && self.filter.is_none())
    }
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the n-th match, 1-based (RFC 7644 §3.4.2.4).
    Index(usize),
    /// At the n-th match in another order (RFC 7644 §3.4.2.3).
    Sorted(Sort, usize),
    /// After this place in the order of creation; 0 is before all (RFC 9865). No resource ever changes its place, so a
    /// walk from place to place meets all that live through it, once.
    After(i64),
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// How many match in all. `None` where only reading them all would tell, and the page begins after a place.
    pub total: Option<usize>,
    /// These.
    pub resources: Vec<Resource>,
    /// Of each of these, if asked for: a group's direct members, a user's direct groups, in stable order.
    pub relations: Vec<Vec<Relation>>,
    /// The place after which the next page begins, where more match.
    pub next: Option<i64>,
}
