//! `outgate lab`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context;
use clap::{Args, Subcommand};
use outgate_lab::{Inside, NotInside, PRODUCTS, Scenario, Site, SiteError};
use outgate_manifest::Selection;
use outgate_manifest::document::destination::DhcpOption;
use outgate_manifest::view::SCHEMA;
use serde::Serialize;

use crate::library;
use crate::output::{Failure, json, print, read_bounded};
use crate::table::{cells, shown, table};

/// The largest file of scenarios that is read, in bytes.
const MAX_FILE: usize = 1 << 20;
/// What a program's exit code is told as when a signal ended it, as shells do.
const SIGNALLED: i32 = 128;

/// `outgate lab`: hostile networks on this machine.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate lab list
  outgate lab run port-dropped
  outgate lab run inspection-trusted -- curl https://api.box.test/
  outgate lab run --file my.toml behind-our-proxy -- ./my-product --selftest

A lab is a site in network namespaces of its own: a device, a neighbour, a router with a firewall
and NAT, a name server, a proxy, and a server on the internet for every name of the product.
Nothing of this machine's own network is touched, and nothing is left behind.")]
pub(crate) struct LabArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the scenarios: what is wrong, and what a check should say.
    List(ListArgs),
    /// Build a scenario's site, and check the product in the device's place, or run a command.
    Run(Box<RunArgs>),
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SourceArgs {
    /// Scenarios in a TOML file, in place of those that are built in
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  outgate lab run well
  outgate lab run clock-behind --json
  outgate lab run mtu-hole -- curl https://api.box.test/

The command finds in its environment SSL_CERT_FILE, CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE and
NODE_EXTRA_CA_CERTS (whom the device trusts), OUTGATE_LAB_CA (the authority of the lab's internet)
and, where there is a proxy, OUTGATE_LAB_PROXY. Its exit code is passed on; without a command the
exit code is that of `outgate check`.")]
struct RunArgs {
    /// The scenario (see `outgate lab list`)
    scenario: String,
    #[command(flatten)]
    source: SourceArgs,
    /// Let the check print JSON
    #[arg(long)]
    json: bool,
    /// How long the check waits for one address, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    timeout: u16,
    /// This process is in the namespaces already
    #[arg(long, hide = true)]
    inside: bool,
    /// What to run in the device's place
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Serialize)]
struct ListView {
    schema: u32,
    scenarios: Vec<Scenario>,
}

impl LabArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::List(args) => args.run(),
            Action::Run(args) => args.run(),
        }
    }
}

impl SourceArgs {
    fn scenarios(&self) -> Result<Vec<Scenario>, Failure> {
        let Some(file) = &self.file else {
            return outgate_lab::scenarios().map_err(|error| Failure::Internal(error.into()));
        };
        let read = || {
            let text = String::from_utf8(read_bounded(file, MAX_FILE)?)?;
            anyhow::Ok(outgate_lab::read(&text)?)
        };
        read()
            .with_context(|| format!("{} holds no scenarios", file.display()))
            .map_err(Failure::Input)
    }
}

