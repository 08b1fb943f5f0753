//! What is so of a file alone.

mod files;
mod plans;
mod restore;

pub use super::open;
pub(crate) use crate::store::sql::conn::params;
pub use crate::store::sql::{conn::ToColumn, idps, tests::*};
