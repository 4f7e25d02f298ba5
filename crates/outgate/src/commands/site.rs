//! `outgate site`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Roster, Site};

use crate::output::Failure;
use crate::remote::{Listing, Remote, ask, or_dash, properties, wait};

use super::device::ended;

mod authority;

/// `outgate site`: customers' places where devices stand.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate site add store-12 --title 'Kiruna, Lars Janssonsgatan'
  outgate site rename store-12 'Kiruna, Hjalmar Lundbohmsvägen'
  outgate site authority add store-12 --certificate factory-ca.pem
  outgate site roster store-12
  outgate site revoke store-12")]
pub(crate) struct SiteArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one.
    Add {
        /// Its name
        site: String,
        /// What people call it; its name otherwise
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List them.
    List(Listing),
    /// Show one.
    Show {
        /// Which
        site: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give one another title.
    Rename {
        /// Which
        site: String,
        /// What people are to call it
        title: String,
        /// Only if the site still has this version (see `outgate site show --json`)
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Authorities whose certificates its devices may show.
    Authority(authority::AuthorityArgs),
    /// Show which of its devices know each other on their local network.
    Roster {
        /// Which
        site: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let none of its devices in any more; those that are in are cut off at once.
    Revoke {
        /// Which
        site: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let its devices in again.
    Restore {
        /// Which
        site: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl SiteArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add {
                site,
                title,
                remote,
            } => {
                let title = title.as_deref().unwrap_or(&site);
                let made = remote.client()?.create_site(&site, title).await?;
                remote.show("site", &made, lines)
            }
            Self::List(listing) => {
                let headings = ["site", "title", "state", "created"];
                listing.show("sites", Client::sites, headings, row).await
            }
            Self::Show { site, remote } => {
                let site = remote.client()?.site(&site).await?;
                remote.show("site", &site, lines)
            }
            Self::Rename {
                site,
                title,
                if_version,
                remote,
            } => {
                let client = remote.client()?;
                let site = client.rename_site(&site, &title, if_version).await?;
                remote.show("site", &site, lines)
            }
            Self::Authority(args) => args.run().await,
            Self::Roster { site, remote } => {
                let roster = remote.client()?.roster(&site).await?;
                remote.show("roster", &roster, known)
            }
            Self::Revoke { site, yes, remote } => {
                let question = format!("Cut off all devices of the site {site}?");
                ask::confirm(&question, yes)?;
                let revoked = remote.client()?.revoke_site(&site).await?;
                remote.show("revoked", &revoked, ended)
            }
            Self::Restore { site, remote } => {
                let site = remote.client()?.restore_site(&site).await?;
                remote.show("site", &site, lines)
            }
        }
    }
}

fn known(roster: &Roster) -> String {
    let mut pairs = vec![
        ("site", roster.site.clone()),
        ("epoch", roster.epoch.to_string()),
        ("key", or_dash(roster.key.as_ref())),
        ("believed until", or_dash(roster.until.as_ref())),
    ];
    let lines = [("member", &roster.members), ("former", &roster.former)];
    for (what, members) in lines {
        let shown = members.iter().map(|it| match it.name == it.device {
            true => it.name.clone(),
            false => format!("{} ({})", it.name, it.device),
        });
        pairs.extend(shown.map(|shown| (what, shown)));
    }
    properties(pairs)
}

fn row(site: &Site) -> [String; 4] {
    let state = match site.revoked.is_some() {
        true => "revoked",
        false => "active",
    };
    let (id, title) = (site.id.clone(), site.title.clone());
    [id, title, state.to_owned(), site.created.clone()]
}

fn lines(site: &Site) -> String {
    properties([
        ("site", site.id.clone()),
        ("title", site.title.clone()),
        ("created", site.created.clone()),
        ("revoked", or_dash(site.revoked.as_ref())),
    ])
}
