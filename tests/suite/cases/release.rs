//! What we ship.

use std::sync::Arc;

use crate::{
    ensure,
    world::{Outcome, World},
};

pub async fn the_release_binary_has_no_failpoint(_: Arc<World>) -> Outcome {
    let binary = std::env::var("SCIM_TEKTON_BIN").unwrap_or_else(|_| "target/release/scim-tekton".into());
    let name = b"revocation::off";
    let holds =
        |path: &str| -> Outcome<bool> { Ok(std::fs::read(path)?.windows(name.len()).any(|window| window == name)) };
    ensure!(!holds(&binary)?, "{binary} has failpoints");
    let with = std::env::var("SCIM_TEKTON_FAILPOINTS_BIN")
        .map_err(|_| "SCIM_TEKTON_FAILPOINTS_BIN is not set: `make test` builds it")?;
    ensure!(holds(&with)?, "{with} has no failpoints: this test can't fail");
    Ok(())
}
