//! `outgate status`.

use std::process::ExitCode;

use clap::Args;
use outgate_client::Status;

use crate::output::Failure;
use crate::remote::{Remote, properties, wait};

/// `outgate status`: how the hub is.
#[derive(Args)]
#[command(after_help = "Example:
  outgate status --json | jq .status.sessions")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    remote: Remote,
}

impl StatusArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.remote.client()?;
        let status = wait(async { Ok(client.status().await?) })?;
        self.remote
            .show("status", &status, |status| lines(client.hub(), status))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(hub: &str, status: &Status) -> String {
    let mut pairs = vec![
        ("hub", hub.to_owned()),
        ("version", status.version.clone()),
        ("time", status.now.clone()),
        ("up for", format!("{} s", status.uptime)),
        ("sessions", status.sessions.to_string()),
        ("newest event", status.newest_event.to_string()),
    ];
    let store = status.store_bytes.map(|bytes| bytes / 1_024);
    pairs.extend(store.map(|kib| ("store", format!("{kib} KiB"))));
    properties(pairs)
}
