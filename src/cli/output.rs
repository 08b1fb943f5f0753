//! What commands print: tables for people, JSON and YAML for programs.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::CliError;
use crate::escape::escape;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For both
    Yaml,
}

/// `-o`, wherever something is listed or shown.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Output {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

impl Output {
    /// Prints a value: as it is, or as the table that `table` makes of it.
    pub(super) fn print<T: Serialize>(self, value: &T, table: impl FnOnce(&T) -> Table) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table => table(value).write(&mut out)?,
            Format::Json => {
                let json = serde_json::to_string_pretty(value);
                writeln!(out, "{}", json.map_err(|error| CliError::Format("this", error.to_string()))?)?;
            }
            Format::Yaml => {
                let yaml = serde_saphyr::to_string(value);
                write!(out, "{}", yaml.map_err(|error| CliError::Format("this", error.to_string()))?)?;
            }
        }
        Ok(out.flush()?)
    }

    /// Whether people read it.
    pub(super) fn is_table(self) -> bool {
        self.format == Format::Table
    }
}

/// A list, printed page by page as if it were printed whole.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    /// Of a table's columns so far.
    widths: Vec<usize>,
    begun: bool,
}

impl Printer {
    pub(super) fn new(output: Output) -> Self {
        Self { format: output.format, widths: Vec::new(), begun: false }
    }

    /// Prints the next page.
    pub(super) fn page<T: Serialize>(
        &mut self,
        out: &mut impl Write,
        items: &[T],
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Table => {
                let mut table = table(items);
                if self.begun {
                    table.headings.clear();
                }
                table.write_within(&mut self.widths, out)?;
                self.begun = true;
            }
            Format::Json => {
                for item in items {
                    let json = serde_json::to_string_pretty(item);
                    let json = json.map_err(|error| CliError::Format("this", error.to_string()))?;
                    out.write_all(if self.begun { b",\n" } else { b"[\n" })?;
                    write!(out, "  {}", json.replace('\n', "\n  "))?;
                    self.begun = true;
                }
            }
            Format::Yaml if items.is_empty() => {}
            Format::Yaml => {
                let yaml = serde_saphyr::to_string(&items);
                write!(out, "{}", yaml.map_err(|error| CliError::Format("this", error.to_string()))?)?;
                self.begun = true;
            }
        }
        Ok(())
    }

    /// Ends the list.
    pub(super) fn end(self, out: &mut impl Write) -> io::Result<()> {
        match (self.format, self.begun) {
            (Format::Json, true) => out.write_all(b"\n]\n"),
            (Format::Json | Format::Yaml, false) => out.write_all(b"[]\n"),
            _ => Ok(()),
        }
    }
}

/// Rows under headings. Cells come from outside as well: nothing in them may move a cursor or end a line.
#[derive(Debug)]
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(headings: [&'static str; N]) -> Self {
        Self { headings: headings.into(), rows: Vec::new() }
    }

    /// Rows without headings: what is printed bit by bit.
    pub(super) fn lines() -> Self {
        Self::new([])
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| escape(&cell).into_owned()).collect());
    }

    /// A thing's properties, one a line, empty ones left out.
    pub(super) fn of_one(properties: &[(&'static str, String)]) -> Self {
        let mut table = Self::lines();
        for (name, value) in properties {
            if !value.is_empty() {
                table.row([format!("{name}:"), value.clone()]);
            }
        }
        table
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.write_within(&mut Vec::new(), out)
    }

    /// Writes it with columns of at least these widths, which grow to what they are.
    fn write_within(&self, widths: &mut Vec<usize>, out: &mut impl Write) -> io::Result<()> {
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let lines = || std::iter::once(&headings).filter(|line| !line.is_empty()).chain(&self.rows);
        for line in lines() {
            widths.resize(widths.len().max(line.len()), 0);
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        for line in lines() {
            let mut text = String::new();
            for (width, cell) in widths.iter().zip(line) {
                text.push_str(cell);
                let pad = width - cell.chars().count() + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// Words for people; a closed stderr is no reason to fail.
pub(super) fn say(words: &str) {
    let text: Vec<_> = words.lines().map(escape).collect();
    let _ = writeln!(io::stderr(), "{}", text.join("\n"));
}

/// As tables show a moment.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As tables show a moment that may not have come.
pub(super) fn maybe(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(String::new, moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let mut table = Table::new(["IDP", "USER", "ACTIVE"]);
        table.row(["okta".into(), "Zoë".into(), "true".into()]);
        table.row(["entra".into(), String::new(), "false".into()]);
        assert_eq!(text(&table), "IDP    USER  ACTIVE\nokta   Zoë   true\nentra        false\n");
    }

    #[test]
    fn a_name_stays_in_its_cell() {
        let mut table = Table::new(["USER"]);
        table.row(["a\x1b[2J\r\nroot\u{202e}".into()]);
        assert_eq!(text(&table), "USER\na\\u{1b}[2J\\r\\nroot\\u{202e}\n");
    }

    #[test]
    fn one_thing_is_shown_line_by_line() {
        let table = Table::of_one(&[("id", "1".into()), ("reason", String::new()), ("phase", "Active".into())]);
        assert_eq!(text(&table), "id:     1\nphase:  Active\n");
    }

    /// What a list of these pages looks like.
    fn printed(format: Format, pages: &[&[&str]]) -> String {
        let (mut out, mut printer) = (Vec::new(), Printer::new(Output { format }));
        for page in pages {
            let table = |items: &[&str]| {
                let mut table = Table::new(["NAME", "X"]);
                for item in items {
                    table.row([(*item).to_owned(), "x".into()]);
                }
                table
            };
            printer.page(&mut out, page, table).unwrap();
        }
        printer.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_of_pages_reads_as_one() {
        let pages: &[&[&str]] = &[&["alice"], &[], &["b", "c"]];
        assert_eq!(printed(Format::Table, pages), "NAME   X\nalice  x\nb      x\nc      x\n");
        let all: Vec<String> = serde_json::from_str(&printed(Format::Json, pages)).unwrap();
        assert_eq!(all, ["alice", "b", "c"]);
        let all: Vec<String> = serde_saphyr::from_str(&printed(Format::Yaml, pages)).unwrap();
        assert_eq!(all, ["alice", "b", "c"]);
    }

    #[test]
    fn a_list_of_nothing_is_a_list() {
        assert_eq!(printed(Format::Table, &[&[]]), "NAME  X\n");
        assert_eq!(printed(Format::Json, &[&[]]), "[]\n");
        assert_eq!(printed(Format::Yaml, &[&[]]), "[]\n");
    }
}
