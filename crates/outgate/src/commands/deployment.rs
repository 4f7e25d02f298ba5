//! `outgate deploy` and `outgate deployment`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, DeployPlan, DeployTo, Deployed, Deployment, Windows};

use crate::output::Failure;
use crate::remote::{Listing, Remote, ask, or_dash, properties, wait};

mod watch;

/// `outgate deploy`.
#[derive(Args)]
#[command(
    after_help = "Devices that are away get it when they come. Nothing older than what a \
device has confirmed is offered to it, unless its signer lets it go back.

Examples:
  outgate deploy fort-1.2 --to fort-7 --to fort-8
  outgate deploy fort-1.2 --site store-12
  outgate deploy fort-1.2 --tag ring=first --stands
  outgate deploy fort-1.2 --tag fort --phases 1%,10%,100% --stop-at-failures 5%
  outgate deploy fort-1.2 --tag fort --window 'mon-fri 22:00-04:00' --zone Europe/Stockholm"
)]
pub(crate) struct DeployArgs {
    /// The release
    release: String,
    #[command(flatten)]
    whom: Whom,
    /// Devices that get the tag later get it too, until the deployment is aborted
    #[arg(long, requires = "tag")]
    stands: bool,
    #[command(flatten)]
    plan: PlanArgs,
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
    /// To all devices that have this tag (see `outgate device tag`)
    #[arg(long)]
    tag: Option<String>,
}

#[derive(Args)]
struct PlanArgs {
    /// To how many of them first, and then: shares that rise to 100%
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',')]
    phases: Vec<String>,
    /// How many of a phase must have ended well before the next begins [default: 100%]
    #[arg(long, value_name = "SHARE", requires = "phases")]
    next_at: Option<String>,
    /// Only in this range of local time, as `22:00-04:00` or `mon-fri 22:00-04:00` (may be repeated)
    #[arg(long = "window", value_name = "RANGE")]
    windows: Vec<String>,
    /// The zone of the ranges, as Europe/Stockholm
    #[arg(long, value_name = "ZONE", requires = "windows", default_value = "UTC")]
    zone: String,
    /// Stop when so many have failed: a number, or a share of those that came to an end as `5%`
    #[arg(long, value_name = "N|SHARE")]
    stop_at_failures: Option<String>,
}

impl PlanArgs {
    fn read(self) -> DeployPlan {
        let (zone, windows) = (self.zone, self.windows);
        DeployPlan {
            phases: self.phases,
            next_at: self.next_at,
            windows: (!windows.is_empty()).then_some(Windows { zone, windows }),
            stop_at_failures: self.stop_at_failures,
        }
    }
}

/// `outgate deployment`: releases on their way to devices.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate deployment show dp-0123456789abcdefghjk
  outgate deployment watch dp-0123456789abcdefghjk
  outgate deployment pause dp-0123456789abcdefghjk
  outgate deployment devices dp-0123456789abcdefghjk
  outgate deployment log dp-0123456789abcdefghjk fort-7

Exit codes of `watch`: 0 all have it, 1 the hub cannot be reached, 2 bad input, 3 some have failed or \
the deployment has stopped, 4 to some it was not offered, 5 it was aborted")]
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
    /// Show how far one is until all its devices have come to an end, or it has stopped.
    Watch {
        /// Which
        deployment: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Offer it to nobody until it is resumed; who is at it goes on.
    Pause {
        /// Which
        deployment: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Go on with one that was paused or has stopped; failures are counted anew.
    Resume {
        /// Which
        deployment: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Begin the next phase, whatever has become of the one before.
    Advance {
        /// Which
        deployment: String,
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
            let stands = self.stands;
            let to = match (self.whom.site, self.whom.tag) {
                (Some(site), _) => DeployTo::Site(site),
                (None, Some(tag)) => DeployTo::Tag { tag, stands },
                (None, None) => DeployTo::Devices(self.whom.to),
            };
            let (client, plan) = (self.remote.client()?, self.plan.read());
            let made = client.deploy(&self.release, &to, &plan).await?;
            self.remote.show("deployment", &made, lines)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl DeploymentArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())
    }
}

impl Act {
    async fn run(self) -> Result<ExitCode, Failure> {
        if let Self::Watch { deployment, remote } = self {
            return watch::watch(&deployment, &remote).await;
        }
        self.act().await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self) -> Result<(), Failure> {
        match self {
            Self::Watch { .. } => Ok(()),
            Self::List(listing) => {
                let headings = ["deployment", "release", "state", "devices", "by", "created"];
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
                let headings = ["device", "phase", "progress", "doing", "since", "log"];
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
            Self::Pause { deployment, remote } => {
                let paused = remote.client()?.pause_deployment(&deployment).await?;
                remote.show("deployment", &paused, lines)
            }
            Self::Resume { deployment, remote } => {
                let resumed = remote.client()?.resume_deployment(&deployment).await?;
                remote.show("deployment", &resumed, lines)
            }
            Self::Advance { deployment, remote } => {
                let advanced = remote.client()?.advance_deployment(&deployment).await?;
                remote.show("deployment", &advanced, lines)
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
    [
        deployment.id.clone(),
        deployment.release.clone(),
        state(deployment),
        counts(deployment),
        deployment.by.clone(),
        deployment.created.clone(),
    ]
}

/// How many of its devices are how far.
fn counts(deployment: &Deployment) -> String {
    let counts = deployment.devices.iter();
    let counts: Vec<_> = counts.map(|(how, many)| format!("{many} {how}")).collect();
    counts.join(", ")
}

/// Whether it goes on, and in which of several phases.
fn state(deployment: &Deployment) -> String {
    let (state, phase) = (&deployment.state, deployment.phase);
    match deployment.phases.len() {
        0 | 1 => state.clone(),
        phases => format!("{state}, phase {phase} of {phases}"),
    }
}

fn lines(deployment: &Deployment) -> String {
    let [id, release, state, devices, by, created] = row(deployment);
    let windows = deployment.windows.as_ref();
    let windows = windows.map(|in_zone| {
        let (zone, windows) = (&in_zone.zone, in_zone.windows.join(", "));
        format!("{windows} ({zone})")
    });
    let tag = deployment.tag.as_ref().map(|tag| match deployment.stands {
        true => format!("{tag}, also who gets it later"),
        false => tag.clone(),
    });
    let next = match deployment.phases.len() {
        0 | 1 => None,
        _ => Some(&deployment.next_at),
    };
    properties([
        ("deployment", id),
        ("release", release),
        ("state", state),
        ("since", or_dash(deployment.since.as_ref())),
        ("why", or_dash(deployment.why.as_ref())),
        ("tag", or_dash(tag.as_ref())),
        ("phases", deployment.phases.join(", ")),
        ("next at", or_dash(next)),
        ("windows", or_dash(windows.as_ref())),
        (
            "stops at failures",
            or_dash(deployment.stop_at_failures.as_ref()),
        ),
        ("devices", devices),
        ("by", by),
        ("created", created),
    ])
}

fn device_row(device: &Deployed) -> [String; 6] {
    [
        device.device.clone(),
        device.phase.to_string(),
        device.progress.clone(),
        or_dash(device.doing.as_ref()),
        device.changed.clone(),
        if device.has_log { "yes" } else { "-" }.to_owned(),
    ]
}
