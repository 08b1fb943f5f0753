//! Imports: files that go to the server a part at a time, and what became of each of their lines. What was said to be
//! imported is durable; who runs it again changes nothing of that.

mod lines;
mod links;
mod reader;
mod resources;

pub(super) use links::Import as Links;
pub(super) use resources::{Agents, Groups, Users};

use std::{fmt, future::Future, io::Stderr, path::Path, time::Instant};

use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    CliError,
    client::ClientError,
    output::{Output, Table, say},
    progress::Progress,
};
use crate::scim::Imported;

/// What became of the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    created: usize,
    changed: usize,
    unchanged: usize,
    refused: usize,
}

impl Counts {
    fn all(&self) -> usize {
        self.created + self.changed + self.unchanged + self.refused
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, changed, unchanged, refused } = self;
        write!(f, "{created} created, {changed} changed, {unchanged} unchanged, {refused} refused")
    }
}

/// An import under way.
struct Run {
    file: String,
    counts: Counts,
    progress: Progress<Stderr>,
    interrupt: Signal,
    is_trial: bool,
}

impl Run {
    fn new(file: &Path, is_trial: bool) -> Result<Self, CliError> {
        let interrupt = signal(SignalKind::interrupt()).map_err(|error| CliError::Start(error.to_string()))?;
        let (file, counts, progress) = (file.display().to_string(), Counts::default(), Progress::on_stderr());
        Ok(Self { file, counts, progress, interrupt, is_trial })
    }

    /// Waits for the server, or for ^C: what it was asked last is then done or not done, as after a lost connection.
    async fn wait<T>(&mut self, answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, CliError> {
        tokio::select! {
            answer = answer => Ok(answer?),
            _ = self.interrupt.recv() => Err(CliError::Interrupted),
        }
    }

    /// Names a line that can't be, and what was expected.
    fn refuse(&mut self, place: &dyn fmt::Display, why: &str) {
        self.progress.clear();
        say(&format!("{}: {place}: {why}", self.file));
        self.counts.refused += 1;
    }

    /// Takes in what became of something.
    fn take(&mut self, place: &dyn fmt::Display, outcome: &Imported) {
        match outcome {
            Imported::Created(_) => self.counts.created += 1,
            Imported::Changed(_) => self.counts.changed += 1,
            Imported::Unchanged(_) => self.counts.unchanged += 1,
            Imported::Refused(why) => self.refuse(place, why),
        }
    }

    /// Tells how far it has come; the share is that of the file.
    fn tell(&mut self, share: Option<f64>) {
        self.progress.tell(Instant::now(), self.counts.all(), share);
    }

    /// Sums up, also where it ended early.
    fn end(mut self, outcome: Result<(), CliError>, output: Output) -> Result<(), CliError> {
        self.progress.clear();
        if !output.is_table() {
            output.print(&self.counts, |_| Table::lines())?;
        }
        match outcome {
            Ok(()) if self.is_trial => say(&format!("{}: nothing is written, this was a dry run", self.counts)),
            Ok(()) => say(&self.counts.to_string()),
            Err(_) if self.counts.all() == 0 || self.is_trial => {}
            Err(_) => say(&format!("{}; this is durable, and was not all: run it again to go on", self.counts)),
        }
        outcome?;
        if self.counts.refused > 0 { Err(CliError::No) } else { Ok(()) }
    }
}
