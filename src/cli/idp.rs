//! `idp`: identity providers, and whether they are believed after a restore. `idp token`: SCIM bearer tokens; shown once,
//! two live at a time, each with an end.

use std::io::Write as _;

use clap::{Args, Subcommand};

use super::{
    CliError,
    client::Client,
    output::{Output, Table, maybe, moment, say},
};
use crate::{
    config::{IdpLabel, Span},
    server::control::wire::{Confirmed, NewToken, TokenMade, token_state},
    store::{IdpRecord, TokenRecord},
};

/// Identity providers.
#[derive(Debug, Subcommand)]
pub(super) enum Idp {
    /// Lists identity providers, and which of them are denied since a backup was restored
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Says that what an IdP tells of its people is right: after a restore they are denied until then
    Confirm {
        /// Its name, as `list` shows it
        idp: IdpLabel,
    },
    /// SCIM bearer tokens
    #[command(subcommand)]
    Token(Token),
}

/// Their tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Makes a token and prints it, this once; at most two of an IdP are live
    Create(Create),
    /// Lists tokens, without what they are
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Ends a token at once
    Revoke {
        /// Its id, as `list` shows it
        id: String,
    },
}

/// Makes a token.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// The IdP's name; it is known from its first token on
    idp: IdpLabel,
    /// When the token ends
    #[arg(long, default_value = "90d", value_name = "TIME")]
    expires: Span,
    #[command(flatten)]
    output: Output,
}

impl Idp {
    pub(super) async fn run(self, client: &Client) -> Result<(), CliError> {
        let command = match self {
            Self::List { output } => return list_idps(client, output).await,
            Self::Confirm { idp } => return confirm(client, &idp).await,
            Self::Token(command) => command,
        };
        match command {
            Token::Create(command) => command.run(client).await,
            Token::List { output } => list(client, output).await,
            Token::Revoke { id } => {
                let record: TokenRecord = client.post(&["tokens", &id, "revoke"], &()).await?;
                say(&format!("token {} of {} has ended", record.id, record.idp));
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client) -> Result<(), CliError> {
        let expires_in = self.expires.chrono().num_seconds();
        let made: TokenMade = client.post(&["tokens"], &NewToken { idp: self.idp, expires_in }).await?;
        if self.output.is_table() {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", made.token)?;
            out.flush()?;
        } else {
            self.output.print(&made, |_| Table::lines())?;
        }
        say(&format!(
            "token {} of {}, until {}; it is not shown again. The IdP sends it as `Authorization: Bearer …`",
            made.record.id,
            made.record.idp,
            maybe(made.record.expires_at)
        ));
        Ok(())
    }
}

async fn list_idps(client: &Client, output: Output) -> Result<(), CliError> {
    let idps: Vec<IdpRecord> = client.get(&["idps"], &[]).await?;
    output.print(&idps, |idps| {
        let mut table = Table::new(["NAME", "STATE", "USERS", "GROUPS", "CREATED"]);
        for idp in idps {
            let state = match idp.unconfirmed_since {
                Some(since) => format!("denied since {}: not confirmed after a restore", moment(since)),
                None => "confirmed".into(),
            };
            let (users, groups) = (idp.users.to_string(), idp.groups.to_string());
            table.row([idp.name.to_string(), state, users, groups, moment(idp.created_at)]);
        }
        table
    })
}

async fn confirm(client: &Client, idp: &IdpLabel) -> Result<(), CliError> {
    let confirmed: Confirmed = client.post(&["idps", idp.as_str(), "confirm"], &()).await?;
    say(&if confirmed.lifted {
        format!("people of {idp} may again what policies let them, by what the directory says now")
    } else {
        format!("{idp} was not in doubt")
    });
    Ok(())
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let tokens: Vec<TokenRecord> = client.get(&["tokens"], &[]).await?;
    let now = crate::clock::system()();
    output.print(&tokens, |tokens| {
        let mut table = Table::new(["ID", "IDP", "STATE", "CREATED", "EXPIRES", "REVOKED", "LAST USED"]);
        for token in tokens {
            table.row([
                token.id.clone(),
                token.idp.to_string(),
                token_state(token, now).to_owned(),
                moment(token.created_at),
                maybe(token.expires_at),
                maybe(token.revoked_at),
                maybe(token.last_used_at),
            ]);
        }
        table
    })
}
