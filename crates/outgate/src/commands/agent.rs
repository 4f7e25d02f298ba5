//! `outgate agent`.

mod doctor;
mod entry;
pub(crate) mod local;
mod service;
mod status;
mod support;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use outgate_agent::agent::Agent;
use outgate_agent::config::{Config, MAX_FILE};
use tracing_subscriber::EnvFilter;

use self::service::Service;
use super::check::ProxyArgs;
use crate::library;
use crate::output::{Failure, print, read_bounded, say};
use crate::signals::{Heard, Signals};

/// Where the configuration is unless something else is said.
const CONFIG: &str = "/etc/outgate/agent.toml";

/// What is logged unless `OUTGATE_LOG` says something else.
const FILTER: &str = "info";

/// `outgate agent`: the device end.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate agent run --config agent.toml
  outgate agent status
  outgate agent doctor --config agent.toml

The least configuration is three lines:
  hub = \"https://hub.example:8443\"
  token-file = \"/etc/outgate/token\"
  data = \"/var/lib/outgate-agent\"")]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Keep the device connected, until SIGTERM or Ctrl-C.
    Run(RunArgs),
    /// Say how the agent is that runs on this machine.
    Status(status::StatusArgs),
    /// Run the check from here, by the agent's own settings.
    Doctor(doctor::DoctorArgs),
    /// Remote support: what is asked for here, and whether it is allowed.
    Support(support::SupportArgs),
    /// Make a one-time code for the page on site.
    Code(entry::CodeArgs),
    /// Set the password of the page on site.
    Password(entry::PasswordArgs),
}

/// Where the configuration is.
#[derive(Args)]
struct Place {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    place: Place,
}

impl AgentArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Run(run) => run.run(),
            Act::Status(status) => status.run(),
            Act::Doctor(doctor) => doctor.run(),
            Act::Support(support) => support.run(),
            Act::Code(code) => code.run(),
            Act::Password(password) => password.run(),
        }
    }
}

impl Place {
    fn read(&self) -> Result<Config, Failure> {
        let shown = self.config.display();
        let bytes = read_bounded(&self.config, MAX_FILE).map_err(Failure::Input)?;
        let text = String::from_utf8(bytes)
            .with_context(|| format!("{shown} is not UTF-8"))
            .map_err(Failure::Input)?;
        Config::parse(&text)
            .with_context(|| format!("failed to read {shown}"))
            .map_err(Failure::Input)
    }
}

impl RunArgs {
    fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.place.read()?;
        log()?;
        // One thread: what an agent does waits nearly all the time, and each thread has a stack.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to start the runtime")
            .map_err(Failure::Internal)?;
        runtime.block_on(serve(&config))
    }
}

async fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let proxying = ProxyArgs::of_agent(&config.proxy).proxying()?;
    let profile = config
        .product
        .as_ref()
        .map(|product| product.profile.clone());
    let manifest = Arc::new(move || library::read_quietly(profile.as_deref().unwrap_or_default()));
    let agent = Agent::start(config, proxying, manifest).await;
    let mut agent = agent.map_err(|error| Failure::Input(error.into()))?;
    let mut lines = format!("keeping in {}\n", config.data.display());
    for (page, address) in agent.pages() {
        lines.push_str(&format!("{} page on http://{address}\n", page.name()));
    }
    if let Some(socket) = &config.local.socket {
        lines.push_str(&format!("listening on {}\n", socket.display()));
    }
    if let Some(address) = agent.address() {
        lines.push_str(&format!("listening on http://{address}\n"));
    }
    print(&lines)?;
    let mut service = Service::ready(agent.device());
    loop {
        let heard = tokio::select! {
            heard = signals.next() => heard,
            () = service.keep() => continue,
            () = agent.ended() => {
                let error = anyhow!("a part of the agent has ended by itself: start it anew");
                return Err(Failure::Internal(error));
            }
        };
        match heard {
            // A token that has changed is read for each connection; nothing else is read again.
            Heard::HangUp => {
                say("the configuration is read at the start only; the token for each connection");
            }
            Heard::End => break,
        }
    }
    Service::stopping();
    say("stopping");
    tokio::select! {
        () = agent.stop() => {}
        _ = signals.next() => say("stopped before the hub was told"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Logs to standard error, as `OUTGATE_LOG` says.
fn log() -> Result<(), Failure> {
    let filter = std::env::var("OUTGATE_LOG").unwrap_or_else(|_| FILTER.to_owned());
    let filter = EnvFilter::try_new(filter).context("failed to understand OUTGATE_LOG");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter.map_err(Failure::Input)?)
        .init();
    Ok(())
}
