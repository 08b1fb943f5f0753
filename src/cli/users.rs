//! `users`: the people in the Directory.

use clap::{Args, Subcommand};

use super::{
    CliError,
    client::Client,
    output::{Output, Table, say},
};
use crate::server::control::wire::{Listed, UserView};

/// The people in the Directory.
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Lists them
    List(List),
    /// Shows one
    Show(Show),
}

/// What to list.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only of this IdP
    #[arg(long)]
    pub(super) idp: Option<String>,
    /// At most so many; default 1000
    #[arg(long)]
    pub(super) limit: Option<usize>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl List {
    pub(super) fn query(&self) -> [(&'static str, Option<String>); 2] {
        [("idp", self.idp.clone()), ("limit", self.limit.map(|limit| limit.to_string()))]
    }
}

/// Which one to show.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name, or SCIM id
    pub(super) name: String,
    /// The IdP, where the name stands in several
    #[arg(long)]
    pub(super) idp: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Users {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List(list) => {
                let listed: Listed<UserView> = client.get(&["users"], &list.query()).await?;
                list.output.print(&listed.items, |users| table(users))?;
                left_out(listed.total, listed.items.len());
                Ok(())
            }
            Self::Show(show) => {
                let user: UserView = client.get(&["users", &show.name], &[("idp", show.idp)]).await?;
                show.output.print(&user, |user| {
                    Table::of_one(&[
                        ("userName", user.user_name.clone()),
                        ("displayName", user.display_name.clone().unwrap_or_default()),
                        ("idp", user.idp.clone()),
                        ("id", user.id.to_string()),
                        ("active", user.active.to_string()),
                        ("groups", user.groups.join(", ")),
                        ("links", user.links.join(", ")),
                    ])
                })
            }
        }
    }
}

/// People, one a line.
pub(super) fn table(users: &[UserView]) -> Table {
    let mut table = Table::new(["IDP", "USER", "ACTIVE", "GROUPS", "LINKS", "ID"]);
    for user in users {
        table.row([
            user.idp.clone(),
            user.user_name.clone(),
            user.active.to_string(),
            user.groups.join(","),
            user.links.join(","),
            user.id.to_string(),
        ]);
    }
    table
}

/// Says that a list is not all.
pub(super) fn left_out(total: usize, shown: usize) {
    if shown < total {
        say(&format!("{shown} of {total} shown: add --limit {total} for all"));
    }
}
