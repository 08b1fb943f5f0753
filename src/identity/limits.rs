//! How much of one text is read.

/// Limits of what stands in a filter or a PATCH. What identity providers send is far below the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest filter, and longest path of a PATCH, which may hold one; bytes.
    pub filter_length: usize,
    /// Deepest nesting of parentheses, brackets and `not`.
    pub filter_depth: usize,
    /// Most operations of one PATCH.
    pub patch_operations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { filter_length: 4096, filter_depth: 32, patch_operations: 1_000 }
    }
}
