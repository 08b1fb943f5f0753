//! The snapshot, how a change makes the next one, and what may be asked of it.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Bound,
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};

use super::{
    Change,
    handles::{Handle, Handles, Node},
    names::Names,
};
use crate::identity::{IdpName, Resource, ResourceId, ResourceKind};

/// Where a host's Links come from: one authority for each source host (`linkAuthority`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAuthority {
    /// The host whose accounts are linked, as `github.com`.
    pub host: Arc<str>,
    /// The IdP whose attribute is believed.
    pub idp: IdpName,
    /// Schema URN of the extension that holds the attribute; empty for a core attribute.
    pub schema: String,
    /// Name of the attribute within it.
    pub attribute: String,
}

/// A User as decisions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// SCIM `id`.
    pub id: ResourceId,
    /// Owner.
    pub idp: IdpName,
    /// SCIM `userName`, as sent.
    pub user_name: Arc<str>,
    /// SCIM `displayName`.
    pub display_name: Option<Arc<str>>,
    /// SCIM `active`.
    pub active: bool,
    /// Accounts at source hosts: (host, numeric id).
    pub links: Box<[(Arc<str>, u64)]>,
}

/// An Agent as decisions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What it has as a User has it: the name is its `agentUserName`.
    pub who: Arc<User>,
    /// The Users who answer for it.
    pub owners: Box<[ResourceId]>,
}

/// A Group as decisions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// SCIM `id`.
    pub id: ResourceId,
    /// Owner.
    pub idp: IdpName,
    /// SCIM `displayName`, as sent.
    pub display_name: Arc<str>,
}

/// Why people of an IdP that is not confirmed are denied.
pub fn unconfirmed(idp: &IdpName) -> String {
    format!("the identity provider {idp} has not been confirmed since a backup was restored: ask the platform team")
}

/// All identities at one moment.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub(super) authorities: Arc<Vec<LinkAuthority>>,
    pub(super) seq: i64,
    pub(super) idps: OrdSet<IdpName>,
    pub(super) unconfirmed: OrdSet<IdpName>,
    pub(super) resources: Handles,
    pub(super) user_names: Names,
    pub(super) group_names: Names,
    pub(super) agent_names: Names,
    /// Of each group that has any.
    pub(super) members: OrdMap<Handle, OrdSet<Handle>>,
    /// By the place of the host among the authorities, and the account there.
    pub(super) links: OrdSet<(usize, u64, Handle)>,
}

impl Directory {
    /// An empty Directory that believes these authorities.
    pub fn new(mut authorities: Vec<LinkAuthority>) -> Self {
        authorities.sort_by(|a, b| a.host.cmp(&b.host));
        Self { authorities: Arc::new(authorities), ..Self::default() }
    }

