//! Attacks that DESIGN §8 lists under *Runs* and *Credentials*: each function bears its name there.

pub mod children;
pub mod credentials;
pub mod policies;
pub mod runs;
