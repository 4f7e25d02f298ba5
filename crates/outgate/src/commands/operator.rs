//! `outgate operator`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Credential, Operator};

use crate::output::Failure;
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, lasting, or_dash, wait};

use super::device::ended;

/// `outgate operator`: people, and programs that administer.
#[derive(Args)]
#[command(
    after_help = "A viewer sees; an operator also sends commands, calls, and enrols and \
revokes devices; an admin also administers sites, operators, services and fleet keys.

Examples:
  outgate operator add anna --role operator --out anna.token
  outgate operator add kiosk --role viewer --site store-12
  outgate operator tokens anna
  outgate operator revoke anna --token cr-0123456789abcdefghjk"
)]
pub(crate) struct OperatorArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one, with a first token.
    Add {
        /// Their name
        operator: String,
        /// What they may do
        #[arg(long, value_parser = ["viewer", "operator", "admin"])]
        role: String,
        /// The only site that they see; every one otherwise
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// List one's tokens, without their secrets.
    Tokens {
        /// Whose
        operator: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Give one another token.
    Token {
        /// Whom
        operator: String,
        /// What it is for
        #[arg(long)]
        label: String,
        /// For how long, as 12h or 90d; for ever otherwise
        #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
        lasts: Option<u64>,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// Who you are, as the hub sees it.
    Me {
        #[command(flatten)]
        remote: Remote,
    },
    /// Let one in no more, or not with one token.
    Revoke {
        /// Whom
        operator: String,
        /// Only this token, by its name (see `outgate operator tokens`)
        #[arg(long, value_name = "TOKEN")]
        token: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl OperatorArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                operator,
                role,
                site,
                out,
                remote,
            } => {
                let client = remote.client()?;
                let made = client.create_operator(&operator, &role, site.as_deref());
                let made = made.await?;
                out.tell_token(&remote, "made", &made, &made.issued)
            }
            Self::List(listing) => {
                let headings = ["operator", "role", "site", "created", "revoked"];
                listing
                    .show("operators", Client::operators, headings, row)
                    .await
            }
            Self::Tokens { operator, listing } => {
                let headings = ["token", "label", "state", "created", "used", "expires"];
                let tokens = |client: &Client| client.operator_tokens(&operator);
                listing.show("tokens", tokens, headings, token_row).await
            }
            Self::Token {
                operator,
                label,
                lasts,
                out,
                remote,
            } => {
                let client = remote.client()?;
                let issued = client.add_operator_token(&operator, &label, lasts).await?;
                out.tell_token(&remote, "issued", &issued, &issued)
            }
            Self::Me { remote } => {
                let me = remote.client()?.me().await?;
                remote.show("me", &me, |me| {
                    let role = me.role.as_deref().unwrap_or("service");
                    let site = me.site.as_deref().unwrap_or("every site");
                    crate::table::harmless(&format!("{} ({role}, {site})\n", me.id))
                })
            }
            Self::Revoke {
                operator,
                token,
                yes,
                remote,
            } => revoke(&operator, token.as_deref(), yes, &remote).await,
        }
    }
}

async fn revoke(
    operator: &str,
    token: Option<&str>,
    yes: bool,
    remote: &Remote,
) -> Result<(), Failure> {
    let client = remote.client()?;
    let revoked = match token {
        Some(token) => {
            ask::confirm(&format!("Revoke the token {token} of {operator}?"), yes)?;
            client.revoke_operator_token(operator, token).await?
        }
        None => {
            ask::confirm(&format!("Revoke {operator} and all their tokens?"), yes)?;
            client.revoke_operator(operator).await?
        }
    };
    remote.show("revoked", &revoked, ended)
}

fn row(operator: &Operator) -> [String; 5] {
    [
        operator.id.clone(),
        operator.role.clone(),
        operator.site.clone().unwrap_or_else(|| "every".to_owned()),
        operator.created.clone(),
        or_dash(operator.revoked.as_ref()),
    ]
}

fn token_row(token: &Credential) -> [String; 6] {
    [
        token.id.clone(),
        token.label.clone(),
        token.state.clone(),
        token.created.clone(),
        or_dash(token.used.as_ref()),
        or_dash(token.expires.as_ref()),
    ]
}
