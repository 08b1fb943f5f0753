//! SQLite: one file, ours alone, durable at each commit.

mod backup;
mod column;
mod open;
mod restore;
#[cfg(test)]
mod tests;

pub use backup::backup;
pub use open::open;
pub use restore::restore;
