//! `groups`: the groups in the Directory, and who is in them.

use clap::Subcommand;

use super::{
    CliError,
    client::Client,
    import,
    output::Table,
    users::{self, List, Show},
};
use crate::server::control::wire::{GroupView, GroupWithUsers};

/// The groups in the Directory.
#[derive(Debug, Subcommand)]
pub(super) enum Groups {
    /// Lists them
    List(List),
    /// Shows who is in one, nested groups counted
    Show(Show),
    /// Creates those of a file, and changes those that are there: what the file doesn't tell of them stays
    Import(import::Groups),
}

impl Groups {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.print(client, "groups", table).await,
            Self::Import(import) => import.run(client).await,
            Self::Show(show) => {
                let group: GroupWithUsers = client.get(&["groups", &show.name], &[("idp", show.idp)]).await?;
                show.output.print(&group, |group| users::table(&group.members))
            }
        }
    }
}

fn table(groups: &[GroupView]) -> Table {
    let mut table = Table::new(["IDP", "GROUP", "USERS", "ID"]);
    for group in groups {
        table.row([group.idp.clone(), group.display_name.clone(), group.users.to_string(), group.id.to_string()]);
    }
    table
}
