//! A disk that can lose its power: a layer (`layer.c`, compiled here) notes what a server does to its files, and from that
//! we make what would be left of them had the power gone at any moment. No real disk loses more.

mod journal;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::Outcome;
use crate::ensure;

pub use journal::Journal;

/// The layer below one folder.
pub struct Disk {
    work: TempDir,
    root: PathBuf,
}

impl Disk {
    /// Compiles the layer, for the files below a folder.
    pub fn below(root: &Path) -> Outcome<Self> {
        let this = Self { work: tempfile::tempdir()?, root: root.to_owned() };
        let source = this.work.path().join("layer.c");
        fs::write(&source, include_str!("layer.c"))?;
        let made = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(this.layer()).arg(source).output()?;
        ensure!(made.status.success(), "cc: {}", String::from_utf8_lossy(&made.stderr));
        Ok(this)
    }

    /// Puts it between a program and the disk.
    pub fn beneath(&self, program: &mut Command) {
        program.env("LD_PRELOAD", self.layer());
        program.env("DISK_ROOT", &self.root).env("DISK_JOURNAL", self.work.path().join("journal"));
    }

    /// What the program did so far.
    pub fn journal(&self) -> Outcome<Journal> {
        Journal::read(fs::read(self.work.path().join("journal"))?)
    }

    /// The folder becomes what a power cut at a moment left of it.
    pub fn cut(&self, journal: &Journal, moment: usize, luck: &mut Luck) -> Outcome {
        fs::remove_dir_all(&self.root)?;
        fs::create_dir(&self.root)?;
        for (path, bytes) in journal.files(moment, luck) {
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    fn layer(&self) -> PathBuf {
        self.work.path().join("layer.so")
    }
}

/// What becomes of that which nobody synced.
pub struct Luck {
    state: u64,
    /// Nothing unsynced comes to the disk.
    none: bool,
}

impl Luck {
    /// The same seed, the same luck; an even one is none.
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed, none: seed.is_multiple_of(2) }
    }

    /// A number below another.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or(0) % limit
    }

    fn has_it(&mut self) -> bool {
        !self.none && self.next() & 1 == 1
    }

    /// The generator of Steele, Lea and Flood: Fast Splittable Pseudorandom Number Generators.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
