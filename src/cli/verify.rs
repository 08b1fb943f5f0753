//! `audit verify`: whether an audit log is whole. An export alone is enough; no server is asked.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use super::CliError;
use crate::audit::{Row, Verifier};

/// No row of ours is near this; a file without line feeds must not fill the memory.
const LONGEST_LINE: u64 = 1 << 20;

/// Whether an audit log is whole.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// An export (JSON lines), `-` for stdin; without it, the running server's log
    #[arg(long, value_name = "EXPORT")]
    pub(super) file: Option<PathBuf>,
}

/// A line that is no row.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no row of the audit log as we write it: {why}")]
pub(super) struct NotARow {
    line: usize,
    why: String,
}

/// Verifies an export.
pub(super) fn file(path: &Path) -> Result<(), CliError> {
    let verifier = if path == Path::new("-") {
        lines(&mut std::io::stdin().lock(), path)?
    } else {
        let file = File::open(path).map_err(|source| failed(path, source))?;
        lines(&mut BufReader::new(file), path)?
    };
    report(&verifier)
}

/// States what held: how many rows, and the last hash, which is what an auditor notes.
pub(super) fn report(verifier: &Verifier) -> Result<(), CliError> {
    let (rows, hash) = verifier.so_far();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{rows} rows verified; last hash {hash}")?;
    Ok(out.flush()?)
}

fn lines(input: &mut impl BufRead, path: &Path) -> Result<Verifier, CliError> {
    let mut verifier = Verifier::default();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let read = input.by_ref().take(LONGEST_LINE).read_line(&mut text).map_err(|source| failed(path, source))?;
        if read == 0 {
            break;
        }
        let row = row(&text).map_err(|why| CliError::NotARow(NotARow { line, why }))?;
        verifier.push(&row)?;
    }
    Ok(verifier)
}

/// A row and nothing else: what the hash does not cover must not stand in an export that is called verified.
fn row(text: &str) -> Result<Row, String> {
    let row: Row = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(&row).map_err(|error| error.to_string())?;
    let found: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if written == found { Ok(row) } else { Err("it holds something that its hash does not cover".to_owned()) }
}

fn failed(path: &Path, source: std::io::Error) -> CliError {
    CliError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::audit::{Entry, GENESIS, Kind, link};

    fn log(rows: i64) -> Vec<String> {
        let mut previous = GENESIS.to_owned();
        let mut lines = Vec::new();
        for seq in 1..=rows {
            let at = DateTime::UNIX_EPOCH + chrono::Duration::microseconds(seq);
            let mut entry = Entry::new(Kind::DecisionDenied);
            entry.run = Some(format!("prod/run-{seq}"));
            let hash = link(&previous, seq, at, &entry);
            previous.clone_from(&hash);
            lines.push(serde_json::to_string(&Row { seq, at, entry, hash }).unwrap());
        }
        lines
    }

    fn verify(lines: &[String]) -> Result<i64, String> {
        let text = lines.join("\n");
        super::lines(&mut text.as_bytes(), Path::new("x")).map(|it| it.so_far().0).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_log_verifies() {
        assert_eq!(verify(&[]), Ok(0));
        assert_eq!(verify(&log(5)), Ok(5));
    }

    #[test]
    fn every_tampering_is_found_and_named() {
        let mut lines = log(5);
        lines[2] = lines[2].replace("run-3", "run-4");
        assert!(verify(&lines).unwrap_err().contains("row 3"));
        let mut lines = log(5);
        lines.remove(2);
        assert!(verify(&lines).unwrap_err().contains("expected row 3, found row 4"));
        let mut lines = log(5);
        lines.swap(1, 2);
        assert!(verify(&lines).is_err());
        let mut lines = log(5);
        lines[2] = lines[2].replacen('{', r#"{"note":"approved","#, 1);
        assert!(verify(&lines).unwrap_err().contains("line 3"));
        let mut lines = log(5);
        lines[2] = lines[2].replacen('{', r#"{"run":"x","#, 1);
        assert!(verify(&lines).unwrap_err().contains("line 3"));
        assert!(verify(&["not json".to_owned()]).unwrap_err().contains("line 1"));
    }
}
