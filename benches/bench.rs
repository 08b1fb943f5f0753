//! What DESIGN §12 measures, on real parts and beside its peers in the same run (docs/benchmarks.md).
//!
//! `bench` runs all, `bench NAME` one. Prints a table and writes `target/bench/results.json`. Judges nothing: whether a
//! thing holds is the suite's business.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that panics has measured nothing, and says where"
)]

#[path = "bench/deprovision/mod.rs"]
mod deprovision;
#[path = "bench/progress.rs"]
mod progress;
#[path = "bench/results.rs"]
mod results;
#[path = "bench/sample.rs"]
mod sample;
#[path = "bench/scim/mod.rs"]
mod scim;
#[path = "../tests/suite/world/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is the suite's world, of which benchmarks need a part")]
mod world;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use progress::Progress;
use results::Results;
use world::{Outcome, World};

const ALL: [&str; 2] = ["scim", "deprovision"];

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first provider");
    // `cargo bench` adds `--bench`.
    let mut chosen: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(unknown) = chosen.iter().find(|name| !ALL.contains(&name.as_str())) {
        eprintln!("no benchmark is named {unknown:?}; there is: {}", ALL.join(", "));
        return ExitCode::from(2);
    }
    if chosen.is_empty() {
        chosen = ALL.map(str::to_owned).to_vec();
    }
    match tokio::runtime::Runtime::new().expect("a runtime").block_on(run(&chosen)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(chosen: &[String]) -> Outcome {
    let progress = Progress::start();
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let build = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
    progress.say(format!("{build} on {cores} cores, load {load}; times of a machine that does other work say little"));
    let mut results = Results::default();
    for name in chosen {
        let rows = match name.as_str() {
            "scim" => scim::run(&progress).await?,
            "deprovision" => deprovision::run(&World::connect().await?, &progress).await?,
            other => return Err(format!("{other} has no program").into()),
        };
        results.add(rows);
        // After each: what was measured stays if a later one fails.
        results.write()?;
    }
    println!("{results}");
    println!("written to {}", results::FILE);
    Ok(())
}

/// Returns when somebody ends us, so that what we made can be removed first.
async fn interrupted() -> Outcome {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
    Err("interrupted".into())
}
