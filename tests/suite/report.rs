//! The story's voice: each step says what it does, each check what it found.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use crate::world::{Failure, Outcome};

/// Counts and prints.
pub struct Report {
    begun: Instant,
    passed: AtomicU32,
    failed: AtomicU32,
}

impl Default for Report {
    fn default() -> Self {
        Self { begun: Instant::now(), passed: AtomicU32::new(0), failed: AtomicU32::new(0) }
    }
}

impl Report {
    /// Nothing could even begin.
    pub fn failed_at_once(error: &Failure) -> Self {
        let report = Self::default();
        report.check::<()>("the world is there", Err(error.to_string().into()));
        report
    }

    /// One check, and no story.
    pub fn of(what: &str, outcome: Outcome) -> Self {
        let report = Self::default();
        report.check(what, outcome);
        report
    }

    /// A step begins.
    pub fn step(&self, number: u32, title: &str) {
        println!("\n[{:5.1} s] {number}. {title}", self.begun.elapsed().as_secs_f32());
    }

    /// Something worth seeing.
    #[expect(clippy::unused_self, reason = "the report is the voice")]
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            println!("           {line}");
        }
    }

    /// A check: what holds, and whether it does.
    pub fn check<T>(&self, what: &str, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed.fetch_add(1, Ordering::Relaxed);
                println!("       ok  {what}");
                Some(value)
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                println!("     FAIL  {what}\n           {error}");
                None
            }
        }
    }

    /// How many checks held.
    pub fn passed(&self) -> u32 {
        self.passed.load(Ordering::Relaxed)
    }

    /// How many did not.
    pub fn failed(&self) -> u32 {
        self.failed.load(Ordering::Relaxed)
    }
}
