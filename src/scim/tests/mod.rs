//! The routes against the real store: no socket, no server.

mod agents;
mod app;
mod bulk;
mod cursors;
mod extensions;
mod fuzz;
mod groups;
mod import;
mod ipsie;
mod jwt;
mod limits;
mod me;
mod protocol;
mod sorting;
mod transcripts;
mod users;
