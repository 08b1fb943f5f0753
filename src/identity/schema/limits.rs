//! Our extension of `ServiceProviderConfig` (RFC 7643 §5): the limits that no RFC has a place for. They are read only, and
//! of no type of resource that one could provision.

use super::{Attribute, LIMITS_URN, Schema};

const PATCH: &[Attribute] = &[Attribute::integer("maxOperations", "Most operations of one PATCH.").read_only()];

const FILTER: &[Attribute] = &[
    Attribute::integer("maxLength", "Longest filter, or path of a PATCH, in bytes.").read_only(),
    Attribute::integer("maxDepth", "Deepest nesting of parentheses, brackets and not.").read_only(),
];

/// The extension.
pub static LIMITS: Schema = Schema {
    id: LIMITS_URN,
    name: "Limits",
    description: "How much a request may hold, beside what RFC 7643 and RFC 9865 have a place for",
    attributes: &[
        Attribute::integer("maxBodySize", "Largest body of a request that is no Bulk, in bytes.").read_only(),
        Attribute::integer("maxResourceSize", "Largest resource, in bytes of JSON without members.").read_only(),
        Attribute::integer("maxMembers", "Most members that one operation names, or a whole group.").read_only(),
        Attribute::integer("requestsPerSecond", "Most requests a second; without it there is no limit.").read_only(),
        Attribute::complex("patch", PATCH, "What a PATCH may hold.").read_only(),
        Attribute::complex("filter", FILTER, "What a filter may hold.").read_only(),
    ],
};
