//! Asks time servers, as a check does.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use outgate_probe::{
    Ask, Attempt, Finding, Host, Path, PathConfig, ResolverChoice, Transport, probe_for,
};
use outgate_wire::ntp::PORT;
use time::OffsetDateTime;

use outgate_wire::signed_time::KEY_LEN;

use super::signed::{self, Hub};
use super::{Heard, Reading, Source, leases};
use crate::config;
use crate::queue::up;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is needed to ask.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) clock: config::Clock,
    pub(super) resolver: ResolverChoice,
    /// Where this machine's DHCP client keeps its leases: `/`.
    pub(super) root: PathBuf,
    /// The hub, if it can prove itself to a machine that does not know what time it is.
    pub(super) hub: Option<Hub>,
}

/// What is known when a source is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The time that is over for certain.
    pub(super) from: OffsetDateTime,
    /// By what the hub signs.
    pub(super) key: Option<[u8; KEY_LEN]>,
}

impl Asking {
    /// Those that are asked, in their order.
    pub(super) fn sources(&self) -> Vec<Source> {
        let dhcp = self.clock.dhcp.then_some(Source::Dhcp);
        let configured = (!self.clock.servers.is_empty()).then_some(Source::Configured);
        let signed = self.hub.is_some().then_some(Source::Signed);
        dhcp.into_iter().chain(configured).chain(signed).collect()
    }

    /// Asks a source, within seconds.
    pub(super) async fn ask(&self, source: Source, known: Known) -> Heard {
        match source {
            Source::Dhcp => self.dhcp().await,
            Source::Configured => self.servers(self.clock.servers.clone()).await,
            Source::Signed => self.signed(known).await,
        }
    }

    async fn signed(&self, known: Known) -> Heard {
        let asked = match (&self.hub, &known.key) {
            (None, _) => Err("the hub's authority is not pinned".to_owned()),
            (_, None) => Err("the hub's key is not known yet: clock.hub-key".to_owned()),
            (Some(hub), Some(key)) => signed::ask(hub, key, known.from).await,
        };
        match asked {
            Ok(reading) => Heard {
                readings: vec![reading],
                silent: Vec::new(),
            },
            Err(why) => Heard {
                readings: Vec::new(),
                silent: vec![format!("the hub: {why}")],
            },
        }
    }

    /// What this machine's DHCP client has written down is there at once and needs no rights; the
    /// network is asked when that leads nowhere.
    async fn dhcp(&self) -> Heard {
        let leased = leases::time_servers(&self.root).into_iter();
        let leased: Vec<_> = leased.map(|at| (Host::Address(at), PORT)).collect();
        let mut heard = self.servers(leased).await;
        if heard.readings.is_empty() {
            let asked = self.servers(vec![(Host::TimeServers, PORT)]).await;
            heard.readings = asked.readings;
            heard.silent.extend(asked.silent);
        }
        heard
    }

    async fn servers(&self, servers: Vec<(Host, u16)>) -> Heard {
        // Against the time since the machine's start, which nobody puts forward or back meanwhile.
        let path = Path::new(PathConfig {
            resolver: self.resolver.clone(),
            timeout: PATIENCE,
            clock: std::sync::Arc::new(|| SystemTime::UNIX_EPOCH + up()),
            ..PathConfig::default()
        });
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                return Heard {
                    readings: Vec::new(),
                    silent: vec![crate::chain::chain(&error)],
                };
            }
        };
        let asked = servers
            .into_iter()
            .map(|(host, port)| ask(host, port, &path));
        let mut heard = Heard::default();
        for one in join_all(asked).await {
            heard.readings.extend(one.readings);
            heard.silent.extend(one.silent);
        }
        heard
    }
}

async fn ask(host: Host, port: u16, path: &Path) -> Heard {
    let named = host.to_string();
    let ask = Ask::new("ntp", host, Some(port), Transport::Udp);
    let Some(probe) = probe_for("ntp") else {
        return Heard::default();
    };
    of(&named, &probe.run(&ask, path).await)
}

/// What a finding comes to.
fn of(named: &str, finding: &Finding) -> Heard {
    let readings: Vec<Reading> = finding.attempts.iter().filter_map(reading).collect();
    let why = finding.trouble.as_ref().filter(|_| readings.is_empty());
    Heard {
        silent: why
            .map(|why| format!("{named}: {why}"))
            .into_iter()
            .collect(),
        readings,
    }
}

fn reading(attempt: &Attempt) -> Option<Reading> {
    let ntp = attempt.ntp.as_ref()?;
    let since_1970 = time::Duration::milliseconds(ntp.offset_millis);
    let server = match attempt.port {
        Some(PORT) | None => attempt.address.to_string(),
        Some(port) => std::net::SocketAddr::new(attempt.address, port).to_string(),
    };
    Some(Reading {
        server,
        began: OffsetDateTime::UNIX_EPOCH.checked_add(since_1970)?,
        // Both ways together, of which either may have taken all of it; and what is rounded.
        error: Duration::from_micros(ntp.delay_micros.unsigned_abs() / 2 + 1_000),
    })
}
