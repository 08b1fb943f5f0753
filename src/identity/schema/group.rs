//! Group (RFC 7643 §4.2).

use super::{Attribute, Format, GROUP_URN, Schema};

// `display` only on request: what comes back is then what was sent, as scim2-tester expects of a value that it replaced.
const MEMBER: &[Attribute] = &[
    Attribute::string("value", "Identifier of the member.").exact().immutable(),
    Attribute::reference("$ref", &["User", "Group"], "URI of the member.").immutable(),
    Attribute::string("type", "Type of the member.").immutable().canonical(&["User", "Group"]),
    Attribute::string("display", "Name of the member.").read_only().on_request(),
];

pub(super) static GROUP: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "A group of users, and of other groups",
    attributes: &[
        // Unique beyond what RFC 7643 asks: policies and RoleBindings name groups, and a name must mean one group.
        Attribute::string("displayName", "Name of the group, unique within the identity provider.")
            .required()
            .unique()
            .format(Format::Name),
        Attribute::complex("members", MEMBER, "Who is in the group.").multi(),
    ],
};
