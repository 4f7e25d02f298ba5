//! `outgate hub`.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use outgate_client::fingerprints;
use outgate_hub::Hub;
use outgate_hub::config::{Config, MAX_FILE, Overrides};
use outgate_hub::logs::Logs;
use outgate_hub::systemd::{self, Notice};

use crate::output::{Failure, print, read_bounded, say};
use crate::remote::read_ca;
use crate::signals::{Heard, Signals};

mod backup;

/// `outgate hub`: the cloud end.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  outgate hub
  outgate hub --data /var/lib/outgate --listen 0.0.0.0:443
  outgate hub --config /etc/outgate/hub.toml
  outgate hub backup --data /var/lib/outgate /backup/outgate-monday

Without a configuration it keeps everything in one folder and makes its own certificate authority
there. SIGTERM and Ctrl-C drain it: connections are told to go elsewhere, what is acknowledged is on
the disk. SIGHUP reads the configuration and the certificates again."
)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    place: Place,
    /// Where to listen, instead of what the configuration says; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
}

#[derive(Subcommand)]
enum Act {
    /// Copy everything that a hub keeps, also while it runs.
    Backup(backup::BackupArgs),
}

/// Where a hub keeps everything.
#[derive(Args)]
struct Place {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder in which everything lies, made if it is not there
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl HubArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(Act::Backup(backup)) = &self.act {
            return backup.run();
        }
        let config = self.read()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("failed to start the runtime")
            .map_err(Failure::Internal)?;
        runtime.block_on(self.serve(config))
    }

    fn read(&self) -> Result<Config, Failure> {
        self.place.read(&self.listen)
    }

    async fn serve(&self, config: Config) -> Result<ExitCode, Failure> {
        let coloured = std::io::stderr().is_terminal();
        let logs = Logs::start(&config, coloured).map_err(|error| Failure::Input(error.into()))?;
        // Before anybody is told of the hub, so that none is lost however early it comes.
        let mut signals = Signals::listen()?;
        let hub = Hub::start(config).await.map_err(|error| {
            let of_configuration = error.is_of_configuration();
            let error = anyhow::Error::new(error);
            if of_configuration {
                Failure::Input(error)
            } else {
                Failure::Internal(error)
            }
        })?;
        self.announce(&hub)?;
        systemd::tell(Notice::Ready);
        let serving = hub.serve();
        tokio::pin!(serving);
        loop {
            let heard = tokio::select! {
                () = serving.as_mut() => break,
                heard = signals.next() => heard,
            };
            match heard {
                Heard::HangUp => self.reload(&hub, &logs),
                Heard::End if *hub.state().draining.borrow() => {
                    say("ended before everybody had gone");
                    break;
                }
                Heard::End => {
                    systemd::tell(Notice::Stopping);
                    say("draining; a second signal ends the hub at once");
                    hub.drain();
                }
            }
        }
        logs.finish().await;
        Ok(ExitCode::SUCCESS)
    }

    fn announce(&self, hub: &Hub) -> Result<(), Failure> {
        let mut lines = String::new();
        for listening in hub.listening() {
            lines.push_str(&format!(
                "listening on {} ({})\n",
                listening.address, listening.carries
            ));
        }
        if let Some(address) = hub.echoes_sip_at() {
            lines.push_str(&format!("echoing SIP on {address}\n"));
        }
        let authority = hub.own_authority();
        if let Some(authority) = &authority {
            let shown = authority.display();
            // For whoever logs in from elsewhere with a copy, and compares.
            let pem = read_ca(authority)?;
            let found = fingerprints(&pem).map_err(|error| Failure::Internal(error.into()))?;
            for fingerprint in found {
                lines.push_str(&format!("clients trust {shown} (SHA-256 {fingerprint})\n"));
            }
        }
        if let Some(token) = hub.first_token() {
            lines.push_str(&format!(
                "the first operator's token is in {}\n",
                token.display()
            ));
        }
        print(&lines)?;
        let at = hub.listening().first().map(|one| one.address);
        if let (Some(token), Some(at), Some(authority)) = (hub.first_token(), at, authority) {
            say(&format!(
                "next, in another terminal: outgate login https://{} --token-file {} --ca {}",
                reached(at),
                token.display(),
                authority.display()
            ));
        }
        Ok(())
    }

    /// Reads everything again. What is wrong leaves the hub as it is.
    fn reload(&self, hub: &Hub, logs: &Logs) {
        systemd::tell(Notice::Reloading);
        let taken_up = self.read().and_then(|config| {
            hub.reload(config.clone())
                .map_err(|error| Failure::Input(error.into()))?;
            // Last: a hub that goes on as it was logs as it did.
            logs.reload(&config)
                .map_err(|error| Failure::Input(error.into()))
        });
        match taken_up {
            Ok(()) => say("configuration and certificates read again"),
            Err(Failure::Input(error) | Failure::Internal(error) | Failure::Refused(error)) => {
                say(&format!("the hub goes on as it was: {error:#}"));
            }
            Err(Failure::Said) => {}
        }
        systemd::tell(Notice::Ready);
    }
}

impl Place {
    /// The configuration, with what the command line says in place of what stands there.
    fn read(&self, listen: &[SocketAddr]) -> Result<Config, Failure> {
        let text = match &self.config {
            None => String::new(),
            Some(file) => {
                let bytes = read_bounded(file, MAX_FILE).map_err(Failure::Input)?;
                String::from_utf8(bytes)
                    .with_context(|| format!("{} is not UTF-8", file.display()))
                    .map_err(Failure::Input)?
            }
        };
        let overrides = Overrides {
            data: self.data.clone(),
            listen: listen.to_vec(),
        };
        Config::new(&text, overrides).map_err(|error| Failure::Input(error.into()))
    }
}

/// Where a listener is reached from this machine.
fn reached(listener: SocketAddr) -> String {
    match listener.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => format!("localhost:{}", listener.port()),
        _ => listener.to_string(),
    }
}
