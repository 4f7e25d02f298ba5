//! `outgate login`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outgate_client::{Client, Context, Contexts, Trust, fingerprints};
use serde_json::json;

use crate::output::{Failure, print, say};
use crate::remote::{self, ask, read_ca, read_token};
use crate::table::harmless;

/// `outgate login`: keep a hub and a token as a context.
#[derive(Args)]
#[command(
    after_help = "The token comes from --token-file or the standard input, never from the \
command line, where others could see it. Without a login, as in a pipeline, set OUTGATE_HUB, \
OUTGATE_TOKEN_FILE (or OUTGATE_TOKEN) and OUTGATE_CA.

Examples:
  outgate login https://hub.example --token-file token.txt
  outgate login https://localhost:8443 --ca hub-ca.pem --pin --name local < token.txt

Exit codes: 0 done, 1 the hub cannot be reached, 2 bad input, 3 the hub refused the token"
)]
pub(crate) struct LoginArgs {
    /// The address of the hub, with https and the port unless it is 443
    hub: String,
    /// A file that holds the token and nothing else
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates of an authority to trust as well, in PEM: the hub's own
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust that authority alone for this hub, and none of this machine's
    #[arg(long, requires = "ca")]
    pin: bool,
    /// What to call the context; the hub's address otherwise
    #[arg(long)]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl LoginArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let ca = self.ca.as_deref().map(read_ca).transpose()?;
        let trust = self.trust(ca.as_deref())?;
        let token = match &self.token_file {
            Some(file) => read_token(file)?,
            None => ask::token()?,
        };
        let context = Context {
            hub: self.hub.clone(),
            token: Some(token),
            trust,
            ca,
        };
        let client = Client::new(&context)?;
        let (me, status) = remote::wait(async {
            let me = client.me().await?;
            Ok((me, client.status().await?))
        })?;
        let name = match self.name {
            Some(name) => name,
            None => name_of(&self.hub),
        };
        Contexts::update(&remote::path()?, |contexts| contexts.put(&name, context))?;
        let role = me.role.clone().unwrap_or_else(|| "service".to_owned());
        if self.json {
            crate::output::json(&json!({
                "version": remote::VERSION,
                "context": name,
                "hub": client.hub(),
                "me": me,
                "hub_version": status.version,
            }))?;
        } else {
            let said = format!("{name}: logged in as {} ({role})\n", me.id);
            print(&harmless(&said))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shows whose certificates are going to be trusted, and offers to trust no others.
    fn trust(&self, ca: Option<&str>) -> Result<Trust, Failure> {
        let Some(pem) = ca else {
            return Ok(Trust::System);
        };
        let found = fingerprints(pem).map_err(|error| Failure::Input(error.into()))?;
        for fingerprint in &found {
            say(&format!(
                "authority with the SHA-256 fingerprint {fingerprint}"
            ));
        }
        let pinned = self.pin
            || (self.token_file.is_some()
                && ask::somebody()
                && ask::agreed("Trust it alone for this hub? [Y/n] ", true)?);
        Ok(if pinned { Trust::Pinned } else { Trust::System })
    }
}

/// A name for the context of a hub: its host and port.
fn name_of(hub: &str) -> String {
    let host = hub.split_once("://").map_or(hub, |(_, host)| host);
    let name = host.trim_end_matches('/');
    name.chars().filter(|c| !matches!(c, '[' | ']')).collect()
}
