//! Group (RFC 7643 §4.2).

use super::{Attribute, Format, GROUP_URN, Schema};

// `display` only on request: what comes back is then what was sent, as scim2-tester expects of a value that it replaced.
const fn member(kinds: &'static [&'static str]) -> [Attribute; 4] {
    [
        Attribute::string("value", "Identifier of the member.").exact().immutable(),
        Attribute::reference("$ref", kinds, "URI of the member.").immutable(),
        Attribute::string("type", "Type of the member.").immutable().canonical(kinds),
        Attribute::string("display", "Name of the member.").read_only().on_request(),
    ]
}

// Unique beyond what RFC 7643 asks: policies and RoleBindings name groups, and a name must mean one group.
const DISPLAY_NAME: Attribute =
    Attribute::string("displayName", "Name of the group, unique within the identity provider.")
        .required()
        .unique()
        .format(Format::Name);

const MEMBER: &[Attribute] = &member(&["User", "Group"]);
const ANY_MEMBER: &[Attribute] = &member(&["User", "Group", "Agent"]);
const WHO: &str = "Who is in the group.";

pub(super) static GROUP: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "A group of users, and of other groups",
    attributes: &[DISPLAY_NAME, Attribute::complex("members", MEMBER, WHO).multi()],
};

/// As it is served where there are Agents.
pub(super) static WITH_AGENTS: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "A group of users, of agents, and of other groups",
    attributes: &[DISPLAY_NAME, Attribute::complex("members", ANY_MEMBER, WHO).multi()],
};
