//! The suite: everything that is true of scim-tekton on real parts.
//!
//! `suite step0` plays the story's step 0 (needs only the binary), `suite demo` its steps 1–8 (needs the cluster),
//! `suite check` looks whether the invariants hold of the installed instance, `suite durability` ends ours under a load
//! of writes (needs only the binary; with `FULL=1` 50 times, and the power 100 times), `suite` runs every test. Each ends in `N passed, N failed`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]
#![allow(clippy::disallowed_methods, reason = "the suite looks at the clock from outside")]
#![allow(missing_docs, reason = "test functions are named by the sentence that holds")]

mod cases;
mod chaos;
mod house;
mod invariants;
mod report;
mod story;
mod world;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;

use world::{Outcome, World};

fn main() -> ExitCode {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first provider");
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    match std::env::args().nth(1).as_deref() {
        Some("step0") => exit(&runtime.block_on(story::step0())),
        Some("demo") => exit(&runtime.block_on(async {
            match World::connect().await {
                Ok(world) => story::demo(&world).await,
                Err(error) => report::Report::failed_at_once(&error),
            }
        })),
        Some("check") => exit(&runtime.block_on(async {
            match World::connect().await {
                Ok(world) => report::Report::of("the invariants", invariants::hold(&world).await),
                Err(error) => report::Report::failed_at_once(&error),
            }
        })),
        Some("durability") => exit(&runtime.block_on(chaos::durability())),
        _ => test(&runtime),
    }
}

fn exit(report: &report::Report) -> ExitCode {
    println!("{} passed, {} failed", report.passed(), report.failed());
    if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn test(runtime: &Arc<Runtime>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of a test's time is waiting for pods; two cores carry this many.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let house = house::tests();
    let world = match runtime.block_on(World::connect()) {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return exit(&report::Report::failed_at_once(&error));
        }
    };
    let trials = |tests: Vec<cases::Case>| -> Vec<Trial> {
        tests
            .into_iter()
            .map(|case| {
                let (runtime, world) = (Arc::clone(runtime), Arc::clone(&world));
                Trial::test(case.name, move || runtime.block_on((case.run)(world)).map_err(failed))
            })
            .collect()
    };
    let mut together: Vec<Trial> =
        house.into_iter().map(|(name, test)| Trial::test(name, move || test().map_err(failed))).collect();
    together.extend(trials(cases::together()));
    let first = libtest_mimic::run(&arguments, together);
    // These stop or replace the installed instance, or measure it: one at a time.
    arguments.test_threads = Some(1);
    let second = libtest_mimic::run(&arguments, trials(cases::alone().into_iter().chain(chaos::cases()).collect()));
    let sum = |count: fn(&Conclusion) -> u64| count(&first) + count(&second);
    println!("{} passed, {} failed", sum(|c| c.num_passed), sum(|c| c.num_failed));
    if sum(|c| c.num_failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: world::Failure) -> Failed {
    Failed::from(error.to_string())
}

/// So that tests read `async fn name(world) -> Outcome`.
pub type Test = Outcome;
