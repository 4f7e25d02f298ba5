//! `outgate session`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, DeviceSession};

use crate::output::Failure;
use crate::remote::{Listing, Remote, wait};

/// `outgate session`: live connections of devices.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate session list till-7
  outgate session dismiss till-7 se-0123456789abcdefghjk

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 refused")]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// List a device's.
    List {
        /// Whose
        device: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Close one. The device may come again; to keep it out, revoke it.
    Dismiss {
        /// Whose
        device: String,
        /// Which
        session: String,
        #[command(flatten)]
        remote: Remote,
    },
}

impl SessionArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { device, listing } => {
                let headings = ["session", "over", "from", "since", "credential"];
                let sessions = |client: &Client| client.sessions(&device);
                listing.show("sessions", sessions, headings, row).await
            }
            Self::Dismiss {
                device,
                session,
                remote,
            } => {
                let client = remote.client()?;
                let dismissed = client.dismiss_session(&device, &session).await?;
                remote.show("dismissed", &dismissed, |told| match told.lingering {
                    0 => "dismissed; the connection is closed\n".to_owned(),
                    _ => {
                        "dismissed; the connection can do nothing any more, and is not closed yet\n"
                            .to_owned()
                    }
                })
            }
        }
    }
}

fn row(session: &DeviceSession) -> [String; 5] {
    [
        session.id.clone(),
        session.via.clone(),
        session.peer.clone(),
        session.since.clone(),
        session.credential.clone(),
    ]
}
