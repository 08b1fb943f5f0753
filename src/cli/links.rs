//! `links`: whose account at a source-code host is whose, and what an event of it meets.

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{
    CliError,
    client::Client,
    import,
    output::{Output, Table},
    pages::Pages,
};
use crate::server::control::wire::{Holder, LinkView};

/// Whose account at a source-code host is whose.
#[derive(Debug, Subcommand)]
pub(super) enum Links {
    /// Lists them, and whether events of each are denied
    List(List),
    /// Shows who claims an account
    Show(Show),
    /// Takes them from a file, as if the IdP whose word is taken for the host had said so
    Import(import::Links),
}

/// Which to list.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only at this host
    #[arg(long)]
    host: Option<String>,
    /// Only those whose events are denied: somebody inactive, or several people
    #[arg(long)]
    denied: bool,
    #[command(flatten)]
    pages: Pages,
}

/// Which one to show.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// As `github.com/583231`: the account's number, not its login
    account: Account,
    #[command(flatten)]
    output: Output,
}

/// An account as one word.
#[derive(Clone, Debug)]
struct Account {
    host: String,
    number: u64,
}

impl FromStr for Account {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once('/').filter(|(host, _)| !host.is_empty());
        let account =
            parts.and_then(|(host, number)| Some(Self { host: host.to_owned(), number: number.parse().ok()? }));
        account.ok_or("expected HOST/NUMBER, as github.com/583231")
    }
}

impl Links {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List(List { host, denied, pages }) => {
                let query = [("host", host), ("denied", Some(denied.to_string()))];
                pages.print(client, "links", &query, list).await
            }
            Self::Import(import) => import.run(client).await,
            Self::Show(Show { account: Account { host, number }, output }) => {
                let link: LinkView = client.get(&["links", &host, &number.to_string()], &[]).await?;
                output.print(&link, one)
            }
        }
    }
}

fn list(links: &[LinkView]) -> Table {
    let mut table = Table::new(["HOST", "ACCOUNT", "STATE", "IDP", "USER"]);
    for link in links {
        let cells = |idp: &str, user: &str| {
            [link.host.clone(), link.account.to_string(), link.state.as_str().into(), idp.into(), user.into()]
        };
        for Holder { idp, user_name, .. } in &link.holders {
            table.row(cells(idp, user_name));
        }
    }
    table
}

fn one(link: &LinkView) -> Table {
    let mut table = Table::new(["HOST", "ACCOUNT", "STATE", "IDP", "USER", "ACTIVE", "ID"]);
    for holder in &link.holders {
        table.row([
            link.host.clone(),
            link.account.to_string(),
            link.state.as_str().into(),
            holder.idp.clone(),
            holder.user_name.clone(),
            holder.active.to_string(),
            holder.id.to_string(),
        ]);
    }
    table
}
