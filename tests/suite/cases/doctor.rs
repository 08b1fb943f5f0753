//! `doctor` on the installed instance.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    ensure,
    world::{Outcome, World},
};

/// What must be as it should be, whatever other tests have left behind.
const OURS: [&str; 8] = [
    "store",
    "audit log",
    "directory",
    "revocations",
    "CRDs",
    "admission policies",
    "ClusterInterceptor scim",
    "grants namespace scim-tekton-grants",
];

pub async fn doctor_says_ok_on_the_installed_instance(world: Arc<World>) -> Outcome {
    // Its exit code is the answer: this fails, with all that was found, if anything FAILs.
    let checkup = world.instance.cli_json(&["doctor"]).await?;
    let findings = checkup["findings"].as_array().ok_or("no findings")?;
    for check in OURS {
        let found = findings.iter().find(|found| found["check"] == check);
        ensure!(found.is_some_and(|found| found["verdict"] == "ok"), "{check}: {found:?}");
    }
    let silent: Vec<&Value> =
        findings.iter().filter(|found| found["verdict"] != "ok" && !found["mend"].is_string()).collect();
    ensure!(silent.is_empty(), "found, and no word on how to mend it: {silent:?}");
    Ok(())
}