    /// Sequence number of the last change in it.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Takes in committed changes; `seq` is the last one's number.
    pub fn apply<'a>(&mut self, seq: i64, changes: impl IntoIterator<Item = &'a Change>) {
        for change in changes {
            match change {
                Change::Idp(idp) => {
                    self.idps.insert(idp.clone());
                }
                Change::Confirmed(idp, true) => {
                    self.unconfirmed.remove(idp);
                }
                Change::Confirmed(idp, false) => {
                    self.unconfirmed.insert(idp.clone());
                }
                Change::Put(resource) => self.put(resource),
                Change::Deleted(_, id) => self.delete(*id),
                Change::Members { group, added, removed } => self.change_members(*group, added, removed),
            }
        }
        self.seq = seq;
    }

    /// A user by id.
    pub fn user(&self, id: ResourceId) -> Option<&Arc<User>> {
        self.user_at(self.resources.of(id)?)
    }

    /// A user by `userName`, without case.
    pub fn user_by_name(&self, idp: &IdpName, user_name: &str) -> Option<&Arc<User>> {
        self.user_names.find(idp, user_name, |handle| {
            let user = self.user_at(handle)?;
            Some((user, &user.idp, &*user.user_name))
        })
    }

    /// An Agent by id.
    pub fn agent(&self, id: ResourceId) -> Option<&Arc<Agent>> {
        self.agent_at(self.resources.of(id)?)
    }

    /// An Agent by `agentUserName`, without case.
    pub fn agent_by_name(&self, idp: &IdpName, name: &str) -> Option<&Arc<Agent>> {
        self.agent_names.find(idp, name, |handle| {
            let agent = self.agent_at(handle)?;
            Some((agent, &agent.who.idp, &*agent.who.user_name))
        })
    }

    /// All Agents; no order.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Agent>> {
        self.resources.nodes().filter_map(|node| match node {
            Node::Agent(agent) => Some(agent),
            _ => None,
        })
    }

    /// Those who answer for an Agent and are active. Without any, it may do nothing.
    pub fn active_owners<'a>(&'a self, agent: &'a Agent) -> impl Iterator<Item = &'a Arc<User>> {
        agent.owners.iter().filter_map(|owner| self.user(*owner)).filter(|owner| owner.active)
    }

    /// A group by id.
    pub fn group(&self, id: ResourceId) -> Option<&Arc<Group>> {
        self.group_at(self.resources.of(id)?)
    }

    /// A group by `displayName`, without case.
    pub fn group_by_name(&self, idp: &IdpName, display_name: &str) -> Option<&Arc<Group>> {
        self.group_names.find(idp, display_name, |handle| {
            let group = self.group_at(handle)?;
            Some((group, &group.idp, &*group.display_name))
        })
    }

    /// Everyone who claims (host, numeric id), active or not, Agents among them. More than one is ambiguous: the caller denies.
    pub fn linked(&self, host: &str, account: u64) -> impl Iterator<Item = &Arc<User>> {
        let places = self.authorities.iter().position(|authority| &*authority.host == host).into_iter();
        places
            .flat_map(move |place| self.links.range((place, account, Handle::FIRST)..=(place, account, Handle::LAST)))
            .filter_map(|(.., handle)| self.actor_at(*handle))
    }

    /// Accounts at hosts, each with one who claims it, active or not, Agents among them: by host and number, from behind this account on.
    pub fn links_after(&self, after: Option<(&str, u64)>) -> impl Iterator<Item = (&Arc<str>, u64, &Arc<User>)> {
        let start = match after {
            None => Bound::Unbounded,
            // Hosts stand in their order, so those of a host that is gone are behind the ones before it.
            Some((host, account)) => match self.authorities.binary_search_by(|authority| (*authority.host).cmp(host)) {
                Ok(place) => Bound::Excluded((place, account, Handle::LAST)),
                Err(place) => Bound::Included((place, 0, Handle::FIRST)),
            },
        };
        self.links.range((start, Bound::Unbounded)).filter_map(|(place, account, handle)| {
            Some((&self.authorities.get(*place)?.host, *account, self.actor_at(*handle)?))
        })
    }

    /// Whose word is taken for Links, by host.
    pub fn authorities(&self) -> &[LinkAuthority] {
        &self.authorities
    }

    /// All groups that someone is in, directly or through nested groups; cycles end.
    pub fn groups_of(&self, member: ResourceId) -> BTreeSet<ResourceId> {
        let parents = |handle| self.resources.slot(handle).into_iter().flat_map(|slot| slot.parents.iter().copied());
        let groups = closure(self.resources.of(member), parents);
        groups.into_iter().filter_map(|handle| self.resources.slot(handle)).map(|slot| slot.id).collect()
    }

    /// All users in a group, directly or through nested groups; no order.
    pub fn users_in(&self, group: ResourceId) -> impl Iterator<Item = &Arc<User>> {
        let members = |handle| self.members.get(&handle).into_iter().flatten().copied();
        closure(self.resources.of(group), members).into_iter().filter_map(|handle| self.user_at(handle))
    }

    /// All users; no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.resources.nodes().filter_map(|node| match node {
            Node::User(user) => Some(user),
            _ => None,
        })
    }

    /// All groups; no order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.resources.nodes().filter_map(|node| match node {
            Node::Group(group) => Some(group),
            _ => None,
        })
    }

    /// The identity providers that may provision.
    pub fn idps(&self) -> &OrdSet<IdpName> {
        &self.idps
    }

    /// Whether what an IdP says of its people is believed.
    pub fn is_confirmed(&self, idp: &IdpName) -> bool {
        !self.unconfirmed.contains(idp)
    }

    fn user_at(&self, handle: Handle) -> Option<&Arc<User>> {
        match self.resources.slot(handle)?.node.as_ref()? {
            Node::User(user) => Some(user),
            _ => None,
        }
    }

    fn agent_at(&self, handle: Handle) -> Option<&Arc<Agent>> {
        match self.resources.slot(handle)?.node.as_ref()? {
            Node::Agent(agent) => Some(agent),
            _ => None,
        }
    }

    fn actor_at(&self, handle: Handle) -> Option<&Arc<User>> {
        self.user_at(handle).or_else(|| Some(&self.agent_at(handle)?.who))
    }

    fn group_at(&self, handle: Handle) -> Option<&Arc<Group>> {
        match self.resources.slot(handle)?.node.as_ref()? {
            Node::Group(group) => Some(group),
            _ => None,
        }
    }

    fn put(&mut self, resource: &Resource) {
        let handle = self.resources.place(resource.id);
        self.forget(handle);
        match resource.kind {
            ResourceKind::User => {
                let user = self.user_of(resource);
                self.link(&user, handle);
                self.user_names.insert(&user.idp, &user.user_name, handle);
                self.set(handle, Some(Node::User(user.into())));
            }
            ResourceKind::Agent => {
                let agent = self.agent_of(resource);
                self.link(&agent.who, handle);
                self.agent_names.insert(&agent.who.idp, &agent.who.user_name, handle);
                self.set(handle, Some(Node::Agent(agent.into())));
            }
            ResourceKind::Group => {
                let group = Self::group_of(resource);
                self.group_names.insert(&group.idp, &group.display_name, handle);
                self.set(handle, Some(Node::Group(group.into())));
            }
        }
    }

    pub(super) fn user_of(&self, resource: &Resource) -> User {
        User {
            id: resource.id,
            idp: resource.idp.clone(),
            user_name: resource.name().into(),
            display_name: resource.display_name().map(Into::into),
            active: resource.active(),
            links: self.authorities.iter().filter_map(|authority| link(authority, resource)).collect(),
        }
    }

    pub(super) fn agent_of(&self, resource: &Resource) -> Agent {
        Agent { who: self.user_of(resource).into(), owners: resource.owners().collect() }
    }

    pub(super) fn group_of(resource: &Resource) -> Group {
        Group { id: resource.id, idp: resource.idp.clone(), display_name: resource.name().into() }
    }

    fn set(&mut self, handle: Handle, node: Option<Node>) {
        if let Some(slot) = self.resources.slot_mut(handle) {
            slot.node = node;
        }
    }

    /// What was known of a resource by its attributes; its memberships stay.
    fn forget(&mut self, handle: Handle) {
        match self.resources.slot(handle).and_then(|slot| slot.node.clone()) {
            Some(Node::User(old)) => {
                self.user_names.remove(&old.idp, &old.user_name, handle);
                self.unlink(&old, handle);
            }
            Some(Node::Agent(old)) => {
                self.agent_names.remove(&old.who.idp, &old.who.user_name, handle);
                self.unlink(&old.who, handle);
            }
            Some(Node::Group(old)) => self.group_names.remove(&old.idp, &old.display_name, handle),
            None => {}
        }
    }

    fn link(&mut self, user: &User, handle: Handle) {
        for link in self.links_of(user, handle) {
            self.links.insert(link);
        }
    }

    fn unlink(&mut self, old: &User, handle: Handle) {
        for link in self.links_of(old, handle) {
            self.links.remove(&link);
        }
    }

    pub(super) fn links_of(&self, user: &User, handle: Handle) -> Vec<(usize, u64, Handle)> {
        let place = |host: &str| self.authorities.iter().position(|authority| &*authority.host == host);
        user.links.iter().filter_map(|(host, account)| Some((place(host)?, *account, handle))).collect()
    }

    fn delete(&mut self, id: ResourceId) {
        let Some(handle) = self.resources.of(id) else { return };
        self.forget(handle);
        let parents = self.resources.slot(handle).map(|slot| slot.parents.clone()).unwrap_or_default();
        for group in parents.iter() {
            self.remove_member(*group, handle);
        }
        for member in self.members.remove(&handle).into_iter().flatten() {
            self.change_parents(member, |parents| parents.retain(|group| *group != handle));
        }
        self.resources.release(id);
    }

    fn change_members(&mut self, group: ResourceId, added: &[ResourceId], removed: &[ResourceId]) {
        let handle = self.resources.place(group);
        for member in removed.iter().filter_map(|id| self.resources.of(*id)).collect::<Vec<_>>() {
            self.remove_member(handle, member);
            self.change_parents(member, |parents| parents.retain(|group| *group != handle));
        }
        if added.is_empty() {
            return;
        }
        let added: Vec<_> = added.iter().map(|id| self.resources.place(*id)).collect();
        self.members.entry(handle).or_default().extend(added.iter().copied());
        for member in added {
            self.change_parents(member, |parents| {
                if let Err(place) = parents.binary_search(&handle) {
                    parents.insert(place, handle);
                }
            });
        }
    }

    fn remove_member(&mut self, group: Handle, member: Handle) {
        if let Some(members) = self.members.get_mut(&group) {
            members.remove(&member);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
    }

    fn change_parents(&mut self, member: Handle, change: impl FnOnce(&mut Vec<Handle>)) {
        if let Some(slot) = self.resources.slot_mut(member) {
            let mut parents = slot.parents.to_vec();
            change(&mut parents);
            slot.parents = parents.into();
        }
    }
}

/// All that can be reached from a start along these edges; cycles end.
fn closure<E: Iterator<Item = Handle>>(start: Option<Handle>, edges: impl Fn(Handle) -> E) -> HashSet<Handle> {
    let mut seen = HashSet::new();
    let mut todo: Vec<_> = start.into_iter().collect();
    while let Some(at) = todo.pop() {
        for next in edges(at) {
            if seen.insert(next) {
                todo.push(next);
            }
        }
    }
    seen
}

/// The account that a user claims at an authority's host. Hosts' ids are numbers, sent as flat strings.
fn link(authority: &LinkAuthority, resource: &Resource) -> Option<(Arc<str>, u64)> {
    if authority.idp != resource.idp {
        return None;
    }
    let holder = if authority.schema.is_empty() {
        Some(&resource.attributes)
    } else {
        resource.attributes.get(&authority.schema).and_then(|extension| extension.as_object())
    };
    // A string in our own extension; in one of the admin's it may be a number.
    let value = holder?.get(&authority.attribute)?;
    let account = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some((authority.host.clone(), account))
}
