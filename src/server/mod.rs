//! Starts components, listeners, TLS; shutdown.

mod admin;
mod background;
mod cluster;
mod commanded;
pub mod control;
mod denials;
pub mod folder;
mod high_water;
mod idp_keys;
mod inspect;
mod install;
mod listeners;
mod parts;
mod serve;
mod verifier;

pub use serve::{ServeError, serve};
pub(crate) use verifier::innermost;
