//! `users`: the people in the Directory.

use clap::{Args, Subcommand};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CliError,
    client::Client,
    import,
    output::{Output, Table},
    pages::Pages,
};
use crate::server::control::wire::UserView;

/// The people in the Directory.
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    /// Lists them
    List(List),
    /// Shows one
    Show(Show),
    /// Creates those of a file, and changes those that are there: what the file doesn't tell of them stays
    Import(import::Users),
}

/// Which to list.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only of this IdP
    #[arg(long)]
    idp: Option<String>,
    /// Only those that match, as 'active eq false' (RFC 7644 §3.4.2.2)
    #[arg(long)]
    filter: Option<String>,
    #[command(flatten)]
    pages: Pages,
}

impl List {
    /// Prints all that match, in the order of their creation, one IdP after the other.
    pub(super) async fn print<T: Serialize + DeserializeOwned>(
        self,
        client: &Client,
        path: &str,
        table: impl Fn(&[T]) -> Table,
    ) -> Result<(), CliError> {
        self.pages.print(client, path, &[("idp", self.idp), ("filter", self.filter)], table).await
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
            Self::List(list) => list.print(client, "users", table).await,
            Self::Import(import) => import.run(client).await,
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
