//! The command line: one file a subcommand. What a command prints for another program stands alone on stdout; words
//! for people go to stderr. All but `serve`, `restore`, `crds`, `audit verify --file` and `explain --policies` ask a
//! running server over its socket.
//!
//! A command that answers a question ends with 0 for yes and 1 for no, and with 2 where it could not tell: a test that
//! expects a denial must not be content with a missing file.

mod agents;
mod audit;
mod backup;
mod client;
mod crds;
mod doctor;
mod explain;
mod grants;
mod groups;
mod idp;
mod import;
mod links;
mod output;
mod pages;
mod people_file;
mod progress;
mod serve;
mod users;
mod verify;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    audit::Broken,
    config::{Config, ConfigError},
    server::{ServeError, folder::ReadFolderError},
    store::StoreError,
};
use client::{Client, ClientError};

/// Ties a Tekton pipeline's power to the person behind it.
#[derive(Debug, Parser)]
#[command(name = "scim-tekton", version, propagate_version = true)]
struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "SCIM_TEKTON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server
    Serve(serve::Serve),
    /// Identity providers, and their SCIM bearer tokens
    #[command(subcommand)]
    Idp(idp::Idp),
    /// The people in the Directory
    #[command(subcommand)]
    Users(users::Users),
    /// The groups in the Directory
    #[command(subcommand)]
    Groups(groups::Groups),
    /// The Agents in the Directory
    #[command(subcommand)]
    Agents(agents::Agents),
    /// Whose account at a source-code host is whose
    #[command(subcommand)]
    Links(links::Links),
    /// Live credentials, and the kill switch
    #[command(subcommand)]
    Grants(grants::Grants),
    /// Why an event was, or would be, allowed or denied: the whole trace
    Explain(explain::Explain),
    /// Checks a deployment: what is wrong, and how to mend it
    Doctor(doctor::Doctor),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Copies the store into a file while the server goes on
    Backup(backup::Backup),
    /// Puts a backup in the store's place; no server may run
    Restore(backup::Restore),
    /// Prints the custom resource definitions
    Crds,
}

impl Command {
    /// Whether the exit code is the answer.
    fn is_a_question(&self) -> bool {
        matches!(self, Self::Explain(_) | Self::Doctor(_))
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the audit log is broken: {0}")]
    Broken(#[from] Broken),
    #[error("{0}")]
    NotARow(verify::NotARow),
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("nothing can be written: {0}")]
    Output(#[from] std::io::Error),
    #[error("{0} can't be shown: {1}")]
    Format(&'static str, String),
    #[error("this process can't start: {0}")]
    Start(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Policies(#[from] ReadFolderError),
    #[error(transparent)]
    People(#[from] people_file::PeopleError),
    #[error("{path}: expected an InterceptorRequest of Tekton Triggers as JSON: {why}")]
    NoRequest { path: String, why: String },
    /// Ended by ^C.
    #[error("interrupted")]
    Interrupted,
    /// The answer is no, and it is printed.
    #[error("no")]
    No,
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    // Before anything speaks TLS: two providers in one binary would make rustls panic at the first connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = Cli::parse();
    let trouble = if cli.command.is_a_question() { ExitCode::from(2) } else { ExitCode::FAILURE };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // `scim-tekton audit export | head` is no failure.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(CliError::No) => ExitCode::FAILURE,
        // As a shell tells of SIGINT.
        Err(CliError::Interrupted) => ExitCode::from(130),
        Err(error) => {
            output::say(&format!("scim-tekton: {error}"));
            trouble
        }
    }
}

fn execute(cli: Cli) -> Result<(), CliError> {
    let load = || Config::load(cli.config.as_deref(), &environment());
    match cli.command {
        Command::Crds => crds::run(),
        Command::Serve(command) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(|error| CliError::Start(error.to_string()))?.block_on(command.run(load()?))
        }
        Command::Audit(audit::Audit::Verify(verify::Verify { file: Some(file) })) => verify::file(&file),
        Command::Restore(command) => command.run(&load()?),
        Command::Explain(command) if command.needs_no_server() => command.alone(&load()?),
        command => {
            let client = Client::new(load()?.control_path())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| CliError::Start(error.to_string()))?.block_on(ask(&client, command))
        }
    }
}

async fn ask(client: &Client, command: Command) -> Result<(), CliError> {
    match command {
        Command::Idp(command) => command.run(client).await,
        Command::Users(command) => command.run(client).await,
        Command::Groups(command) => command.run(client).await,
        Command::Agents(command) => command.run(client).await,
        Command::Links(command) => command.run(client).await,
        Command::Grants(command) => command.run(client).await,
        Command::Explain(command) => command.run(client).await,
        Command::Doctor(command) => command.run(client).await,
        Command::Audit(command) => command.run(client).await,
        Command::Backup(command) => command.run(client).await,
        Command::Serve(_) | Command::Restore(_) | Command::Crds => Ok(()),
    }
}

/// What of the environment is text.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

#[cfg(test)]
mod with_a_server;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_are_understood() {
        for line in [
            "scim-tekton serve",
            "scim-tekton serve --config c.yaml --components scim,issuer",
            "scim-tekton --config c.yaml idp token create okta",
            "scim-tekton idp token create okta --expires 30d -o json",
            "scim-tekton idp token list -o yaml",
            "scim-tekton idp token revoke 7",
            "scim-tekton users list --idp okta --filter active -o yaml",
            "scim-tekton users import users.jsonl --idp okta",
            "scim-tekton groups import - --idp okta --members-by externalId -o json",
            "scim-tekton links import links.csv --keep-going",
            "scim-tekton users show alice@example.com",
            "scim-tekton groups list --limit 10",
            "scim-tekton agents list --filter active",
            "scim-tekton agents show release-bot",
            "scim-tekton agents import agents.jsonl --idp okta",
            "scim-tekton links list --host github.com --denied",
            "scim-tekton links show github.com/583231",
            "scim-tekton groups show deployers",
            "scim-tekton grants list --all",
            "scim-tekton grants show 5c4f1f2e-0000-4000-8000-000000000000",
            "scim-tekton grants revoke 5c4f1f2e-0000-4000-8000-000000000000",
            "scim-tekton grants revoke --user alice@example.com",
            "scim-tekton grants revoke --all",
            "scim-tekton explain 0190",
            "scim-tekton explain --event request.json -o json",
            "scim-tekton explain --event - --policies policies --directory people.yaml",
            "scim-tekton doctor -o json",
            "scim-tekton audit verify --file log.jsonl",
            "scim-tekton audit export",
            "scim-tekton audit tail -n 5 --follow",
            "scim-tekton backup /backups/monday.db",
            "scim-tekton restore /backups/monday.db --force",
            "scim-tekton restore",
            "scim-tekton idp list -o json",
            "scim-tekton idp confirm okta",
            "scim-tekton crds",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "scim-tekton",
            "scim-tekton idp token create",
            "scim-tekton idp token create Okta!",
            "scim-tekton idp token create okta --expires never",
            "scim-tekton backup",
            "scim-tekton idp confirm",
            "scim-tekton grants revoke",
            "scim-tekton grants revoke --all --user alice",
            "scim-tekton grants revoke not-an-id",
            "scim-tekton serve --components console",
            "scim-tekton links show 583231",
            "scim-tekton users import users.jsonl",
            "scim-tekton users import users.jsonl --idp okta --members-by externalId",
            "scim-tekton explain",
            "scim-tekton explain 0190 --event request.json",
            "scim-tekton explain 0190 --policies policies --directory people.yaml",
            "scim-tekton explain --event request.json --policies policies",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
