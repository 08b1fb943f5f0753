//! scim-tekton ties a Tekton pipeline's power to the person behind it. `docs/architecture.md` shows the way through.
//!
//! Modules may use only what stands below them in this list (`tests/suite/house.rs` holds that).

pub mod cli;
pub mod server;
pub mod scim;
pub mod interceptor;
pub mod issuer;
pub mod controller;
pub mod revocation;
pub mod credential;
pub mod keys;
pub mod cluster;
pub mod store;
pub mod audit;
pub mod telemetry;
pub mod config;
pub mod policy;
pub mod directory;
pub mod identity;
pub mod api;
pub mod clock;
pub mod ticket;
pub mod escape;
pub mod failpoint;

#[cfg(test)]
mod fake;
