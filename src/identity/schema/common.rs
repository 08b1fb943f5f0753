//! Attributes that every resource has (RFC 7643 §3.1). They belong to no schema, so `/Schemas` doesn't list them.

use super::{Attribute, Format};

const META: &[Attribute] = &[
    Attribute::string("resourceType", "Name of the resource type.").exact().read_only(),
    Attribute::date_time("created", "When the resource was created here.").read_only(),
    Attribute::date_time("lastModified", "When the resource last changed here.").read_only(),
    Attribute::reference("location", &["uri"], "URI of the resource.").read_only(),
    Attribute::string("version", "Version of the resource, as its ETag.").exact().read_only(),
];

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::reference("schemas", &["uri"], "URNs of the schemas of this resource.").multi().always().read_only(),
    Attribute::string("id", "Our identifier of the resource.").exact().always().read_only(),
    Attribute::string("externalId", "The provisioning client's identifier of the resource.")
        .exact()
        .format(Format::Name),
    Attribute::complex("meta", META, "What we know of the resource itself.").read_only(),
];
