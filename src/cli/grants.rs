//! `grants`: who holds what now, and the kill switch.

use clap::{ArgGroup, Args, Subcommand};

use super::{
    CliError,
    client::Client,
    output::{Output, Table, maybe, moment, say},
};
use crate::{
    server::control::wire::{RevokeAnswer, RevokeRequest},
    store::{GrantId, GrantRecord},
};

/// Live credentials.
#[derive(Debug, Subcommand)]
pub(super) enum Grants {
    /// Lists Grants; live ones only, unless told otherwise
    List(List),
    /// Shows a Grant with its Receipt
    Show {
        /// Its id
        id: GrantId,
        #[command(flatten)]
        output: Output,
    },
    /// Revokes Grants at once and stops their runs
    Revoke(Revoke),
}

/// What to list.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Dead ones too
    #[arg(long)]
    all: bool,
    /// Only of this user: userName or id
    #[arg(long)]
    user: Option<String>,
    /// The user's IdP, where the name stands in several
    #[arg(long, requires = "user")]
    idp: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// What to revoke.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "user", "run", "policy", "all"]))]
pub(super) struct Revoke {
    /// These Grants
    ids: Vec<GrantId>,
    /// All of this user: userName or id
    #[arg(long)]
    user: Option<String>,
    /// The user's IdP, where the name stands in several
    #[arg(long, requires = "user")]
    idp: Option<String>,
    /// All of this run
    #[arg(long, value_name = "NAMESPACE/NAME")]
    run: Option<String>,
    /// All under this AccessPolicy
    #[arg(long, value_name = "NAMESPACE/NAME")]
    policy: Option<String>,
    /// All that there are
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: Output,
}

impl Grants {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        match self {
            Self::List(list) => {
                let query = [("all", Some(list.all.to_string())), ("user", list.user), ("idp", list.idp)];
                let grants: Vec<GrantRecord> = client.get(&["grants"], &query).await?;
                list.output.print(&grants, |grants| table(grants))
            }
            Self::Show { id, output } => {
                let grant: GrantRecord = client.get(&["grants", &id.to_string()], &[]).await?;
                output.print(&grant, one)
            }
            Self::Revoke(revoke) => revoke.run(client).await,
        }
    }
}

impl Revoke {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let request = RevokeRequest {
            ids: self.ids,
            user: self.user,
            idp: self.idp,
            run: self.run,
            policy: self.policy,
            all: self.all,
        };
        let answer: RevokeAnswer = client.post(&["grants", "revoke"], &request).await?;
        self.output.print(&answer, |answer| table(&answer.grants))?;
        let pending = answer.grants.iter().filter(|grant| grant.revoked_at.is_none()).count();
        let (grants, runs) = (answer.grants.len(), answer.runs.len());
        say(&format!("{grants} Grants asked to be revoked, {pending} of them not done yet; {runs} runs stopped"));
        Ok(())
    }
}

fn table(grants: &[GrantRecord]) -> Table {
    let mut table = Table::new(["USER", "RUN", "TEMPLATE", "PROVIDER", "PHASE", "EXPIRES", "REASON", "ID"]);
    for grant in grants {
        table.row([
            grant.user_name.clone(),
            format!("{}/{}", grant.namespace, grant.run_name),
            grant.template.name.clone(),
            grant.provider.clone(),
            format!("{:?}", grant.phase),
            maybe(grant.expires_at),
            grant.reason.map_or_else(String::new, |reason| reason.as_str().to_owned()),
            grant.id.to_string(),
        ]);
    }
    table
}

fn one(grant: &GrantRecord) -> Table {
    let mut lines = vec![
        ("id", grant.id.to_string()),
        ("user", format!("{} ({}, {})", grant.user_name, grant.idp, grant.user)),
        ("run", format!("{}/{} ({})", grant.namespace, grant.run_name, grant.run_uid)),
        ("task", grant.task.clone()),
        ("template", grant.template.name.clone()),
        ("policy", grant.policy.name.clone()),
        ("decision", grant.decision_id.clone()),
        ("provider", grant.provider.clone()),
        ("phase", format!("{:?}", grant.phase)),
        ("issued", maybe(grant.issued_at)),
        ("expires", maybe(grant.expires_at)),
        ("notAfter", moment(grant.not_after)),
        ("renewals", grant.renewals.to_string()),
        ("secret", grant.secret_name.clone().unwrap_or_default()),
        ("asked", maybe(grant.asked_at)),
        ("revoked", maybe(grant.revoked_at)),
        ("reason", grant.reason.map_or_else(String::new, |reason| reason.as_str().to_owned())),
        ("failure", grant.failure.clone().unwrap_or_default()),
    ];
    if let Some(receipt) = &grant.receipt {
        lines.push(("rbacGone", receipt.rbac_gone.clone().unwrap_or_default()));
        lines.extend(receipt.refused.iter().map(|(address, at)| ("refused", format!("{at} at {address}"))));
        lines.extend(receipt.unproven.iter().map(|(address, why)| ("unproven", format!("{address}: {why}"))));
        lines.push(("runCancelled", receipt.run_cancelled.clone().unwrap_or_default()));
        lines.push(("podsGone", receipt.pods_gone.clone().unwrap_or_default()));
        lines.extend(receipt.residue.iter().map(|residue| ("residue", residue.clone())));
    }
    Table::of_one(&lines)
}
