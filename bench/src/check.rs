//! The check of a whole product beside `nmap -sV` and `prometheus-blackbox-exporter`, at the same
//! servers in the same run; and a check of a site where nobody answers.
//!
//! The servers are those of `outgate demo`, on their core. Whoever asks has the other. The check is
//! run for every party of the product that starts a lane, all of them at once; nmap scans each port
//! that these lanes led to, once; the exporter is asked for a probe a lane, all at once, where it
//! has a probe for what is spoken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::Value as Json;

use crate::process::{Running, children_seconds};
use crate::report::{Figure, Report, percentile};
use crate::servers::{Programs, free_port, wait_for};

/// The product that is checked.
const PRODUCT: &str = "starface";

/// How often each does its work.
const ROUNDS: usize = 20;

/// How often nmap does: it tries what it knows on every port in turn, and takes minutes.
const SCANS: usize = 2;

/// What stands before the place of the arguments, where the demo tells it.
const ARGUMENTS: &str = "xargs -a ";

/// How much longer than its slowest lane a check may take, in percent.
const SLACK: u32 = 10;

/// The modules of the exporter; @CA@ is the demo's authority.
const MODULES: &str = "modules:
  https: { prober: http, timeout: 5s, http: { tls_config: { ca_file: @CA@ }, fail_if_not_ssl: true } }
  http: { prober: http, timeout: 5s, http: { follow_redirects: false } }
  tls: { prober: tcp, timeout: 5s, tcp: { tls: true, tls_config: { ca_file: @CA@ } } }
  tcp: { prober: tcp, timeout: 5s }
  dns: { prober: dns, timeout: 5s, dns: { query_name: stun.starface.com, query_type: A } }
";

/// Measures, prints, and writes JSON to `json`.
pub(crate) async fn run(
    programs: &Programs,
    share: usize,
    json: Option<&Path>,
) -> anyhow::Result<()> {
    let rounds = (ROUNDS / share).max(2);
    let demo = Demo::start(programs)?;
    let parties = parties(programs)?;
    let lanes = Lane::all(&demo, &parties)?;
    let exporter = Exporter::start(&demo, programs).await?;
    let probes = exporter.probes(&lanes);
    let (tcp, udp) = (ports(&lanes, "tcp"), ports(&lanes, "udp"));
    let mut measured = [
        Measured::new("outgate", format!("{} lanes", lanes.len())),
        Measured::new("nmap -sV", format!("{} ports", tcp.len() + udp.len())),
        Measured::new("blackbox exporter", format!("{} probes", probes.len())),
    ];
    for round in 0..rounds {
        let [check, scan, probe] = &mut measured;
        check.of_children(|| demo.check_all(&parties, &[]).map(drop))?;
        if round < SCANS / share.min(SCANS) {
            scan.of_children(|| scan_ports(&tcp, &udp))?;
        }
        let (before, began) = (exporter.running.processor_seconds()?, Instant::now());
        exporter.ask_all(&probes).await?;
        let used = exporter.running.processor_seconds()? - before;
        probe.add(began.elapsed(), used);
    }
    let mut report = Report::new("outgate");
    for one in &mut measured {
        let server = one.server;
        report.add("work done", server, Figure::Words(one.work.clone()));
        let wall = percentile(&mut one.wall, 50);
        report.add("time, median", server, Figure::Time(wall));
        let worst = percentile(&mut one.wall, 100);
        report.add("time, longest", server, Figure::Time(worst));
        let times = f64::from(u32::try_from(one.wall.len())?);
        let each = Duration::from_secs_f64(one.processor / times);
        report.add("processor", server, Figure::Time(each));
    }
    silent(&demo, &mut report)?;
    report.print()?;
    json.map_or(Ok(()), |file| report.write_json(file))
}

/// What one of them took in all rounds.
struct Measured {
    server: &'static str,
    work: String,
    wall: Vec<Duration>,
    processor: f64,
}

impl Measured {
    fn new(server: &'static str, work: String) -> Self {
        Self {
            server,
            work,
            wall: Vec::new(),
            processor: 0.0,
        }
    }

