//! The snapshot, how a change makes the next one, and what may be asked of it.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use crate::identity::{IdpName, Resource, ResourceId, ResourceKind, fold};

/// Where a host's Links come from: one authority for each source host (`linkAuthority`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAuthority {
    /// The host whose accounts are linked, as `github.com`.
    pub host: String,
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
    pub links: Vec<(Arc<str>, u64)>,
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

/// One committed change, as the store's feed tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An identity provider is known now.
    Idp(IdpName),
    /// Whether what an identity provider says of its people is believed; not since a backup was restored, until
    /// somebody confirms it. Believed, if nothing is told.
    Confirmed(IdpName, bool),
    /// A resource was created or its attributes changed.
    Put(Box<Resource>),
    /// A resource is gone, and all of its memberships.
    Deleted(ResourceKind, ResourceId),
    /// A group's members changed.
    Members {
        /// The group.
        group: ResourceId,
        /// Who came.
        added: Vec<ResourceId>,
        /// Who went.
        removed: Vec<ResourceId>,
    },
}

/// Why people of an IdP that is not confirmed are denied.
pub fn unconfirmed(idp: &IdpName) -> String {
    format!("the identity provider {idp} has not been confirmed since a backup was restored: ask the platform team")
}

type NameKey = (IdpName, Arc<str>);

/// All identities at one moment.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    authorities: Arc<Vec<LinkAuthority>>,
    seq: i64,
    idps: OrdSet<IdpName>,
    unconfirmed: OrdSet<IdpName>,
    users: HashMap<ResourceId, Arc<User>>,
    user_names: HashMap<NameKey, ResourceId>,
    groups: HashMap<ResourceId, Arc<Group>>,
    group_names: HashMap<NameKey, ResourceId>,
    members: HashMap<ResourceId, OrdSet<ResourceId>>,
    parents: HashMap<ResourceId, OrdSet<ResourceId>>,
    links: OrdMap<(Arc<str>, u64), OrdSet<ResourceId>>,
}

