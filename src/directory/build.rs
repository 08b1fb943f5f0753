//! A Directory of all that the store holds. Nothing is looked for in it while it grows: what stands in an order is
//! gathered, and put in when all of it is there.

use std::collections::HashMap;

use super::{
    Directory, LinkAuthority, Part,
    handles::{Handle, Node},
};
use crate::identity::{Resource, ResourceId, ResourceKind};

/// A Directory that is being made.
#[derive(Debug, Default)]
pub struct Builder {
    directory: Directory,
    places: Vec<(ResourceId, Handle)>,
    user_names: Vec<(u64, Handle)>,
    group_names: Vec<(u64, Handle)>,
    agent_names: Vec<(u64, Handle)>,
    links: Vec<(usize, u64, Handle)>,
    /// Where each group is of which anything was told, and its members.
    groups: HashMap<ResourceId, (Handle, Vec<Handle>)>,
}

impl Builder {
    /// Of a Directory that believes these authorities.
    pub fn new(authorities: Vec<LinkAuthority>) -> Self {
        Self { directory: Directory::new(authorities), ..Self::default() }
    }

    /// Names of the attributes that it looks at, as they stand in a resource.
    pub fn attributes(&self) -> Vec<String> {
        let links = self.directory.authorities.iter();
        let links = links.map(|from| if from.schema.is_empty() { &from.attribute } else { &from.schema });
        ["userName", "displayName", "active", "agentUserName", "owners"]
            .map(String::from)
            .into_iter()
            .chain(links.cloned())
            .collect()
    }

    /// Takes in parts, in any order. `seq` is the number of the last change in what they are parts of.
    pub fn add(&mut self, seq: i64, parts: impl IntoIterator<Item = Part>) {
        for part in parts {
            match part {
                Part::Idp(idp, confirmed) => {
                    if !confirmed {
                        self.directory.unconfirmed.insert(idp.clone());
                    }
                    self.directory.idps.insert(idp);
                }
                Part::Resource(resource, groups) => self.add_resource(&resource, &groups),
            }
        }
        self.directory.seq = seq;
    }

    /// What was made.
    pub fn finish(mut self) -> Directory {
        self.places.sort_unstable();
        self.user_names.sort_unstable();
        self.group_names.sort_unstable();
        self.agent_names.sort_unstable();
        self.links.sort_unstable();
        let mut directory = self.directory;
        directory.resources.note(self.places);
        directory.user_names.add(self.user_names);
        directory.group_names.add(self.group_names);
        directory.agent_names.add(self.agent_names);
        directory.links = self.links.into_iter().collect();
        for (group, members) in self.groups.into_values().filter(|(_, members)| !members.is_empty()) {
            directory.members.insert(group, members.into_iter().collect());
        }
        directory
    }

    fn add_resource(&mut self, resource: &Resource, groups: &[ResourceId]) {
        let handle = match resource.kind {
            ResourceKind::User | ResourceKind::Agent => self.place(resource.id),
            // Someone in it may have come before.
            ResourceKind::Group => self.group(resource.id).0,
        };
        let mut parents = Vec::with_capacity(groups.len());
        for group in groups {
            let (group, members) = self.group(*group);
            members.push(handle);
            parents.push(*group);
        }
        parents.sort_unstable();
        let node = match resource.kind {
            ResourceKind::User => {
                let user = self.directory.user_of(resource);
                self.links.extend(self.directory.links_of(&user, handle));
                self.user_names.push(self.directory.user_names.entry(&user.idp, &user.user_name, handle));
                Node::User(user.into())
            }
            ResourceKind::Agent => {
                let agent = self.directory.agent_of(resource);
                let who = &agent.who;
                self.links.extend(self.directory.links_of(who, handle));
                self.agent_names.push(self.directory.agent_names.entry(&who.idp, &who.user_name, handle));
                Node::Agent(agent.into())
            }
            ResourceKind::Group => {
                let group = Directory::group_of(resource);
                self.group_names.push(self.directory.group_names.entry(&group.idp, &group.display_name, handle));
                Node::Group(group.into())
            }
        };
        if let Some(slot) = self.directory.resources.slot_mut(handle) {
            slot.node = Some(node);
            slot.parents = parents.into();
        }
    }

    fn group(&mut self, id: ResourceId) -> &mut (Handle, Vec<Handle>) {
        let (resources, places) = (&mut self.directory.resources, &mut self.places);
        self.groups.entry(id).or_insert_with(|| {
            let handle = resources.push(id);
            places.push((id, handle));
            (handle, Vec::new())
        })
    }

    fn place(&mut self, id: ResourceId) -> Handle {
        let handle = self.directory.resources.push(id);
        self.places.push((id, handle));
        handle
    }
}
