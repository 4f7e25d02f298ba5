//! `outgate schedule`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use outgate_client::{Client, Fired, FiredDevice, NewSchedule, Schedule, ScheduleFor};

use crate::output::Failure;
use crate::remote::payload::{PayloadArgs, line};
use crate::remote::{Listing, Remote, ask, lasting, or_dash, properties, wait};

use super::command::property;
use super::consumer::done;

/// `outgate schedule`: what devices are to do at times that are written down once.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate schedule add reload --cron '0 2 * * *' --tz Europe/Stockholm --to fort-7 fort-8 \\
    --command reload --body reload.json
  outgate schedule add rotate --cron '*/30 8-17 * * mon-fri' --site store-12 --command rotate-logs
  outgate schedule next reload
  outgate schedule history reload
  outgate schedule pause reload")]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Make one.
    Add(Box<AddArgs>),
    /// List them.
    List(Listing),
    /// Show one and what its commands carry.
    Show {
        /// Which
        schedule: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the devices that one names.
    Devices {
        /// Which
        schedule: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Tell when one comes next, as the clocks of its zone show it.
    Next {
        /// Which
        schedule: String,
        /// How many times
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
        count: u32,
        #[command(flatten)]
        remote: Remote,
    },
    /// List what became of its moments, the newest first.
    History {
        /// Of which
        schedule: String,
        /// List the devices of this one of them
        #[arg(long)]
        firing: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Let one come no more until it is resumed.
    Pause {
        /// Which
        schedule: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let one come again from now on.
    Resume {
        /// Which
        schedule: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove one with its history; commands that it has sent stay.
    Remove {
        /// Which
        schedule: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
#[command(
    after_help = "The five fields are minute, hour, day of the month, month and weekday. \
Where a clock is put forward, a time that it leaves out comes when it has been; where it is put \
back, a time that it shows twice comes the first time. With * for the hour it comes as time passes.

Examples:
  outgate schedule add reload --cron '0 2 * * *' --tz Europe/Stockholm --to fort-7 \\
    --command reload --body reload.json --missed once --spread 10m"
)]
struct AddArgs {
    /// Its name
    name: String,
    /// When it comes: five fields as in crontab, or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "FIELDS")]
    cron: String,
    /// The time zone whose clocks count
    #[arg(long = "tz", value_name = "ZONE", default_value = "UTC")]
    zone: String,
    #[command(flatten)]
    whom: Whom,
    /// What they are to do: the name of a command
    #[arg(long)]
    command: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// A file with the payload, as --file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "file"])]
    body: Option<PathBuf>,
    /// A named text beside the payload (may be repeated)
    #[arg(long, value_name = "NAME=TEXT", value_parser = property)]
    property: Vec<(String, String)>,
    /// For how long each command is worth doing, as 10m or 7d; a day by default
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
    /// What becomes of times at which the hub was down
    #[arg(long, value_enum, default_value_t = Missed::Skip)]
    missed: Missed,
    /// Spread the devices over this time, as 10m: each has a place in it that stays the same
    #[arg(long, value_name = "TIME", value_parser = lasting::seconds)]
    spread: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// For this device (may be repeated)
    #[arg(long, value_name = "DEVICE", num_args = 1..)]
    to: Vec<String>,
    /// For all devices that stand at this site when it comes
    #[arg(long)]
    site: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Missed {
    /// Leave them out
    Skip,
    /// Make the first in a row good
    Once,
    /// Make each good, at most 100 in a row
    All,
}

impl ScheduleArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(args) => args.run().await,
            Self::List(listing) => {
                let headings = ["schedule", "cron", "zone", "command", "for", "next"];
                let schedules = Client::schedules;
                listing.show("schedules", schedules, headings, row).await
            }
            Self::Show { schedule, remote } => {
                let found = remote.client()?.schedule(&schedule).await?;
                remote.show("schedule", &found, lines)
            }
            Self::Devices { schedule, listing } => {
                let devices = |client: &Client| client.schedule_devices(&schedule);
                let row = |device: &String| [device.clone()];
                listing.show("devices", devices, ["device"], row).await
            }
            Self::Next {
                schedule,
                count,
                remote,
            } => {
                let next = remote.client()?.upcoming(&schedule, count).await?;
                remote.show("next", &next, |next| next.join("\n") + "\n")
            }
            Self::History {
                schedule,
                firing,
                listing,
            } => history(&schedule, firing, listing).await,
            Self::Pause { schedule, remote } => {
                let paused = remote.client()?.pause_schedule(&schedule).await?;
                remote.show("schedule", &paused, lines)
            }
            Self::Resume { schedule, remote } => {
                let resumed = remote.client()?.resume_schedule(&schedule).await?;
                remote.show("schedule", &resumed, lines)
            }
            Self::Remove {
                schedule,
                yes,
                remote,
            } => {
                ask::confirm(&format!("Remove the schedule {schedule}?"), yes)?;
                remote.client()?.remove_schedule(&schedule).await?;
                done(&remote, "removed", &schedule)
            }
        }
    }
}

impl AddArgs {
    async fn run(self) -> Result<(), Failure> {
        let (content_type, payload) = self.payload.read_or(self.body.as_deref())?;
        let whom = match self.whom.site {
            Some(site) => ScheduleFor::Site(site),
            None => ScheduleFor::Devices(self.whom.to),
        };
        let missed = match self.missed {
            Missed::Skip => "skip",
            Missed::Once => "once",
            Missed::All => "all",
        };
        let new = NewSchedule {
            name: self.name,
            cron: self.cron,
            zone: self.zone,
            whom,
            command: self.command,
            content_type,
            payload,
            properties: BTreeMap::from_iter(self.property),
            lasts: self.lasts,
            missed: missed.to_owned(),
            spread: self.spread.unwrap_or(0),
        };
        let made = self.remote.client()?.add_schedule(&new).await?;
        self.remote.show("schedule", &made, lines)
    }
}

async fn history(schedule: &str, firing: Option<String>, listing: Listing) -> Result<(), Failure> {
    let Some(firing) = firing else {
        let headings = ["firing", "due", "at", "how", "devices"];
        let firings = |client: &Client| client.firings(schedule);
        return listing.show("firings", firings, headings, fired_row).await;
    };
    let headings = ["device", "outcome", "command", "due", "ended"];
    let devices = |client: &Client| client.fired_devices(schedule, &firing);
    listing.show("devices", devices, headings, device_row).await
}

fn row(schedule: &Schedule) -> [String; 6] {
    [
        schedule.name.clone(),
        schedule.cron.clone(),
        schedule.zone.clone(),
        schedule.command.clone(),
        whom(schedule),
        schedule.next.clone().unwrap_or_else(|| "paused".to_owned()),
    ]
}

fn whom(schedule: &Schedule) -> String {
    match &schedule.site {
        Some(site) if schedule.of_site => format!("site {site}"),
        Some(_) | None => crate::output::counted(
            usize::try_from(schedule.devices).unwrap_or(usize::MAX),
            "device",
        ),
    }
}

fn lines(schedule: &Schedule) -> String {
    let [name, cron, zone, command, whom, next] = row(schedule);
    properties([
        ("schedule", name),
        ("cron", cron),
        ("zone", zone),
        ("command", command),
        ("payload", line(&schedule.payload)),
        ("for", whom),
        ("lasts", format!("{} s", schedule.lasts)),
        ("missed", schedule.missed.clone()),
        ("spread", format!("{} s", schedule.spread)),
        ("by", schedule.by.clone()),
        ("created", schedule.created.clone()),
        ("paused", or_dash(schedule.paused.as_ref())),
        ("next", next),
    ])
}

fn fired_row(fired: &Fired) -> [String; 5] {
    let counts = fired.devices.iter();
    let counts: Vec<_> = counts.map(|(how, many)| format!("{many} {how}")).collect();
    [
        fired.id.clone(),
        fired.due.clone(),
        fired.at.clone(),
        fired.how.clone(),
        counts.join(", "),
    ]
}

fn device_row(device: &FiredDevice) -> [String; 5] {
    [
        device.device.clone(),
        device.outcome.clone(),
        or_dash(device.command.as_ref()),
        or_dash(device.due.as_ref()),
        or_dash(device.ended.as_ref()),
    ]
}
