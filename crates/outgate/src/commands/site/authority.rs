//! `outgate site authority`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use outgate_client::{Authority, Client};

use crate::output::{Failure, read_bounded};
use crate::remote::{Listing, Remote, ask, or_dash, properties};

use crate::commands::device::ended;

/// The most bytes of a certificate; the hub takes no more.
const MAX_CERTIFICATE: usize = 16 * 1024;

/// `outgate site authority`: whose certificates a site's devices may show.
#[derive(Args)]
#[command(
    after_help = "For devices that have certificates from somebody else, as from their factory. \
The common name of a device's certificate is the device's name. The hub's own authority needs no \
registration: see `outgate device authority`.

Examples:
  outgate site authority add store-12 --certificate factory-ca.pem
  outgate site authority list store-12"
)]
pub(crate) struct AuthorityArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Register one.
    Add {
        /// Whose devices may show its certificates
        site: String,
        /// Its certificate, in PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        #[command(flatten)]
        remote: Remote,
    },
    /// List a site's.
    List {
        /// Which site
        site: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Let nobody in by its certificates any more; who came in by them is cut off at once.
    Revoke {
        /// Of which site
        site: String,
        /// Which
        authority: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl AuthorityArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.act {
            Act::Add {
                site,
                certificate,
                remote,
            } => {
                let bytes = read_bounded(&certificate, MAX_CERTIFICATE).map_err(Failure::Input)?;
                let pem = String::from_utf8(bytes).map_err(|_| {
                    let shown = certificate.display();
                    Failure::input(format!("{shown} is no certificate in PEM"))
                })?;
                let made = remote.client()?.add_authority(&site, &pem).await?;
                remote.show("authority", &made, lines)
            }
            Act::List { site, listing } => {
                let headings = ["authority", "subject", "created", "expires", "revoked"];
                let authorities = |client: &Client| client.authorities(&site);
                listing
                    .show("authorities", authorities, headings, row)
                    .await
            }
            Act::Revoke {
                site,
                authority,
                yes,
                remote,
            } => {
                let question = format!("Let nobody in at {site} by certificates of {authority}?");
                ask::confirm(&question, yes)?;
                let client = remote.client()?;
                let revoked = client.revoke_authority(&site, &authority).await?;
                remote.show("revoked", &revoked, ended)
            }
        }
    }
}

fn row(authority: &Authority) -> [String; 5] {
    [
        authority.id.clone(),
        authority.subject.clone(),
        authority.created.clone(),
        authority.expires.clone(),
        or_dash(authority.revoked.as_ref()),
    ]
}

fn lines(authority: &Authority) -> String {
    let [id, subject, created, expires, revoked] = row(authority);
    properties([
        ("authority", id),
        ("site", authority.site.clone()),
        ("subject", subject),
        ("created", created),
        ("expires", expires),
        ("revoked", revoked),
    ])
}
