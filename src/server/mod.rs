//! Starts components, listeners, TLS; shutdown.

mod admin;
mod cluster;
mod control;
mod denials;
mod folder;
mod install;
mod listeners;
mod serve;

pub use control::ControlState;
pub use serve::{ServeError, serve};
