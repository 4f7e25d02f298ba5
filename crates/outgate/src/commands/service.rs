//! `outgate service`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Credential, Given, Issued, Service};

use crate::output::Failure;
use crate::remote::secret::Out;
use crate::remote::{Listing, Remote, ask, or_dash, properties, wait};

use super::device::ended;

/// `outgate service`: back ends that take events.
#[derive(Args)]
#[command(after_help = "Example:
  outgate service add billing --out billing.token
  outgate service key billing --out billing.connection")]
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
    /// Give one an access key, as a connection string for back ends of Azure SignalR Service.
    Key {
        /// Which
        service: String,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        remote: Remote,
    },
    /// List one's access keys.
    Keys {
        /// Which
        service: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Let one in no more, or an access key of it.
    Revoke {
        /// Which
        service: String,
        /// Only this access key, by its name
        #[arg(long)]
        key: Option<String>,
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
            Self::Key {
                service,
                out,
                remote,
            } => {
                let client = remote.client()?;
                let issued = client.add_access_key(&service).await?;
                let text = connection_string(client.hub(), &issued);
                let people = |issued: &Issued| {
                    properties([
                        ("key", issued.credential.id.clone()),
                        ("connection string", text.clone()),
                    ])
                };
                out.tell_alone(&remote, "issued", &issued, &text, people)
            }
            Self::Keys { service, listing } => {
                let headings = ["key", "state", "created", "used"];
                let keys = |client: &Client| client.access_keys(&service);
                listing.show("keys", keys, headings, key_row).await
            }
            Self::Revoke {
                service,
                key,
                yes,
                remote,
            } => revoke(&service, key.as_deref(), yes, &remote).await,
        }
    }
}

async fn revoke(
    service: &str,
    key: Option<&str>,
    yes: bool,
    remote: &Remote,
) -> Result<(), Failure> {
    let client = remote.client()?;
    let revoked = match key {
        Some(key) => {
            ask::confirm(&format!("Revoke the access key {key} of {service}?"), yes)?;
            client.revoke_access_key(service, key).await?
        }
        None => {
            ask::confirm(&format!("Revoke {service}, its tokens and keys?"), yes)?;
            client.revoke_service(service).await?
        }
    };
    remote.show("revoked", &revoked, ended)
}

/// What back ends of Azure SignalR Service are configured with.
fn connection_string(hub: &str, issued: &Issued) -> String {
    let key = match &issued.given {
        Given::Key(key) => key.expose(),
        Given::Token(_) | Given::Certificate(_) | Given::Nothing => "",
    };
    let hub = hub.trim_end_matches('/');
    format!("Endpoint={hub};AccessKey={key};Version=1.0;")
}

fn key_row(key: &Credential) -> [String; 4] {
    [
        key.id.clone(),
        key.state.clone(),
        key.created.clone(),
        or_dash(key.used.as_ref()),
    ]
}

fn row(service: &Service) -> [String; 4] {
    [
        service.id.clone(),
        service.site.clone().unwrap_or_else(|| "every".to_owned()),
        service.created.clone(),
        or_dash(service.revoked.as_ref()),
    ]
}
