//! Starts components, listeners, TLS; shutdown.

mod admin;
mod cluster;
pub mod control;
mod denials;
mod folder;
mod install;
mod listeners;
mod serve;

pub use serve::{ServeError, serve};
