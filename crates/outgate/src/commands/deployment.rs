//! `outgate deploy` and `outgate deployment`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, DeployTo, Deployed, Deployment};

use crate::output::Failure;
use crate::remote::{Listing, Remote, ask, or_dash, properties, wait};

/// `outgate deploy`.
#[derive(Args)]
#[command(
    after_help = "Devices that are away get it when they come. Nothing older than what a \
device has confirmed is offered to it, unless its signer lets it go back.

Examples:
  outgate deploy fort-1.2 --to fort-7 --to fort-8
  outgate deploy fort-1.2 --site store-12"
)]
pub(crate) struct DeployArgs {
    /// The release
    release: String,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// To this device (may be repeated)
    #[arg(long, value_name = "DEVICE", num_args = 1..)]
    to: Vec<String>,
    /// To all devices that stand at this site now
    #[arg(long)]
    site: Option<String>,
}

/// `outgate deployment`: releases on their way to devices.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate deployment show dp-0123456789abcdefghjk
  outgate deployment devices dp-0123456789abcdefghjk
  outgate deployment log dp-0123456789abcdefghjk fort-7")]
pub(crate) struct DeploymentArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// List them, the newest first.
    List(Listing),
    /// Show one, and how many of its devices are how far.
    Show {
        /// Which
        deployment: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List its devices, and how far each is.
    Devices {
        /// Of which
        deployment: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Print what a device on which it has failed had to say.
    Log {
        /// Which
        deployment: String,
        /// Of which device
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// End one before its time.
    Abort {
        /// Which
        deployment: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

impl DeployArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(async {
            let to = match self.whom.site {
                Some(site) => DeployTo::Site(site),
                None => DeployTo::Devices(self.whom.to),
            };
            let made = self.remote.client()?.deploy(&self.release, &to).await?;
            self.remote.show("deployment", &made, lines)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DeploymentArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(listing) => {
                let headings = [
                    "deployment",
                    "release",
                    "devices",
                    "by",
                    "created",
                    "aborted",
                ];
                listing
                    .show("deployments", Client::deployments, headings, row)
                    .await
            }
            Self::Show { deployment, remote } => {
                let found = remote.client()?.deployment(&deployment).await?;
                remote.show("deployment", &found, lines)
            }
            Self::Devices {
                deployment,
                listing,
            } => {
                let headings = ["device", "progress", "doing", "since", "log"];
                let devices = |client: &Client| client.deployed(&deployment);
                listing.show("devices", devices, headings, device_row).await
            }
            Self::Log {
                deployment,
                device,
                remote,
            } => {
                let client = remote.client()?;
                let log = client.deployment_log(&deployment, &device).await?;
                remote.show("log", &log, Clone::clone)
            }
            Self::Abort {
                deployment,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Abort the deployment {deployment}?"), yes)?;
                let aborted = remote.client()?.abort_deployment(&deployment).await?;
                remote.show("deployment", &aborted, lines)
            }
        }
    }
}

fn row(deployment: &Deployment) -> [String; 6] {
    let counts = deployment.devices.iter();
    let counts: Vec<_> = counts.map(|(how, many)| format!("{many} {how}")).collect();
    [
        deployment.id.clone(),
        deployment.release.clone(),
        counts.join(", "),
        deployment.by.clone(),
        deployment.created.clone(),
        or_dash(deployment.aborted.as_ref()),
    ]
}

fn lines(deployment: &Deployment) -> String {
    let [id, release, devices, by, created, aborted] = row(deployment);
    properties([
        ("deployment", id),
        ("release", release),
        ("devices", devices),
        ("by", by),
        ("created", created),
        ("aborted", aborted),
    ])
}

fn device_row(device: &Deployed) -> [String; 5] {
    [
        device.device.clone(),
        device.progress.clone(),
        or_dash(device.doing.as_ref()),
        device.changed.clone(),
        if device.has_log { "yes" } else { "-" }.to_owned(),
    ]
}
