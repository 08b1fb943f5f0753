//! The story's voice: each step says what it does, each check what it found.

use std::{cell::Cell, time::Instant};

use crate::world::Failure;

/// Counts and prints.
pub struct Report {
    begun: Instant,
    passed: Cell<u32>,
    failed: Cell<u32>,
}

impl Default for Report {
    fn default() -> Self {
        Self { begun: Instant::now(), passed: Cell::new(0), failed: Cell::new(0) }
    }
}

impl Report {
    /// Nothing could even begin.
    pub fn failed_at_once(error: &Failure) -> Self {
        let report = Self::default();
        report.check::<()>("the world is there", Err(error.to_string().into()));
        report
    }

    /// A step begins.
    pub fn step(&self, number: u32, title: &str) {
        println!("\n[{:5.1} s] {number}. {title}", self.begun.elapsed().as_secs_f32());
    }

    /// Something worth seeing.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            println!("           {line}");
        }
    }

    /// A check: what holds, and whether it does.
    pub fn check<T>(&self, what: &str, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed.set(self.passed.get() + 1);
                println!("       ok  {what}");
                Some(value)
            }
            Err(error) => {
                self.failed.set(self.failed.get() + 1);
                println!("     FAIL  {what}\n           {error}");
                None
            }
        }
    }

    /// How many checks held.
    pub fn passed(&self) -> u32 {
        self.passed.get()
    }

    /// How many did not.
    pub fn failed(&self) -> u32 {
        self.failed.get()
    }
}
