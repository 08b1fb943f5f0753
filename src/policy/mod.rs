//! AccessPolicies: what is in force (the catalog) and what follows from it. Pure: no I/O, no clock.
//!
//! Uses `api`, `directory`, `identity`.

mod facts;

pub use facts::*;
