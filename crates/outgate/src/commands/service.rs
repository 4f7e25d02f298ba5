//! `outgate service`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Service};

use crate::output::Failure;
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, or_dash, wait};

use super::device::ended;

/// `outgate service`: back ends that take events.
#[derive(Args)]
#[command(after_help = "Example:
  outgate service add billing --out billing.token")]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one, with a first token.
    Add {
        /// Its name
        service: String,
        /// The only site that it sees; every one otherwise
        #[arg(long)]
        site: Option<String>,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Let one in no more.
    Revoke {
        /// Which
        service: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl ServiceArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                service,
                site,
                out,
                remote,
            } => {
                let client = remote.client()?;
                let made = client.create_service(&service, site.as_deref()).await?;
                out.tell_token(&remote, "made", &made, &made.issued)
            }
            Self::List(listing) => {
                let headings = ["service", "site", "created", "revoked"];
                listing
                    .show("services", Client::services, headings, row)
                    .await
            }
            Self::Revoke {
                service,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Revoke {service} and its tokens?"), yes)?;
                let revoked = remote.client()?.revoke_service(&service).await?;
                remote.show("revoked", &revoked, ended)
            }
        }
    }
}

fn row(service: &Service) -> [String; 4] {
    [
        service.id.clone(),
        service.site.clone().unwrap_or_else(|| "every".to_owned()),
        service.created.clone(),
        or_dash(service.revoked.as_ref()),
    ]
}
