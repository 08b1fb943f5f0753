//! A number of 32 bits for each resource, so that a million people and their memberships fit into memory: an edge of the
//! graph of groups is four bytes, and a resource's id stands in it once.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::snapshot::{Agent, Group, User};
use crate::identity::ResourceId;

/// A resource's place. It is given to another when the resource is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Handle(u32);

impl Handle {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self(u32::MAX);
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: ResourceId,
    pub(super) node: Option<Node>,
    /// The groups that it is in, in order. A person is in few: they are copied when they change.
    pub(super) parents: Arc<[Handle]>,
}

impl Slot {
    fn new(id: ResourceId) -> Self {
        Self { id, node: None, parents: Arc::default() }
    }
}

/// A resource as decisions see it.
#[derive(Clone, Debug)]
pub(super) enum Node {
    User(Arc<User>),
    Group(Arc<Group>),
    Agent(Arc<Agent>),
}

/// All places.
#[derive(Clone, Debug, Default)]
pub(super) struct Handles {
    places: OrdMap<ResourceId, Handle>,
    slots: Vector<Slot>,
    free: Vector<Handle>,
}

impl Handles {
    /// Where a resource is, if it is anywhere.
    pub(super) fn of(&self, id: ResourceId) -> Option<Handle> {
        self.places.get(&id).copied()
    }

    /// What is there.
    pub(super) fn slot(&self, handle: Handle) -> Option<&Slot> {
        self.slots.get(handle.0 as usize)
    }

    /// The same, to be changed.
    pub(super) fn slot_mut(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.slots.get_mut(handle.0 as usize)
    }

    /// Where a resource is; a new place if it has none.
    pub(super) fn place(&mut self, id: ResourceId) -> Handle {
        if let Some(handle) = self.of(id) {
            return handle;
        }
        let handle = if let Some(handle) = self.free.pop_back() {
            self.slots.set(handle.0 as usize, Slot::new(id));
            handle
        } else {
            self.push(id)
        };
        self.places.insert(id, handle);
        handle
    }

    /// A place for one who has none. It is found there once `note` has it.
    pub(super) fn push(&mut self, id: ResourceId) -> Handle {
        self.slots.push_back(Slot::new(id));
        // Four thousand million resources do not fit into the memory of any machine.
        Handle(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
    }

    /// Notes where they are.
    pub(super) fn note(&mut self, places: Vec<(ResourceId, Handle)>) {
        self.places.extend(places);
    }

    /// Gives a place free. Nothing may point to it any more.
    pub(super) fn release(&mut self, id: ResourceId) {
        let Some(handle) = self.places.remove(&id) else { return };
        if let Some(slot) = self.slot_mut(handle) {
            slot.node = None;
            slot.parents = Arc::default();
        }
        self.free.push_back(handle);
    }

    /// All that there is; no order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.slots.iter().filter_map(|slot| slot.node.as_ref())
    }
}
