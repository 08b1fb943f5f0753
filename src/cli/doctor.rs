//! `doctor`: what is wrong with a deployment, and how to mend it.

use clap::Args;

use super::{
    CliError,
    client::Client,
    output::{Output, Table},
};
use crate::server::control::wire::{Checkup, Verdict};

/// Checks the deployment. Ends with 1 if anything FAILs.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    output: Output,
}

impl Doctor {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let checkup: Checkup = client.get(&["doctor"], &[]).await?;
        self.output.print(&checkup, table)?;
        let failed = checkup.findings.iter().any(|found| found.verdict == Verdict::Fail);
        if failed { Err(CliError::No) } else { Ok(()) }
    }
}

fn table(checkup: &Checkup) -> Table {
    let mut table = Table::new(["", "CHECK", "FOUND"]);
    for found in &checkup.findings {
        let verdict = match found.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        table.row([verdict.into(), found.check.clone(), found.found.clone()]);
        if let Some(mend) = &found.mend {
            table.row([String::new(), String::new(), format!("to mend: {mend}")]);
        }
    }
    table
}