    fn of_children(&mut self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let (before, began) = (children_seconds()?, Instant::now());
        work()?;
        self.add(began.elapsed(), children_seconds()? - before);
        Ok(())
    }

    fn add(&mut self, wall: Duration, processor: f64) {
        self.wall.push(wall);
        self.processor += processor;
    }
}

/// The demo's servers, and how a check is pointed at them.
struct Demo {
    outgate: PathBuf,
    arguments: Vec<String>,
    _running: Running,
}

impl Demo {
    fn start(programs: &Programs) -> anyhow::Result<Self> {
        let words = ["demo", PRODUCT].map(str::to_owned);
        let (running, mut told) = Running::told(&programs.outgate, &words)?;
        let place = told
            .find_map(|line| {
                let line = line.ok()?;
                let rest = line.trim().strip_prefix(ARGUMENTS)?;
                Some(rest.split(' ').next()?.to_owned())
            })
            .context("the demo ended before its servers were up; start it by hand to see why")?;
        // What it says later is of no interest, but it must not wait for a reader.
        std::thread::spawn(move || told.for_each(drop));
        let text = std::fs::read_to_string(&place)
            .with_context(|| format!("failed to read the demo's arguments in {place}"))?;
        let arguments = text.lines().map(|line| line.trim_matches('"').to_owned());
        Ok(Self {
            outgate: programs.outgate.clone(),
            arguments: arguments.collect(),
            _running: running,
        })
    }