impl ListArgs {
    fn run(self) -> Result<ExitCode, Failure> {
        let scenarios = self.source.scenarios()?;
        if self.json {
            json(&ListView {
                schema: SCHEMA,
                scenarios,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut rows = table(&["scenario", "product", "what is wrong", "expected causes"]);
        for one in &scenarios {
            let expected: Vec<&str> = one.expect.iter().map(|one| one.cause.as_str()).collect();
            let expected = expected.join(" ");
            rows.add_row(cells([&one.name, &one.product, &one.title, &expected]));
        }
        print(&shown(&rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl RunArgs {
    fn run(self) -> Result<ExitCode, Failure> {
        let scenarios = self.source.scenarios()?;
        let Some(scenario) = scenarios.iter().find(|one| one.name == self.scenario) else {
            let known: Vec<&str> = scenarios.iter().map(|one| one.name.as_str()).collect();
            return Err(Failure::unknown("scenario", &self.scenario, &known));
        };
        if self.inside {
            return self.run_inside(scenario);
        }
        // The same words, said to ourselves, with the mark before anything else.
        let words = std::env::args_os().skip(1);
        let (before, after): (Vec<_>, Vec<_>) = words.enumerate().partition(|(at, _)| *at < 2);
        let words = before.into_iter().map(|(_, word)| word);
        let words = words
            .chain([OsString::from("--inside")])
            .chain(after.into_iter().map(|(_, word)| word));
        let ended = outgate_lab::enter(words).map_err(|error| Failure::Internal(error.into()))?;
        Ok(code_of(ended))
    }

    /// As the first process of namespaces of its own.
    fn run_inside(&self, scenario: &Scenario) -> Result<ExitCode, Failure> {
        let internal = |error: anyhow::Error| Failure::Internal(error);
        let inside = Inside::here().map_err(|error: NotInside| internal(error.into()))?;
        let product = Product::of(scenario)?;
        let site = Site::build(&inside, &product.services(scenario)?, &scenario.faults)
            .map_err(|error: SiteError| internal(error.into()))?;
        let ended = self
            .command(scenario, &product, &site)
            .map_err(internal)?
            .status()
            .context("failed to start the command in the device's place")
            .map_err(Failure::Input)?;
        Ok(code_of(ended))
    }

    fn command(
        &self,
        scenario: &Scenario,
        product: &Product,
        site: &Site,
    ) -> anyhow::Result<Command> {
        if let Some((program, arguments)) = self.command.split_first() {
            let mut command = site.run(program);
            command.args(arguments);
            return Ok(command);
        }
        let own = std::env::current_exe().context("failed to find this program")?;
        let mut command = site.run(own);
        // The public authority is given beside the store, so that the check can tell them apart.
        command.env("SSL_CERT_FILE", site.store());
        command.arg("check").arg(product.argument(site)?);
        command.arg("--ca").arg(site.public_authority());
        command.args(["--timeout", &self.timeout.to_string()]);
        for (word, pairs) in [("--set", &scenario.set), ("--sample", &scenario.sample)] {
            for (name, value) in pairs {
                command.args([word, &format!("{name}={value}")]);
            }
        }
        // Where time servers are, the site's DHCP server says.
        let given = scenario.roles.iter();
        for (role, name) in given.filter(|(role, _)| *role != DhcpOption::NtpServers.as_str()) {
            command.args(["--connect-to", &format!("{role}::{name}:")]);
        }
        command.args(&scenario.arguments);
        if self.json {
            command.arg("--json");
        }
        Ok(command)
    }
}

/// What stands at the site.
enum Product {
    /// One of the lab's own: its id and its text.
    OfTheLab(&'static str, &'static str),
    /// A profile, or a path.
    Profile(String),
}

impl Product {
    fn of(scenario: &Scenario) -> Result<Self, Failure> {
        let own = PRODUCTS.iter().find(|(id, _)| *id == scenario.product);
        Ok(match own {
            Some((id, text)) => Self::OfTheLab(id, text),
            None => Self::Profile(scenario.product.clone()),
        })
    }

    fn services(&self, scenario: &Scenario) -> Result<Vec<outgate_lab::Service>, Failure> {
        let manifest = match self {
            Self::OfTheLab(id, text) => library::parse_text(id, text)?,
            Self::Profile(profile) => library::load(profile)?,
        };
        let lanes = manifest.lanes(&Selection {
            from: Some("device".to_owned()),
            set: scenario.set.clone(),
            ..Selection::default()
        })?;
        let mut names: BTreeMap<String, String> = scenario.sample.clone();
        names.extend(scenario.roles.clone());
        Ok(outgate_lab::services(&lanes, &names))
    }

    /// What `outgate check` is to be told.
    fn argument(&self, site: &Site) -> anyhow::Result<String> {
        match self {
            Self::OfTheLab(id, text) => {
                let file = site.folder().join(format!("{id}.yaml"));
                std::fs::write(&file, text).context("failed to write the product's manifest")?;
                Ok(file.display().to_string())
            }
            Self::Profile(profile) => Ok(profile.clone()),
        }
    }
}

fn code_of(ended: ExitStatus) -> ExitCode {
    let code = ended
        .code()
        .or_else(|| ended.signal().map(|signal| SIGNALLED + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
