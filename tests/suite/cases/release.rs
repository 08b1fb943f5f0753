//! What we ship.

use std::sync::Arc;

use crate::{
    ensure,
    world::{Outcome, World, failpoints_binary, release_binary},
};

pub async fn the_release_binary_has_no_failpoint(_: Arc<World>) -> Outcome {
    let binary = release_binary();
    let name = b"revocation::off";
    let holds =
        |path: &str| -> Outcome<bool> { Ok(std::fs::read(path)?.windows(name.len()).any(|window| window == name)) };
    ensure!(!holds(&binary)?, "{binary} has failpoints");
    let with = failpoints_binary()?;
    ensure!(holds(&with)?, "{with} has no failpoints: this test can't fail");
    Ok(())
}
