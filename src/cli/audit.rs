//! `audit`: verify, export, tail.

use std::{io::Write as _, time::Duration};

use clap::{Args, Subcommand};

use super::{
    CliError,
    client::{Client, ClientError},
    output::{Output, Table, moment},
    verify::{self, Verify},
};
use crate::{
    audit::{Row, Verifier},
    server::control::wire::AuditPage,
};

/// How often `tail --follow` looks.
const LOOKS: Duration = Duration::from_millis(500);

/// The audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Verifies that no row was changed, removed or added; states the last hash
    Verify(Verify),
    /// Prints all rows as JSON lines
    Export,
    /// Prints the newest rows, with people's names as far as they are still known
    Tail(Tail),
}

/// What to print.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    lines: u16,
    /// Goes on as rows come
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: Output,
}

impl Audit {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Verify(_) => {
                let mut verifier = Verifier::default();
                each_row(client, |row| Ok(verifier.push(row)?)).await?;
                verify::report(&verifier)
            }
            Self::Export => {
                let mut out = std::io::BufWriter::new(std::io::stdout().lock());
                each_row(client, |row| print(&mut out, row)).await?;
                Ok(out.flush()?)
            }
            Self::Tail(tail) => tail.run(client).await,
        }
    }
}

impl Tail {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let mut page: AuditPage = client.get(&["audit"], &[("last", Some(self.lines.to_string()))]).await?;
        let mut last = 0;
        loop {
            if let Some(row) = page.rows.last() {
                last = row.seq;
                self.show(&page)?;
            }
            if !self.follow {
                return Ok(());
            }
            tokio::time::sleep(LOOKS).await;
            page = after(client, last).await?;
        }
    }

    fn show(&self, page: &AuditPage) -> Result<(), CliError> {
        if self.output.is_table() {
            return self.output.print(page, table);
        }
        let mut out = std::io::stdout().lock();
        page.rows.iter().try_for_each(|row| print(&mut out, row))
    }
}

async fn after(client: &Client, seq: i64) -> Result<AuditPage, ClientError> {
    client.get(&["audit"], &[("after", Some(seq.to_string()))]).await
}

async fn each_row(client: &Client, mut take: impl FnMut(&Row) -> Result<(), CliError>) -> Result<(), CliError> {
    let mut last = 0;
    loop {
        let page = after(client, last).await?;
        let Some(newest) = page.rows.last() else { return Ok(()) };
        last = newest.seq;
        page.rows.iter().try_for_each(&mut take)?;
    }
}

fn print(out: &mut impl std::io::Write, row: &Row) -> Result<(), CliError> {
    let json = serde_json::to_string(row).map_err(|error| CliError::Format("a row", error.to_string()))?;
    Ok(writeln!(out, "{json}")?)
}

fn table(page: &AuditPage) -> Table {
    let mut table = Table::lines();
    for row in &page.rows {
        let entry = &row.entry;
        let user =
            entry.user.map_or_else(String::new, |id| page.people.get(&id).cloned().unwrap_or_else(|| id.to_string()));
        let about = [entry.run.as_deref(), entry.decision.as_deref(), entry.grant.as_deref()];
        let about: Vec<_> = about.into_iter().flatten().collect();
        let detail = if entry.detail.is_null() { String::new() } else { entry.detail.to_string() };
        table.row([row.seq.to_string(), moment(row.at), format!("{:?}", entry.kind), user, about.join(" "), detail]);
    }
    table
}