impl Directory {
    /// An empty Directory that believes these authorities.
    pub fn new(authorities: Vec<LinkAuthority>) -> Self {
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
                Change::Put(resource) if resource.kind == ResourceKind::User => self.put_user(resource),
                Change::Put(resource) => self.put_group(resource),
                Change::Deleted(ResourceKind::User, id) => self.delete_user(*id),
                Change::Deleted(ResourceKind::Group, id) => self.delete_group(*id),
                Change::Members { group, added, removed } => self.change_members(*group, added, removed),
            }
        }
        self.seq = seq;
    }

    /// A user by id.
    pub fn user(&self, id: ResourceId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// A user by `userName`, without case.
    pub fn user_by_name(&self, idp: &IdpName, user_name: &str) -> Option<&Arc<User>> {
        self.user_names.get(&(idp.clone(), fold(user_name).into())).and_then(|id| self.users.get(id))
    }

    /// A group by id.
    pub fn group(&self, id: ResourceId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// A group by `displayName`, without case.
    pub fn group_by_name(&self, idp: &IdpName, display_name: &str) -> Option<&Arc<Group>> {
        self.group_names.get(&(idp.clone(), fold(display_name).into())).and_then(|id| self.groups.get(id))
    }

    /// Everyone who claims (host, numeric id), active or not. More than one is ambiguous: the caller denies.
    pub fn linked(&self, host: &str, account: u64) -> impl Iterator<Item = &Arc<User>> {
        self.links.get(&(Arc::from(host), account)).into_iter().flatten().filter_map(|id| self.users.get(id))
    }

    /// All groups that someone is in, directly or through nested groups; cycles end. Sorted, no duplicates.
    pub fn groups_of(&self, member: ResourceId) -> OrdSet<ResourceId> {
        closure(member, &self.parents)
    }

    /// All users in a group, directly or through nested groups.
    pub fn users_in(&self, group: ResourceId) -> impl Iterator<Item = &Arc<User>> {
        closure(group, &self.members).into_iter().filter_map(|id| self.users.get(&id))
    }

    /// Direct members of a group.
    pub fn members(&self, group: ResourceId) -> impl Iterator<Item = ResourceId> {
        self.members.get(&group).into_iter().flatten().copied()
    }

    /// All users; no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// All groups; no order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The identity providers that may provision.
    pub fn idps(&self) -> &OrdSet<IdpName> {
        &self.idps
    }

    /// Whether what an IdP says of its people is believed.
    pub fn is_confirmed(&self, idp: &IdpName) -> bool {
        !self.unconfirmed.contains(idp)
    }

    fn put_user(&mut self, resource: &Resource) {
        self.forget_user(resource.id);
        let user = Arc::new(User {
            id: resource.id,
            idp: resource.idp.clone(),
            user_name: resource.name().into(),
            display_name: resource.display_name().map(Into::into),
            active: resource.active(),
            links: self.authorities.iter().filter_map(|authority| link(authority, resource)).collect(),
        });
        for link in &user.links {
            self.links.entry(link.clone()).or_default().insert(user.id);
        }
        self.user_names.insert((user.idp.clone(), fold(&user.user_name).into()), user.id);
        self.users.insert(user.id, user);
    }

    fn forget_user(&mut self, id: ResourceId) {
        let Some(old) = self.users.remove(&id) else { return };
        let key = (old.idp.clone(), fold(&old.user_name).into());
        if self.user_names.get(&key) == Some(&id) {
            self.user_names.remove(&key);
        }
        for link in &old.links {
            if let Some(holders) = self.links.get_mut(link) {
                holders.remove(&id);
                if holders.is_empty() {
                    self.links.remove(link);
                }
            }
        }
    }

    fn delete_user(&mut self, id: ResourceId) {
        self.forget_user(id);
        self.leave_all(id);
    }

    fn put_group(&mut self, resource: &Resource) {
        self.forget_group_name(resource.id);
        let group =
            Arc::new(Group { id: resource.id, idp: resource.idp.clone(), display_name: resource.name().into() });
        self.group_names.insert((group.idp.clone(), fold(&group.display_name).into()), group.id);
        self.groups.insert(group.id, group);
    }

    fn forget_group_name(&mut self, id: ResourceId) {
        let Some(old) = self.groups.get(&id) else { return };
        let key = (old.idp.clone(), fold(&old.display_name).into());
        if self.group_names.get(&key) == Some(&id) {
            self.group_names.remove(&key);
        }
    }

    fn delete_group(&mut self, id: ResourceId) {
        self.forget_group_name(id);
        self.groups.remove(&id);
        let members: Vec<_> = self.members(id).collect();
        self.change_members(id, &[], &members);
        self.leave_all(id);
    }

    fn leave_all(&mut self, member: ResourceId) {
        for group in self.parents.remove(&member).into_iter().flatten() {
            if let Some(members) = self.members.get_mut(&group) {
                members.remove(&member);
            }
        }
    }

    fn change_members(&mut self, group: ResourceId, added: &[ResourceId], removed: &[ResourceId]) {
        let members = self.members.entry(group).or_default();
        for member in removed {
            members.remove(member);
        }
        for member in added {
            members.insert(*member);
        }
        if members.is_empty() {
            self.members.remove(&group);
        }
        for member in removed {
            if let Some(parents) = self.parents.get_mut(member) {
                parents.remove(&group);
                if parents.is_empty() {
                    self.parents.remove(member);
                }
            }
        }
        for member in added {
            self.parents.entry(*member).or_default().insert(group);
        }
    }
}

/// All that can be reached from a start along these edges; cycles end.
fn closure(start: ResourceId, edges: &HashMap<ResourceId, OrdSet<ResourceId>>) -> OrdSet<ResourceId> {
    let mut seen = OrdSet::new();
    let mut todo = vec![start];
    while let Some(at) = todo.pop() {
        for next in edges.get(&at).into_iter().flatten() {
            if seen.insert(*next).is_none() {
                todo.push(*next);
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
    let account = holder?.get(&authority.attribute)?.as_str()?.parse().ok()?;
    Some((authority.host.as_str().into(), account))
}
