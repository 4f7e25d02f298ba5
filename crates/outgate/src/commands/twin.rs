//! `outgate twin`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Half, Tailed, Twin};
use serde_json::Value;

use crate::output::{Failure, print_more, say};
use crate::remote::payload::read;
use crate::remote::{Remote, versioned, wait};
use crate::table::harmless;

/// `outgate twin`: what a device is wanted to be, and what it says it is.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate twin get till-7
  outgate twin set till-7 '{\"volume\":3,\"old\":null}'
  outgate twin watch till-7 --json")]
pub(crate) struct TwinArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Show both halves.
    Get {
        /// Whose
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Merge a JSON object into the desired half (RFC 7396): `null` takes a member away.
    Set {
        /// Whose
        device: String,
        /// The object
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        patch: Option<String>,
        /// A file that holds it; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Only if the desired half still has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show the twin now and whenever it changes, until Ctrl-C.
    Watch {
        /// Whose
        device: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl TwinArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Get { device, remote } => {
                let twin = remote.client()?.twin(&device).await?;
                remote.show("twin", &twin, halves)
            }
            Self::Set {
                device,
                patch,
                file,
                if_version,
                remote,
            } => {
                let patch = object(patch, file)?;
                let client = remote.client()?;
                let half = client.desire(&device, &patch, if_version).await?;
                remote.show("desired", &half, |it| half_text("desired", it))
            }
            Self::Watch { device, remote } => watch(&device, &remote).await,
        }
    }
}

async fn watch(device: &str, remote: &Remote) -> Result<(), Failure> {
    let mut tail = remote.client()?.watch_twin(device);
    loop {
        match tail.next().await? {
            Tailed::Item(twin) => {
                let text = if remote.json() {
                    format!("{}\n", versioned("twin", &twin)?)
                } else {
                    format!("{}\n", halves(&twin))
                };
                if print_more(&text)?.is_break() {
                    return Ok(());
                }
            }
            Tailed::Broken { why, wait } => {
                let wait = wait.as_secs_f32();
                say(&format!("{why}; trying again in {wait:.1} s"));
            }
        }
    }
}

fn object(patch: Option<String>, file: Option<PathBuf>) -> Result<Value, Failure> {
    let bytes = match (patch, file) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(file)) => read(&file)?,
        (None, None) => Vec::new(),
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::Input(anyhow::Error::new(error).context("the patch is no JSON"))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Failure::input("the patch must be a JSON object"))
    }
}

fn halves(twin: &Twin) -> String {
    let desired = half_text("desired", &twin.desired);
    format!("{desired}{}", half_text("reported", &twin.reported))
}

fn half_text(name: &str, half: &Half) -> String {
    let document = serde_json::to_string_pretty(&half.document).unwrap_or_default();
    let text = format!("{name}, version {}\n{document}\n", half.version);
    harmless(&text)
}
