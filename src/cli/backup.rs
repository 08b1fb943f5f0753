//! `backup` asks the server for a copy of its store; `restore` puts one in the store's place while no server runs.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, client::Client, output::say};
use crate::{
    clock,
    config::Config,
    server::control::wire::BackupRequest,
    store::{AuditHead, SqlStore},
};

/// Copies the store into a file while the server goes on
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// A new file; it is written by the server, with mode 0600
    file: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        // The server stands somewhere else.
        let file = std::path::absolute(&self.file)
            .map_err(|source| CliError::File { path: self.file.display().to_string(), source })?;
        let head: AuditHead = client.post(&["backup"], &BackupRequest { file: file.clone() }).await?;
        say(&format!("{} is the store as of audit row {}, hash {}", file.display(), head.seq, head.hash));
        Ok(())
    }
}

/// Puts a backup in the store's place; no server may run
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// What `backup` has written; none with PostgreSQL, where its own means put the backup back before
    file: Option<PathBuf>,
    /// Replace the store that stands there; it is kept beside the new one
    #[arg(long)]
    force: bool,
}

impl Restore {
    /// It asks no server: there is none.
    pub(super) fn run(&self, config: &Config) -> Result<(), CliError> {
        let done = SqlStore::restore(self.file.as_deref(), &config.store, self.force, &clock::system())?;
        let (store, backup) = (&config.store, &done.backup);
        let file = self.file.as_ref().map_or_else(String::new, |file| format!("{}, ", file.display()));
        say(&format!("{store} is {file}the store as of audit row {}, hash {}", backup.seq, backup.hash));
        if let Some(kept) = &done.kept {
            say(&format!("what stood there is {} now", kept.display()));
        }
        say(&format!(
            "{} tickets are void; {} runs are ended, and {} Grants are revoked when the server starts",
            done.tickets, done.runs, done.grants
        ));
        if !done.tokens.is_empty() {
            say(&format!(
                "live SCIM tokens: {}; end each that was ended after the backup: `scim-tekton idp token revoke ID`",
                done.tokens.join(", ")
            ));
        }
        for idp in done.idps {
            say(&format!(
                "people of {idp} are denied: start the server, let the IdP push everybody again, and say that it is \
                 right: `scim-tekton idp confirm {idp}`"
            ));
        }
        Ok(())
    }
}
