//! SCIM's data model (RFC 7643) and the languages that speak of it: schema, filter, path, patch. Pure: no I/O, no clock.
//!
//! Anything may use this module; it uses nothing of ours.

mod agent;
mod body;
mod coerce;
mod error;
pub mod filter;
#[cfg(test)]
pub(crate) mod fuzz;
mod immutable;
mod limits;
mod mode;
pub mod patch;
mod path;
mod pick;
mod render;
mod resource;
pub mod schema;
mod sort;

pub use body::*;
pub use error::*;
pub use filter::*;
pub use limits::*;
pub use mode::*;
pub use path::*;
pub use pick::*;
pub use render::*;
pub use resource::*;
pub use sort::*;
