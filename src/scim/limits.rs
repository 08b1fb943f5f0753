//! How much a request may hold, and a page of an answer. A Bulk's are in `bulk`, the rate in `rate`.

use crate::identity;

/// Limits of requests for one resource or one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of a request that is no Bulk, bytes.
    pub max_body: usize,
    /// Resources on a page.
    pub page: PageLimits,
    /// What stands in a filter or a PATCH.
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

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: 1024 * 1024, page: PageLimits::default(), text: identity::Limits::default() }
    }
}

impl Default for PageLimits {
    fn default() -> Self {
        Self { default_size: 100, max_size: 1_000 }
    }
}
