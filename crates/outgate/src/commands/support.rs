//! `outgate support`.

mod open;
mod recording;
mod stream;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outgate_client::{Client, SupportSession};

use crate::output::Failure;
use crate::remote::{Listing, Remote, or_dash, properties, wait};

/// `outgate support`: a service or a shell of one device, over a connection that the device opens.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate support open till-7 --reason 'the till is slow' --for 30m --shell
  outgate support open till-7 --reason 'the page' --service pos --listen 127.0.0.1:8080
  outgate support list --device till-7
  outgate support recording su-0123456789abcdefghjk > session.cast

The device allows it, or whoever is at it; what goes over it is recorded.

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input,
            3 refused, or the session was ended by somebody else")]
pub(crate) struct SupportArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Ask for a session, and use it once it is allowed.
    Open(open::OpenArgs),
    /// List sessions, the newest first.
    List {
        /// Those with this device only
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show a session.
    Show {
        /// Which
        session: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// End a session, at once.
    End {
        /// Which
        session: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Get what was recorded.
    Recording(recording::RecordingArgs),
}

impl SupportArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        wait(self.act.run())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Act {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Open(open) => open.run().await,
            Self::List { device, listing } => {
                let headings = [
                    "session", "device", "state", "operator", "what", "asked", "why",
                ];
                let sessions = |client: &Client| client.support_sessions(device.as_deref());
                listing.show("sessions", sessions, headings, row).await
            }
            Self::Show { session, remote } => {
                let found = remote.client()?.support_session(&session, None).await?;
                remote.show("session", &found, shown)
            }
            Self::End { session, remote } => {
                let ended = remote.client()?.end_support(&session).await?;
                remote.show("session", &ended, shown)
            }
            Self::Recording(recording) => recording.run().await,
        }
    }
}

fn row(session: &SupportSession) -> [String; 7] {
    [
        session.id.clone(),
        session.device.clone(),
        session.state.clone(),
        session.operator.clone(),
        session.what.clone(),
        session.asked.clone(),
        or_dash(session.why.as_ref()),
    ]
}

fn shown(session: &SupportSession) -> String {
    let mut pairs = vec![
        ("session", session.id.clone()),
        ("device", session.device.clone()),
        ("state", session.state.clone()),
        ("since", session.since.clone()),
        ("operator", session.operator.clone()),
        ("reason", session.reason.clone()),
        ("what", session.what.clone()),
        ("asked", session.asked.clone()),
        ("until", session.until.clone()),
        ("allowed by", or_dash(session.allowed_by.as_ref())),
    ];
    pairs.extend(session.tried.iter().map(|tried| ("tried", tried.clone())));
    if let Some(port) = session.port {
        pairs.push(("port", port.to_string()));
    }
    if let (Some(by), Some(why)) = (&session.ended_by, &session.why) {
        pairs.push(("over", format!("{why} ({by})")));
    }
    if let Some(recorded) = &session.recorded {
        let text = format!("{} bytes, sha256 {}", recorded.bytes, recorded.sha256);
        pairs.push(("recorded", text));
    }
    properties(pairs)
}
