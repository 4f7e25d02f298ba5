//! `outgate command`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, Command, NewCommand};

use crate::output::Failure;
use crate::remote::payload::{PayloadArgs, line};
use crate::remote::{Listing, Remote, lasting, or_dash, properties, wait};

/// `outgate command`: what devices are to do, when they can.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate command send till-7 restart
  outgate command send till-7 display --payload '{\"text\":\"Closed\"}' --for 1h
  outgate command list till-7
  outgate command show till-7 cm-0123456789abcdefghjk")]
pub(crate) struct CommandArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Put one in a device's queue.
    Send(SendArgs),
    /// List a device's, newest first.
    List {
        /// Whose
        device: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show one and what it carries.
    Show {
        /// Whose
        device: String,
        /// Which
        command: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take one back that the device has not settled.
    Cancel {
        /// Whose
        device: String,
        /// Which
        command: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Args)]
struct SendArgs {
    /// To whom
    device: String,
    /// What to do
    name: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// A named text beside the payload (may be repeated)
    #[arg(long, value_name = "NAME=TEXT", value_parser = property)]
    property: Vec<(String, String)>,
    /// For how long it is worth doing, as 10m or 7d
    #[arg(long = "for", value_name = "TIME", value_parser = lasting::seconds)]
    lasts: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

impl CommandArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Send(args) => args.run().await,
            Self::List { device, listing } => {
                let headings = ["command", "name", "state", "created", "ended", "payload"];
                let commands = |client: &Client| client.commands(&device);
                listing.show("commands", commands, headings, row).await
            }
            Self::Show {
                device,
                command,
                remote,
            } => {
                let found = remote.client()?.command(&device, &command).await?;
                remote.show("command", &found, lines)
            }
            Self::Cancel {
                device,
                command,
                remote,
            } => {
                let cancelled = remote.client()?.cancel_command(&device, &command).await?;
                remote.show("command", &cancelled, lines)
            }
        }
    }
}

impl SendArgs {
    async fn run(self) -> Result<(), Failure> {
        let (content_type, payload) = self.payload.read()?;
        let new = NewCommand {
            name: self.name,
            content_type,
            payload,
            properties: BTreeMap::from_iter(self.property),
            lasts: self.lasts,
        };
        let client = self.remote.client()?;
        let sent = client.send_command(&self.device, &new).await?;
        self.remote.show("command", &sent, lines)
    }
}

/// What stands on both sides of an equals sign.
pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, text) = pair.ok_or_else(|| "NAME=TEXT".to_owned())?;
    Ok((name.to_owned(), text.to_owned()))
}

fn row(command: &Command) -> [String; 6] {
    [
        command.id.clone(),
        command.name.clone(),
        command.state.clone(),
        command.created.clone(),
        or_dash(command.ended.as_ref()),
        line(&command.payload),
    ]
}

fn lines(command: &Command) -> String {
    let mut pairs = vec![
        ("command", command.id.clone()),
        ("device", command.device.clone()),
        ("name", command.name.clone()),
        ("state", command.state.clone()),
        ("delivered", counted_times(command.deliveries)),
        ("created", command.created.clone()),
        ("expires", command.expires.clone()),
        ("ended", or_dash(command.ended.as_ref())),
        ("payload", line(&command.payload)),
    ];
    let properties_given = command.properties.iter();
    pairs.extend(properties_given.map(|(name, text)| ("property", format!("{name}={text}"))));
    properties(pairs)
}

fn counted_times(number: u32) -> String {
    match number {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{number} times"),
    }
}
