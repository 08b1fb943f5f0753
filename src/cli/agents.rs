//! `agents`: workload identities in the Directory, and who answers for them.

use clap::Subcommand;

use super::{
    CliError,
    client::Client,
    import,
    output::Table,
    users::{List, Show},
};
use crate::server::control::wire::AgentView;

/// The Agents in the Directory.
#[derive(Debug, Subcommand)]
pub(super) enum Agents {
    /// Lists them
    List(List),
    /// Shows one
    Show(Show),
    /// Creates those of a file, and changes those that are there: what the file doesn't tell of them stays
    Import(import::Agents),
}

impl Agents {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List(list) => list.print(client, "agents", table).await,
            Self::Import(import) => import.run(client).await,
            Self::Show(show) => {
                let agent: AgentView = client.get(&["agents", &show.name], &[("idp", show.idp)]).await?;
                show.output.print(&agent, |AgentView { who, owners }| {
                    Table::of_one(&[
                        ("agentUserName", who.user_name.clone()),
                        ("displayName", who.display_name.clone().unwrap_or_default()),
                        ("idp", who.idp.clone()),
                        ("id", who.id.to_string()),
                        ("active", who.active.to_string()),
                        ("owners", owners.join(", ")),
                        ("groups", who.groups.join(", ")),
                        ("links", who.links.join(", ")),
                    ])
                })
            }
        }
    }
}

fn table(agents: &[AgentView]) -> Table {
    let mut table = Table::new(["IDP", "AGENT", "ACTIVE", "OWNERS", "GROUPS", "LINKS", "ID"]);
    for AgentView { who, owners } in agents {
        table.row([
            who.idp.clone(),
            who.user_name.clone(),
            who.active.to_string(),
            owners.join(","),
            who.groups.join(","),
            who.links.join(","),
            who.id.to_string(),
        ]);
    }
    table
}
