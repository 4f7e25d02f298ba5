//! `outgate check`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::MultiProgress;
use outgate_check::{Firewall, Heading, MAX_CONCURRENT, Plan, PlanView, Report, Samples, run};
use outgate_manifest::view::NEWEST;
use outgate_manifest::{Lane, Selection};
use outgate_probe::{
    ConnectTo, Counted, DohUrl, Path, PathConfig, PathError, ResolverChoice, Roots, Source,
};

use crate::commands::check::form::FormArgs;
use crate::commands::check::place::PlaceArgs;
pub(crate) use crate::commands::check::proxy::ProxyArgs;
use crate::commands::check::watch::{WatchArgs, watch};
use crate::library;
use crate::output::{Failure, read_bounded};
use crate::progress::Progress;
use crate::site::{SiteArgs, pair};

mod form;
mod place;
mod proxy;
pub(crate) mod table;
mod watch;

/// The party in whose place a check is run when nobody says otherwise.
const DEVICE: &str = "device";
/// The port of name servers (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;
/// The largest file of certificates that is read, in bytes.
const MAX_CA_BYTES: usize = 4 << 20;

/// `outgate check`: exercise every lane from here.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate check open-pos
  outgate check starface --without yealink-cloud --plan
  outgate check homag-cube --from technician --connect-to device:80:10.0.0.7:80
  outgate check homag-cube --sample '*.tapio.one=api.tapio.one' --json
  outgate check starface --html --lang de --mask-addresses --output report.html
  outgate check starface --firewall nftables
  outgate check open-pos --watch --every 300 --metrics 0.0.0.0:9464

Exit codes: 0 pass, 2 bad input, 3 a required flow failed, 4 only warnings,
            5 incomplete: something required was not run")]
pub(crate) struct CheckArgs {
    /// A built-in product (see `outgate profiles`) or the path of a manifest
    profile: String,
    #[command(flatten)]
    site: SiteArgs,
    /// The party in whose place this machine is
    #[arg(long, value_name = "PARTY", default_value = DEVICE)]
    from: String,
    #[command(flatten)]
    way: WayArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

/// How the probes go.
#[derive(Args, Clone)]
#[command(next_help_heading = "How the probes go")]
pub(crate) struct WayArgs {
    /// Go to ADDRESS and its PORT instead of NAME and its PORT, as with curl; NAME is a domain
    /// name, or a destination such as a party's id or `ntp-servers` (may be repeated)
    #[arg(long, value_name = "NAME:PORT:ADDRESS:PORT")]
    connect_to: Vec<ConnectTo>,
    /// A host to probe for a wildcard, a cloud's region or a network (may be repeated)
    #[arg(long, value_name = "DESTINATION=HOST", value_parser = pair)]
    sample: Vec<(String, String)>,
    /// The path at which this site's servers answer a flow, in place of the manifest's, such as
    /// `realtime=/checks` (may be repeated)
    #[arg(long, value_name = "FLOW=PATH", value_parser = pair)]
    path: Vec<(String, String)>,
    #[command(flatten)]
    proxy: ProxyArgs,
    /// The address or interface of this machine that everything sets out from
    #[arg(long, value_name = "ADDRESS|INTERFACE")]
    source: Option<Source>,
    /// Whose certificate authorities count beside those of --ca: `all`, the `system`'s, `mozilla`'s,
    /// or those `given` with --ca alone
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t)]
    trust: Whose,
    /// Certificates to trust, in PEM, beside those that --trust says
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name server to ask, in place of those that the system is set up with; several are asked
    /// in turn, as the system asks its own (may be repeated)
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = resolver)]
    resolver: Vec<SocketAddr>,
    /// A name server outside that is asked over HTTPS (RFC 8484) about names for which those of this
    /// network give no address, or none outside; nobody is asked unless this is given
    #[arg(long, value_name = "URL")]
    // A text, since clap repeats what it cannot read, and a key may stand in it.
    doh: Option<String>,
    /// How long a probe waits for one address, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5",
          value_parser = clap::value_parser!(u64).range(1..=120))]
    timeout: u64,
    /// How long a WebSocket is held open, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    hold: u64,
    /// How many lanes are exercised at once
    #[arg(long, value_name = "N", default_value_t = MAX_CONCURRENT,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrent: u16,
}

impl WayArgs {
    /// The samples and paths, held against all lanes of the site.
    fn samples(&self, lanes: &[Lane]) -> Result<Samples, Failure> {
        let mut samples = Samples::default();
        for (destination, host) in &self.sample {
            samples
                .give(destination, host, lanes)
                .map_err(|error| Failure::Input(error.into()))?;
        }
        for (flow, path) in &self.path {
            samples
                .ask_at(flow, path, lanes)
                .map_err(|error| Failure::Input(error.into()))?;
        }
        Ok(samples)
    }

