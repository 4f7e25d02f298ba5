//! `outgate space`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Space, SpaceGrant, SpaceWhole};

use crate::output::Failure;
use crate::remote::{Listing, Remote, ask, properties, wait};

use super::consumer::done;

/// `outgate space`: what a site's applications stand in, and which users may do what there.
#[derive(Args)]
#[command(
    after_help = "A device asks the hub whether a user may do something in a space of its site. \
They may when a role that they have there allows it; otherwise they may not.

Examples:
  outgate space set store-12 sales --title Sales --role viewer=read --role editor=read,reload
  outgate space grant store-12 sales ann@example.com editor
  outgate space show store-12 sales
  outgate space revoke store-12 sales ann@example.com"
)]
pub(crate) struct SpaceArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one, or give one another title and other roles.
    Set(SetArgs),
    /// List a site's.
    List {
        /// Of which site
        site: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show one, and who has which role there.
    Show {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give a user a role.
    Grant {
        #[command(flatten)]
        place: Place,
        /// Who, as the device that asks calls them
        user: String,
        /// Which role
        role: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take a role from a user, or all that they have.
    Revoke {
        #[command(flatten)]
        place: Place,
        /// From whom
        user: String,
        /// Which role; all that they have in the space otherwise
        role: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove one with what was granted there.
    Remove {
        #[command(flatten)]
        place: Place,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
struct Place {
    /// Of which site
    site: String,
    /// Which space
    space: String,
}

#[derive(Args)]
#[command(
    after_help = "All of its roles are to be named: grants of one that is left out end.

Examples:
  outgate space set store-12 sales --title Sales --role viewer=read --role editor=read,reload"
)]
struct SetArgs {
    #[command(flatten)]
    place: Place,
    /// What people call it
    #[arg(long)]
    title: String,
    /// A role and the actions that it allows (may be repeated)
    #[arg(long = "role", value_name = "ROLE=ACTION,…", required = true, value_parser = role)]
    roles: Vec<(String, BTreeSet<String>)>,
    #[command(flatten)]
    remote: Remote,
}

impl SpaceArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Set(args) => args.run().await,
            Self::List { site, listing } => {
                let headings = ["space", "title", "roles", "created"];
                let spaces = |client: &Client| client.spaces(&site);
                listing.show("spaces", spaces, headings, row).await
            }
            Self::Show { place, remote } => {
                let found = remote.client()?.space(&place.site, &place.space).await?;
                remote.show("space", &found, whole)
            }
            Self::Grant {
                place,
                user,
                role,
                remote,
            } => {
                let (site, space, client) = (&place.site, &place.space, remote.client()?);
                let granted = client.grant_role(site, space, &user, &role).await?;
                remote.show("grant", &granted, grant)
            }
            Self::Revoke {
                place,
                user,
                role,
                remote,
            } => {
                let (site, space) = (&place.site, &place.space);
                let client = remote.client()?;
                let revoked = client.revoke_role(site, space, &user, role.as_deref());
                revoked.await?;
                done(&remote, "revoked", &user)
            }
            Self::Remove { place, yes, remote } => {
                let Place { site, space } = place;
                ask::confirm(&format!("Remove the space {space} of {site}?"), yes)?;
                remote.client()?.remove_space(&site, &space).await?;
                done(&remote, "removed", &space)
            }
        }
    }
}

impl SetArgs {
    async fn run(self) -> Result<(), Failure> {
        let mut roles = BTreeMap::new();
        for (role, actions) in self.roles {
            if roles.contains_key(&role) {
                return Err(Failure::input(format!("the role {role} is there twice")));
            }
            roles.insert(role, actions);
        }
        let (site, space) = (&self.place.site, &self.place.space);
        let client = self.remote.client()?;
        let put = client.put_space(site, space, &self.title, &roles).await?;
        self.remote.show("space", &put, lines)
    }
}

/// A role and its actions; one without any allows nothing.
fn role(text: &str) -> Result<(String, BTreeSet<String>), String> {
    let (role, actions) = text
        .split_once('=')
        .ok_or("a role and its actions, as editor=read,reload")?;
    let actions = actions.split(',').filter(|action| !action.is_empty());
    Ok((role.to_owned(), actions.map(str::to_owned).collect()))
}

fn row(space: &Space) -> [String; 4] {
    let roles: Vec<_> = space.roles.keys().cloned().collect();
    [
        space.id.clone(),
        space.title.clone(),
        roles.join(", "),
        space.created.clone(),
    ]
}

fn lines(space: &Space) -> String {
    let mut lines = properties([
        ("space", space.id.clone()),
        ("site", space.site.clone()),
        ("title", space.title.clone()),
        ("created", space.created.clone()),
    ]);
    for (role, actions) in &space.roles {
        let actions: Vec<_> = actions.iter().cloned().collect();
        let _ = writeln!(lines, "role {role}: {}", actions.join(", "));
    }
    lines
}

fn whole(found: &SpaceWhole) -> String {
    let grants = found.grants.iter().map(grant);
    lines(&found.space) + &grants.collect::<String>()
}

fn grant(grant: &SpaceGrant) -> String {
    let SpaceGrant { user, role, since } = grant;
    format!("{user} is {role} since {since}\n")
}
