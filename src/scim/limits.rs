//! How much a request may hold, and a page of an answer, as configured. A Bulk's limits are `config::Bulk`; the rate is in
//! `rate`.

use crate::{config, identity};

/// Limits of requests for one resource or one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of a request that is no Bulk, bytes.
    pub max_body: usize,
    /// Resources on a page.
    pub page: PageLimits,
    /// What stands in a filter, a PATCH or a resource.
    pub text: identity::Limits,
}

/// Resources on one page (RFC 9865 §4: `defaultPageSize`, `maxPageSize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// Where no count is asked for.
    pub default_size: usize,
    /// Where more are asked for.
    pub max_size: usize,
}

impl From<&config::Scim> for Limits {
    fn from(scim: &config::Scim) -> Self {
        let page = PageLimits { default_size: scim.pagination.default_size(), max_size: scim.pagination.max_page_size };
        let text = identity::Limits {
            filter_length: scim.filter.max_length,
            filter_depth: scim.filter.max_depth,
            patch_operations: scim.patch.max_operations,
            members: scim.max_members,
            resource_size: scim.max_resource_size,
        };
        Self { max_body: scim.max_body_size, page, text }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&config::Scim::default())
    }
}
