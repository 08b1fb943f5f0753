//! The Directory: an immutable, in-memory snapshot of all identities that decisions read. Pure: no I/O, no clock.
//!
//! A new snapshot shares all but the changed paths with the one before it, so applying a change costs microseconds at
//! any size. The store publishes it after each commit; readers take an `Arc` and never wait.
//! Uses `identity`.

mod build;
mod change;
mod handles;
mod names;
mod part;
mod snapshot;
mod subject;
#[cfg(test)]
mod tests;

pub use build::Builder;
pub use change::Change;
pub use part::Part;
pub use snapshot::*;
pub use subject::*;

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Where the newest Directory stands: readers `load()`, the store's feed swaps.
pub type DirectoryCell = Arc<ArcSwap<Directory>>;
