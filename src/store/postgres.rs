//! PostgreSQL: a server that others back up and replicate; ours alone by a lock that its session holds.

mod dialect;
mod open;
mod place;
mod restore;
mod session;
#[cfg(test)]
mod tests;

pub use open::open;
pub use restore::restore;
pub use session::Session;