    fn path(&self) -> Result<Path, Failure> {
        let counted = match self.trust {
            Whose::All => Counted::All,
            Whose::System => Counted::System,
            Whose::Mozilla => Counted::Mozilla,
            Whose::Given if self.ca.is_some() => Counted::Given,
            Whose::Given => return Err(Failure::input("--trust given needs --ca FILE")),
        };
        let mut roots = Roots::with_system().counting(counted);
        if let Some(file) = &self.ca {
            let pem = read_bounded(file, MAX_CA_BYTES).map_err(Failure::Input)?;
            let context = || format!("failed to use {} for --ca", file.display());
            roots = roots
                .give_pem(&pem)
                .with_context(context)
                .map_err(Failure::Input)?;
        }
        let second_opinion = self.doh.as_deref().map(str::parse::<DohUrl>).transpose();
        let second_opinion = second_opinion.context("failed to use --doh");
        let config = PathConfig {
            connect_to: self.connect_to.clone(),
            proxying: self.proxy.proxying()?,
            source: self.source.clone().unwrap_or_default(),
            roots,
            resolver: match self.resolver.as_slice() {
                [] => ResolverChoice::System,
                servers => ResolverChoice::At(servers.to_vec()),
            },
            second_opinion: second_opinion.map_err(Failure::Input)?,
            timeout: Duration::from_secs(self.timeout),
            ..PathConfig::default()
        };
        Path::new(config).map_err(|error| match error {
            PathError::Source { .. } => Failure::Input(error.into()),
            PathError::Tls { .. } => Failure::Internal(error.into()),
        })
    }
}

/// Whose certificate authorities count.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Whose {
    /// The system's, Mozilla's, and those of --ca
    #[default]
    All,
    /// The system's, and those of --ca
    System,
    /// Mozilla's, and those of --ca
    Mozilla,
    /// Those of --ca and nobody else's
    Given,
}

/// Reads an address with or without a port.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok();
    let without = || {
        text.parse::<IpAddr>()
            .ok()
            .map(|address| SocketAddr::from((address, DNS_PORT)))
    };
    with_port
        .or_else(without)
        .ok_or_else(|| "expected an address such as 192.0.2.53".into())
}

impl CheckArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        self.place.enter()?;
        let manifest = library::load(&self.profile)?;
        let selection = self.site.selection(&manifest, Some(self.from.clone()))?;
        let lanes = manifest.lanes(&selection)?;
        let everybody = Selection {
            from: None,
            ..selection.clone()
        };
        let samples = self.way.samples(&manifest.lanes(&everybody)?)?;
        let version = selection
            .version
            .as_ref()
            .map_or_else(|| NEWEST.to_owned(), |v| v.to_string());
        let product = manifest.product().id.to_string();
        if lanes.is_empty() {
            let (party, site) = (&self.from, "with this version and these features");
            return Err(Failure::input(format!(
                "`{party}` starts no lane of {product} {site}"
            )));
        }
        let heading = self.heading(product, version);
        let plan = || {
            let hold = Duration::from_secs(self.way.hold);
            Plan::new(lanes.clone(), &samples, hold)
        };
        if self.plan {
            let path = self.way.path()?;
            let view = PlanView::new(&plan(), heading, &path);
            self.form.tell_plan(&view, &path)?;
            return Ok(ExitCode::SUCCESS);
        }
        let once = || async {
            // A new path each time: names are asked for again.
            let path = self.way.path()?;
            let plan = plan();
            let progress = Progress::new(&plan, &MultiProgress::new());
            let heading = heading.clone();
            let mut report = exercise(plan, heading, &path, self.way.concurrent, progress).await;
            if let Some(target) = self.form.firewall() {
                let (manifest, selection) = (&manifest, &selection);
                let firewall = Firewall {
                    target,
                    manifest,
                    selection,
                    lanes: &lanes,
                };
                report.advise(&firewall, &path);
            }
            Ok((report, path))
        };
        if self.watch.watch {
            return runtime()?.block_on(watch(&self.watch, &self.form, once));
        }
        let (report, path) = runtime()?.block_on(once())?;
        self.form.tell(&report, &path, &manifest.product().name)?;
        Ok(ExitCode::from(report.verdict.exit_code()))
    }

    /// What is checked, from where and for whom.
    fn heading(&self, product: String, version: String) -> Heading {
        Heading {
            product,
            version,
            from: self.from.clone(),
            netns: self.place.netns.clone(),
            user: self.place.user.clone(),
            language: self.form.lang,
        }
    }
}

/// Runs a plan and shows how far it is.
pub(crate) async fn exercise(
    plan: Plan,
    heading: Heading,
    path: &Path,
    concurrent: u16,
    mut progress: Progress,
) -> Report {
    let report = run(plan, heading, path, concurrent, |event| {
        progress.on_event(event)
    })
    .await;
    progress.end();
    report
}

/// The runtime that probes run on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")
        .map_err(Failure::Internal)
}
