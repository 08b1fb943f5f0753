//! How far a long command has come, on stderr: one line that is rewritten on a terminal, a line now and then elsewhere.

use std::{
    io::{self, IsTerminal as _, Stderr, Write},
    time::{Duration, Instant},
};

/// How often the line on a terminal is rewritten.
const REWRITTEN: Duration = Duration::from_millis(100);
/// How often a line is written elsewhere, as into the log of a CI job.
const WRITTEN: Duration = Duration::from_secs(5);

/// How far it has come.
#[derive(Debug)]
pub(super) struct Progress<W> {
    out: W,
    is_terminal: bool,
    begun: Instant,
    told: Instant,
    /// A line stands there that is to be rewritten.
    drawn: bool,
}

impl Progress<Stderr> {
    pub(super) fn on_stderr() -> Self {
        Self::new(io::stderr(), io::stderr().is_terminal(), Instant::now())
    }
}

impl<W: Write> Progress<W> {
    fn new(out: W, is_terminal: bool, begun: Instant) -> Self {
        Self { out, is_terminal, begun, told: begun, drawn: false }
    }

    /// Tells of so many that are done, and which share of all that is, unless it has just been told. A closed stderr is
    /// no reason to fail.
    pub(super) fn tell(&mut self, now: Instant, done: usize, share: Option<f64>) {
        if now - self.told < if self.is_terminal { REWRITTEN } else { WRITTEN } {
            return;
        }
        self.told = now;
        let words = words(done, share, now - self.begun);
        let _ = if self.is_terminal { write!(self.out, "\r{words}\x1b[K") } else { writeln!(self.out, "{words}") };
        let _ = self.out.flush();
        self.drawn = self.is_terminal;
    }

    /// Makes room for other words.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(self.out, "\r\x1b[K");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number to look at")]
fn words(done: usize, share: Option<f64>, since: Duration) -> String {
    let rate = done as f64 / since.as_secs_f64().max(0.001);
    match share {
        Some(share) => format!("{done} done, {:.0} %, {rate:.0}/s", share * 100.0),
        None => format!("{done} done, {rate:.0}/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told when each half second another hundred are done.
    fn told(is_terminal: bool, halves: u32) -> String {
        let begun = Instant::now();
        let mut progress = Progress::new(Vec::new(), is_terminal, begun);
        for half in 1..=halves {
            progress.tell(begun + Duration::from_millis(500) * half, 100 * half as usize, Some(f64::from(half) / 20.0));
        }
        progress.clear();
        String::from_utf8(progress.out).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line_that_is_rewritten_and_goes() {
        assert_eq!(told(true, 2), "\r100 done, 5 %, 200/s\x1b[K\r200 done, 10 %, 200/s\x1b[K\r\x1b[K");
    }

    #[test]
    fn a_log_has_a_line_every_few_seconds() {
        assert_eq!(told(false, 9), "");
        assert_eq!(told(false, 20), "1000 done, 50 %, 200/s\n2000 done, 100 %, 200/s\n");
    }
}
