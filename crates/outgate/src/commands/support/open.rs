//! `outgate support open`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use clap::Args;
use outgate_client::{Client, Error, SupportSession, SupportWhat};
use tokio::net::TcpListener;

use super::stream::{End, Ends};
use crate::output::{Failure, say};
use crate::remote::{Remote, lasting};
use crate::table::harmless;
use crate::terminal;

/// The size of a terminal that nobody sees.
const SCREEN: (u16, u16) = (80, 24);

/// `outgate support open`.
#[derive(Args)]
#[command(
    after_help = "Without --listen what the device sends goes to standard output, and the standard
input to the device. With it one connection is taken there. It ends with that connection, with
Ctrl-C, at the device, or with its time."
)]
pub(super) struct OpenArgs {
    /// With which device
    device: String,
    /// Why, for the one who allows it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how long at the most, 1m to 8h
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = lasting::seconds)]
    lasts: u64,
    /// A service, as the device's configuration names it
    #[arg(long, value_name = "NAME", required_unless_present = "shell")]
    service: Option<String>,
    /// A shell
    #[arg(long, conflicts_with = "service")]
    shell: bool,
    /// Take one connection here in place of the standard input and output
    #[arg(long, value_name = "ADDRESS", conflicts_with = "shell")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    remote: Remote,
}

impl OpenArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if self.remote.json() && self.listen.is_none() {
            let advice = "--json goes with --listen: the standard output is the session's";
            return Err(Failure::input(advice));
        }
        let listener = match self.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let client = self.remote.client()?;
        let (columns, rows) = terminal::size().unwrap_or(SCREEN);
        let what = match &self.service {
            Some(name) => SupportWhat::Service(name),
            None => SupportWhat::Shell(columns, rows),
        };
        let asked = client
            .ask_support(&self.device, &self.reason, what, self.lasts)
            .await?;
        let id = asked.id.clone();
        let ended = tokio::select! {
            ended = self.go_on(&client, asked, listener) => ended?,
            _ = tokio::signal::ctrl_c() => End::Here,
        };
        match ended {
            End::Here => {
                // It may be over by now.
                match client.end_support(&id).await {
                    Err(error) if !matches!(error, Error::Refused(_)) => Err(error.into()),
                    Ok(_) | Err(_) => Ok(()),
                }
            }
            End::There(why) => Err(Failure::Refused(anyhow!(
                "the session is over: {}",
                harmless(&why)
            ))),
        }
    }

    async fn go_on(
        &self,
        client: &Client,
        mut session: SupportSession,
        listener: Option<TcpListener>,
    ) -> Result<End, Failure> {
        if session.state == "asked" {
            say(&format!(
                "{}: waiting until it is allowed at {}",
                session.id, self.device
            ));
        }
        while session.state == "asked" {
            let from = session.state.clone();
            session = client.support_session(&session.id, Some(&from)).await?;
        }
        if session.state != "open" {
            let why = session.why.unwrap_or_default();
            let by = session.ended_by.unwrap_or_default();
            return Ok(End::There(format!("{why} ({by})")));
        }
        for tried in &session.tried {
            say(&harmless(tried));
        }
        let (port, by) = (
            session.port.unwrap_or_default(),
            session.allowed_by.as_ref(),
        );
        let by = harmless(by.map_or("", String::as_str));
        say(&format!(
            "{}: open by port {port}, allowed by {by}, until {}; it is recorded",
            session.id, session.until
        ));
        let ends = match listener {
            None => {
                let raw = self.shell && std::io::stdin().is_terminal();
                Ends::standard(raw)?
            }
            Some(listener) => {
                if self.remote.json() {
                    crate::output::json(&crate::remote::versioned("session", &session)?)?;
                }
                Ends::of(&listener, client, &session.id).await?
            }
        };
        ends.between(client, &session.id).await
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listening = TcpListener::bind(address).await;
    let failed = || format!("failed to listen on {address}");
    let listener = listening.with_context(failed).map_err(Failure::Input)?;
    let at = listener.local_addr().with_context(failed);
    say(&format!("listening on {}", at.map_err(Failure::Input)?));
    Ok(listener)
}
