//! SCIM's data model (RFC 7643) and the languages that speak of it: schema, filter, path, patch. Pure: no I/O, no clock.
//!
//! Anything may use this module; it uses nothing of ours.

mod error;
pub mod filter;
mod mode;
mod path;
mod resource;
pub mod schema;

pub use error::*;
pub use filter::*;
pub use mode::*;
pub use path::*;
pub use resource::*;
