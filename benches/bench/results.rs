//! What was measured: a table for people, and `results.json` in DESIGN §12's form.

use std::{fmt, fs};

use serde::Serialize;
use serde_json::Value;

use crate::world::Outcome;

/// Where the results are, from the repository's root.
pub const FILE: &str = "target/bench/results.json";

/// One figure, beside its peer's where there is one.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    bench: &'static str,
    case: String,
    metric: &'static str,
    value: f64,
    unit: &'static str,
    peer: Option<&'static str>,
    peer_value: Option<f64>,
    /// Larger than 1: we are better.
    ratio: Option<f64>,
}

/// Which of two figures is better.
#[derive(Clone, Copy)]
pub enum Better {
    /// The smaller one, such as a time.
    Less,
    /// The larger one, such as a rate.
    More,
}

impl Row {
    /// A figure without a peer.
    pub fn alone(bench: &'static str, case: &str, metric: &'static str, value: f64, unit: &'static str) -> Self {
        Self { bench, case: case.into(), metric, value, unit, peer: None, peer_value: None, ratio: None }
    }

    /// Beside a peer's figure of the same unit.
    pub fn beside(mut self, peer: &'static str, peer_value: f64, better: Better) -> Self {
        let (above, below) = match better {
            Better::Less => (peer_value, self.value),
            Better::More => (self.value, peer_value),
        };
        self.peer = Some(peer);
        self.peer_value = Some(peer_value);
        self.ratio = (below > 0.0).then(|| above / below);
        self
    }
}

/// All that this run measured.
#[derive(Default)]
pub struct Results(Vec<Row>);

impl Results {
    /// What one benchmark measured.
    pub fn add(&mut self, rows: Vec<Row>) {
        self.0.extend(rows);
    }

    /// Beside what another program of the same `make bench` has written. Whoever reads the file sees the results before
    /// or after, never a part.
    pub fn write(&self) -> Outcome {
        let folder = std::path::Path::new(FILE).parent().ok_or("the results have no folder")?;
        fs::create_dir_all(folder)?;
        let new = format!("{FILE}.{}", std::process::id());
        let before: Vec<Value> = match fs::read(FILE) {
            Ok(before) => serde_json::from_slice(&before)?,
            Err(_) => Vec::new(),
        };
        let is_ours = |row: &Value| self.0.iter().any(|ours| row["bench"] == ours.bench);
        let mut all: Vec<Value> = before.into_iter().filter(|row| !is_ours(row)).collect();
        for row in &self.0 {
            all.push(serde_json::to_value(row)?);
        }
        fs::write(&new, serde_json::to_string_pretty(&all)? + "\n")?;
        fs::rename(&new, FILE).map_err(|error| format!("{FILE}: {error}").into())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = |of: fn(&Row) -> &str| self.0.iter().map(|row| of(row).len()).max().unwrap_or_default();
        let (case, metric) = (wide(|row| &row.case), wide(|row| row.metric));
        let mut bench = "";
        for row in &self.0 {
            if row.bench != bench {
                bench = row.bench;
                writeln!(f, "\n{bench}")?;
            }
            write!(f, "  {:case$}  {:metric$}  {:>9.1} {:6}", row.case, row.metric, row.value, row.unit)?;
            if let (Some(peer), Some(value)) = (row.peer, row.peer_value) {
                write!(f, "  {value:>9.1} {:3} {peer}", row.unit)?;
            }
            if let Some(ratio) = row.ratio {
                write!(f, ": ratio {ratio:.2}")?;
            }
            writeln!(f)?;
        }
        write!(f, "\nThe second figure is the peer's, of the same run; a ratio above 1 means that we are better.")
    }
}
