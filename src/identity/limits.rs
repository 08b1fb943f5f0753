//! How much of one request is read, and kept.

/// Limits of what stands in a filter, a PATCH or a resource. What identity providers send is far below the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest filter, and longest path of a PATCH, which may hold one; bytes.
    pub filter_length: usize,
    /// Deepest nesting of parentheses, brackets and `not`.
    pub filter_depth: usize,
    /// Most operations of one PATCH.
    pub patch_operations: usize,
    /// Most members that one operation names, or a whole group that is sent.
    pub members: usize,
    /// Largest resource, bytes of JSON without members: many small changes must not add up to a large one.
    pub resource_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            filter_length: 4096,
            filter_depth: 32,
            patch_operations: 1_000,
            members: 20_000,
            resource_size: 256 * 1024,
        }
    }
}
