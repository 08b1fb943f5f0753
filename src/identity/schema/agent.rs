//! Agent: what draft-wzdk-scim-agent-resource-00 asks for, and what clients of draft-abbey-scim-agent-extension-00 send.
//! docs/decisions/0012-agents.md says what of which.

use super::{
    AGENT_URN, Attribute, Format, Schema,
    user::{CERTIFICATE, GROUP, VALUE},
};

// The drafts know a `display`, too; it would be a copy of a name that changes elsewhere.
const OWNER: &[Attribute] = &[
    Attribute::string("value", "Identifier of the owner.").exact(),
    Attribute::reference("$ref", &["User"], "URI of the owner."),
];

const PROTOCOL: &[Attribute] = &[
    Attribute::string("type", "The protocol.").canonical(&["A2A", "OpenAPI", "MCP-Server"]),
    Attribute::reference("specificationUrl", &["external"], "URI of what describes the agent in this protocol."),
];

pub(super) static AGENT: Schema = Schema {
    id: AGENT_URN,
    name: "Agent",
    description: "A workload that acts in its own name, as a bot or an AI agent, and for which its owners answer",
    attributes: &[
        Attribute::string(
            "agentUserName",
            "Name of the agent, unique within the identity provider; if it is not sent, the name is it.",
        )
        .required()
        .unique()
        .format(Format::Name),
        Attribute::string("name", "Name of the agent, as draft-abbey-scim-agent-extension calls it.")
            .format(Format::Name),
        Attribute::string("displayName", "Name of the agent, for people.").format(Format::Name),
        Attribute::string("description", "What the agent is for."),
        Attribute::string("agentType", "Kind of agent, as \"Assistant\"."),
        // Required for the reason of a user's.
        Attribute::boolean(
            "active",
            "Whether the agent may do anything; false ends all that the agent holds, at once.",
        )
        .required(),
        Attribute::complex(
            "owners",
            OWNER,
            "Users of the identity provider who answer for the agent: without an active one it may do nothing.",
        )
        .multi(),
        Attribute::string("subject", "The sub claim by which the identity provider's own tokens name the agent.")
            .exact(),
        Attribute::complex("groups", GROUP, "Groups that the agent is in, directly.").multi().read_only(),
        Attribute::complex("entitlements", VALUE, "Entitlements.").multi(),
        Attribute::complex("roles", VALUE, "Roles.").multi(),
        Attribute::complex("x509Certificates", CERTIFICATE, "X.509 certificates.").multi(),
        Attribute::complex("protocols", PROTOCOL, "Protocols that the agent speaks.").multi(),
    ],
};
