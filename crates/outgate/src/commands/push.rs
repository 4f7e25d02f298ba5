//! `outgate push`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use outgate_client::{NewPush, Pushed};

use crate::commands::command::property;
use crate::output::Failure;
use crate::remote::{Remote, lasting, rows, wait};
use crate::table::harmless;

/// `outgate push`: reach a device that may be away.
#[derive(Args)]
#[command(
    after_help = "Needs [push.fcm] in the hub's configuration, and a device that has reported its
registration. Data is for the application on the device; title and body are shown.
With [push.reminders] a device that is away is pushed to by itself when commands wait for it.

Examples:
  outgate push send till-7 --title 'Order 7' --data order=7 --urgent
  outgate push list till-7

Exit codes: 0 sent to at least one registration, 1 the hub cannot be reached,
            2 bad input, 3 refused, or sent to none"
)]
pub(crate) struct PushArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Push a message to each registration of a device.
    Send(Box<SendArgs>),
    /// List where a device is reached.
    List {
        /// Whose
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
struct SendArgs {
    /// Whom
    device: String,
    /// A title that is shown
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["body", "data"])]
    title: Option<String>,
    /// What is shown below it
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
    /// A named text for the application (may be repeated)
    #[arg(long, value_name = "NAME=TEXT", value_parser = property)]
    data: Vec<(String, String)>,
    /// Wake a device that sleeps
    #[arg(long)]
    urgent: bool,
    /// For how long it is worth delivering, up to 28d
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
    /// A later message of the same name takes the place of this one
    #[arg(long, value_name = "NAME")]
    collapse: Option<String>,
    /// How long to try, up to 300s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = lasting::seconds)]
    deadline: u64,
    #[command(flatten)]
    remote: Remote,
}

impl PushArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(async {
            match self.act {
                Act::Send(args) => args.run().await,
                Act::List { device, remote } => {
                    let registrations = remote.client()?.registrations(&device).await?;
                    remote.show("registrations", &registrations, |all| {
                        let row =
                            |it: &outgate_client::Registration| [it.id.clone(), it.since.clone()];
                        rows(["registration", "since"], all.iter().map(row))
                    })?;
                    Ok(ExitCode::SUCCESS)
                }
            }
        })
    }
}

impl SendArgs {
    async fn run(self) -> Result<ExitCode, Failure> {
        let new = NewPush {
            title: self.title,
            body: self.body,
            data: BTreeMap::from_iter(self.data),
            urgent: self.urgent,
            lasts: self.lasts,
            collapse: self.collapse,
        };
        let deadline = Duration::from_secs(self.deadline.min(300));
        let client = self.remote.client()?;
        let pushed = client.push(&self.device, &new, deadline).await?;
        self.remote.show("pushed", &pushed, told)?;
        let code = if pushed.sent == 0 { 3 } else { 0 };
        Ok(ExitCode::from(code))
    }
}

fn told(pushed: &Pushed) -> String {
    let mut lines = Vec::new();
    if pushed.sent + pushed.gone == 0 && pushed.failed.is_empty() {
        lines.push("the device has reported no registration".to_owned());
    }
    if pushed.sent > 0 {
        lines.push(format!("sent to {}", registrations(pushed.sent)));
    }
    if pushed.gone > 0 {
        let gone = registrations(pushed.gone);
        lines.push(format!("forgot {gone} that led nowhere any more"));
    }
    let failed = pushed.failed.iter();
    lines.extend(failed.map(|why| format!("not sent: {}", harmless(why))));
    lines.join("\n") + "\n"
}

fn registrations(number: u64) -> String {
    match number {
        1 => "1 registration".to_owned(),
        _ => format!("{number} registrations"),
    }
}
