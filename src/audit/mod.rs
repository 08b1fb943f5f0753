//! The audit log's rows and their chain, and verifying one. Pure: the store appends, `cli/audit.rs` exports.

mod chain;

pub use chain::*;