    /// A check for a party, as JSON.
    fn check(&self, party: &str) -> Command {
        let mut command = Command::new(&self.outgate);
        command
            .args(["check", PRODUCT, "--json", "--from", party])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Checks for all parties at once, and what they said.
    fn check_all(&self, parties: &[String], more: &[&str]) -> anyhow::Result<Vec<Json>> {
        let started: std::io::Result<Vec<_>> = parties
            .iter()
            .map(|party| self.check(party).args(more).spawn())
            .collect();
        // A report that nobody reads yet fits the pipe or waits; the others go on meanwhile.
        started?
            .into_iter()
            .map(|child| {
                let output = child.wait_with_output()?;
                serde_json::from_slice(&output.stdout).context("the check printed no report")
            })
            .collect()
    }

    /// The authority's file.
    fn authority(&self) -> &str {
        let mut words = self.arguments.iter().skip_while(|word| *word != "--ca");
        words.nth(1).map_or("", String::as_str)
    }
}

/// The parties that start a lane.
fn parties(programs: &Programs) -> anyhow::Result<Vec<String>> {
    let output = Command::new(&programs.outgate)
        .args(["flows", PRODUCT, "--json"])
        .output()?;
    let told: Json = serde_json::from_slice(&output.stdout)?;
    let lanes = told["lanes"].as_array().context("no lanes")?;
    let parties: BTreeSet<String> = lanes.iter().map(|lane| text(&lane["from"])).collect();
    Ok(parties.into_iter().collect())
}

/// A lane that was exercised, and where it led.
struct Lane {
    transport: String,
    protocol: String,
    name: String,
    /// The port that its server has here.
    port: u64,
}

impl Lane {
    /// Those of all parties, by a check that is not measured.
    fn all(demo: &Demo, parties: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for report in demo.check_all(parties, &[])? {
            for lane in report["lanes"].as_array().into_iter().flatten() {
                let Some(probe) = lane["probes"].get(0) else {
                    continue;
                };
                if let Some(port) = probe["attempts"][0]["port"].as_u64() {
                    all.push(Self {
                        transport: text(&lane["lane"]["transport"]),
                        protocol: text(&lane["lane"]["protocol"]),
                        name: text(&probe["host"]),
                        port,
                    });
                }
            }
        }
        anyhow::ensure!(!all.is_empty(), "no lane was exercised");
        Ok(all)
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn ports(lanes: &[Lane], transport: &str) -> BTreeSet<u64> {
    let of_it = lanes.iter().filter(|lane| lane.transport == transport);
    of_it.map(|lane| lane.port).collect()
}

/// Scans with the versions of what answers. Nmap's licence is for those who link or ship it; here
/// it is a program of the machine that is started.
fn scan_ports(tcp: &BTreeSet<u64>, udp: &BTreeSet<u64>) -> anyhow::Result<()> {
    let listed = |mark: &str, ports: &BTreeSet<u64>| {
        let ports: Vec<String> = ports.iter().map(u64::to_string).collect();
        format!("{mark}:{}", ports.join(","))
    };
    let status = Command::new("nmap")
        .args(["-sV", "-sT", "-sU", "-Pn", "-n", "-oX", "-"])
        .arg("-p")
        .arg(format!("{},{}", listed("T", tcp), listed("U", udp)))
        .arg("127.0.0.1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("failed to start nmap")?;
    anyhow::ensure!(status.success(), "nmap failed; its UDP scan needs root");
    Ok(())
}

/// The exporter, listening.
struct Exporter {
    running: Running,
    port: u16,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Exporter {
    async fn start(demo: &Demo, programs: &Programs) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("blackbox.yml");
        std::fs::write(&config, MODULES.replace("@CA@", demo.authority()))?;
        let port = free_port()?;
        let words = [
            format!("--config.file={}", config.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=error".to_owned(),
        ];
        let running = Running::beside_the_load(&programs.exporter, &words)?;
        wait_for(port).await?;
        Ok(Self {
            running,
            port,
            client: reqwest::Client::builder().no_proxy().build()?,
            _folder: folder,
        })
    }

    /// The URL of a probe for each lane that it can say something of.
    fn probes(&self, lanes: &[Lane]) -> Vec<String> {
        let probe = |lane: &Lane| {
            let (module, scheme) = match (lane.transport.as_str(), lane.protocol.as_str()) {
                ("tcp", "https") => ("https", "https://"),
                ("tcp", "http") => ("http", "http://"),
                ("tcp", "tls" | "sips" | "ldaps") => ("tls", ""),
                (_, "dns") => ("dns", ""),
                ("tcp", _) => ("tcp", ""),
                _ => return None,
            };
            let (own, port, name) = (self.port, lane.port, &lane.name);
            // Only its HTTP prober takes the name beside the address.
            let host = if scheme.is_empty() { "" } else { name };
            Some(format!(
                "http://127.0.0.1:{own}/probe?module={module}&target={scheme}127.0.0.1:{port}&hostname={host}"
            ))
        };
        lanes.iter().filter_map(probe).collect()
    }

    async fn ask_all(&self, probes: &[String]) -> anyhow::Result<()> {
        let asked = probes.iter().map(|url| self.client.get(url).send());
        for answer in join_all(asked).await {
            answer?.bytes().await?;
        }
        Ok(())
    }
}

/// A check of a site where nobody answers: in a network of its own, whose packets to itself are
/// all dropped.
fn silent(demo: &Demo, report: &mut Report) -> anyhow::Result<()> {
    let shut = "ip link set lo up && nft 'add table inet x; add chain inet x in \
                { type filter hook input priority 0; policy drop; }' && exec \"$@\"";
    let check = demo.check("device");
    let output = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", shut, "sh"])
        .arg(check.get_program())
        .args(check.get_args())
        .args(["--resolver", "127.0.0.1"])
        .output()
        .context("failed to start unshare")?;
    let told: Json = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("a silent site needs root, ip and nft: {said}")
    })?;
    let micros = |value: &Json| Duration::from_micros(value.as_u64().unwrap_or_default());
    let whole = micros(&told["took_micros"]);
    let lanes = told["lanes"].as_array().context("no lanes")?;
    let took = lanes.iter().map(|lane| micros(&lane["took_micros"]));
    let slowest = took.max().unwrap_or_default();
    report.add("a silent site", "outgate", Figure::Time(whole));
    report.add("a silent site", "its slowest lane", Figure::Time(slowest));
    anyhow::ensure!(
        whole <= slowest * (100 + SLACK) / 100,
        "a check took {whole:?}, which is more than {SLACK} % above its slowest lane's {slowest:?}"
    );
    Ok(())
}
