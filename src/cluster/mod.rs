//! The API servers: their addresses, our clients for them, and what they answer.
//!
//! A cluster may have several API servers, each with its own watch cache: what one of them refuses, another may still
//! allow for some milliseconds. So revocation asks each by its own address. Uses nothing of ours but `api`.

mod events;
mod probe;
mod servers;
pub mod time;

pub use events::*;
pub use probe::*;
pub use servers::*;
