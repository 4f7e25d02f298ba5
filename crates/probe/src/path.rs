//! The way the product goes: detours, trust, resolver, patience and clock, shared by all probes.

mod client_identity;
mod connect_to;
mod doh;
mod echo_gate;
mod names;
mod proxy;
mod roots;
mod script;
mod second_opinion;
mod secrets;
mod source;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use client_identity::{ClientIdentity, ClientIdentityError};
pub(crate) use connect_to::normalised;
pub use connect_to::{ConnectTo, ConnectToError};
pub use doh::{DohUrl, DohUrlError};
pub(crate) use echo_gate::Turn;
pub use proxy::{
    Login, LoginError, NoProxy, Proxy, ProxyChoice, ProxyEnvironment, ProxyError, ProxyKind,
    Proxying,
};
pub(crate) use roots::anchor;
pub use roots::{Counted, Roots, RootsError};
pub use script::ProxyScript;
pub(crate) use secrets::HIDDEN;
pub use secrets::Secrets;
pub use source::{Source, SourceError};

use tokio::sync::OnceCell;

use crate::{
    ask::{Ask, Host},
    both_ends,
    dhcp::{self, HandedOut},
    evidence::{Elsewhere, Family, Resolution, Trouble},
    registry::Sent,
    tls::Tls,
};
use echo_gate::EchoGate;
use names::Names;
use script::Fetched;
use second_opinion::SecondOpinion;

/// How long a probe takes with one address unless the caller says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a proxy is asked at most for one address: for the exercise itself, and for the three
/// older TLS handshakes that may follow; and as often again to compare both ends.
const REQUESTS_AT_MOST: u32 = 8;
/// Length at most of a request to a proxy that a script names, in bytes, the host aside.
const SCRIPTED_AT_MOST: usize = 4600;

/// What a [`Path`] is made from.
#[derive(Clone)]
pub struct PathConfig {
    /// Detours; the first that fits counts.
    pub connect_to: Vec<ConnectTo>,
    /// Which proxies TCP connections go through.
    pub proxying: Proxying,
    /// Where everything sets out from.
    pub source: Source,
    /// Who may vouch for servers.
    pub roots: Roots,
    /// Whom to ask for names.
    pub resolver: ResolverChoice,
    /// Who is asked over HTTPS about names outside (see [`Ask::outside`]) that these do not give,
    /// or send to a place inside; nobody, unless somebody says so.
    pub second_opinion: Option<DohUrl>,
    /// How long a probe may take with one address, holding aside. Resolving has as long again.
    pub timeout: Duration,
    /// The wall clock, against which certificates, time servers and `Date` headers are judged.
    pub clock: Arc<dyn WallClock>,
    /// What servers are shown that ask for a certificate; proxies are shown nothing.
    pub client_identity: Option<ClientIdentity>,
}

impl Default for PathConfig {
    /// No detours, no proxy, Mozilla's roots only, the system's resolver, ten seconds, the system's clock.
    fn default() -> Self {
        Self {
            connect_to: Vec::new(),
            proxying: Proxying::default(),
            source: Source::Any,
            roots: Roots::mozilla(),
            resolver: ResolverChoice::System,
            second_opinion: None,
            timeout: DEFAULT_TIMEOUT,
            clock: Arc::new(SystemClock),
            client_identity: None,
        }
    }
}

/// Whom to ask for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverChoice {
    /// As the system is configured: `resolv.conf` and the hosts file.
    System,
    /// The name servers at these addresses in turn, over UDP and TCP; no hosts file, no search
    /// domains.
    At(Vec<SocketAddr>),
}

impl ResolverChoice {
    /// One name server.
    pub fn at(address: SocketAddr) -> Self {
        Self::At(vec![address])
    }
}

/// Where wall-clock time comes from.
pub trait WallClock: Send + Sync {
    /// What the clock says now.
    fn now(&self) -> SystemTime;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl<F: Fn() -> SystemTime + Send + Sync> WallClock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}

/// The way the product goes. Made once, cloned freely, used by all probes: they share what it
/// remembers (resolved names, when an address was last pinged).
#[derive(Clone)]
pub struct Path {
    inner: Arc<Inner>,
}

struct Inner {
    config: PathConfig,
    names: Names,
    second_opinion: Option<SecondOpinion>,
    script: Fetched,
    /// Over IPv4, and over IPv6.
    handed_out: [OnceCell<HandedOut>; 2],
    tls: Tls,
    echo_gate: EchoGate,
}

impl Path {
    /// Reads the resolver's configuration and gets ready. Opens no socket. A machine without a
    /// usable resolver gets its path; resolving a name then fails.
    pub fn new(config: PathConfig) -> Result<Self, PathError> {
        let source = config.source.check();
        source.map_err(|error| PathError::Source {
            place: config.source.to_string(),
            source: error,
        })?;
        let names = Names::new(&config.resolver, &config.source, config.timeout);
        let tls = Tls::new(&config.roots).map_err(|source| PathError::Tls { source })?;
        let echo_gate = EchoGate::default();
        Ok(Self {
            inner: Arc::new(Inner {
                second_opinion: config.second_opinion.clone().map(SecondOpinion::of),
                config,
                names,
                script: Fetched::default(),
                handed_out: Default::default(),
                tls,
                echo_gate,
            }),
        })
    }

    /// How long a probe may take with one address, holding aside.
    pub fn timeout(&self) -> Duration {
        self.inner.config.timeout
    }

    /// The address of this machine that packets to a far end set out from, by the routing table;
    /// `None` where there is no way. Sends nothing.
    pub fn local_address(&self, far: IpAddr) -> Option<IpAddr> {
        self.inner.config.source.towards(far)
    }

    /// What servers are shown that ask for a certificate.
    pub(crate) fn client_identity(&self) -> Option<ClientIdentity> {
        self.inner.config.client_identity.clone()
    }

    /// What the wall clock says now.
    pub fn now(&self) -> SystemTime {
        self.inner.config.clock.now()
    }

    /// Where a host and port are sent: as they are, or as the first detour that fits says.
    pub(crate) fn detour(&self, host: &Host, port: Option<u16>) -> (Host, Option<u16>) {
        let mut detours = self.inner.config.connect_to.iter();
        detours
            .find_map(|detour| detour.apply(host, port))
            .unwrap_or_else(|| (host.clone(), port))
    }

    /// What is sent on top of what the probe sends: to compare both ends of TLS; to proxies, to each
    /// address of the one that an ask goes through, and to one that is tried where there is no direct
    /// way; and to somebody outside who is asked about its name.
    pub fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let through = self.inner.config.proxying.of(ask).into_iter();
        let through = through.map(|proxy| (format!("a request to {proxy} to lead there"), proxy));
        let spare = self.spare_proxy(ask).into_iter();
        let spare = spare.map(|proxy| {
            let what = format!("all of it again through {proxy}, if there is no direct way");
            (what, proxy)
        });
        let host = ask.host.word().len();
        let script = self.inner.config.proxying.script(ask).map(|script| {
            let what = format!("requests to the proxies that {script} names, and for the script");
            Sent::new(&what, SCRIPTED_AT_MOST + 2 * host, REQUESTS_AT_MOST)
        });
        let second_opinion = self.inner.second_opinion.as_ref();
        let second_opinion = second_opinion.and_then(|it| it.sends(ask));
        let sends = through.chain(spare);
        sends
            .map(|(what, proxy)| Sent::new(&what, proxy.request_at_most(host), REQUESTS_AT_MOST))
            .chain(script)
            .chain(second_opinion)
            .chain(self.asks_dhcp(ask))
            .chain(both_ends::sends(ask))
            .collect()
    }

    /// What is sent, once a path, where an ask needs what DHCP hands out.
    fn asks_dhcp(&self, ask: &Ask) -> Vec<Sent> {
        let scripted = self.inner.config.proxying.script(ask) == Some(&ProxyScript::HandedOut);
        let (host, _) = self.detour(&ask.host, ask.port);
        if scripted || host == Host::TimeServers {
            dhcp::questions()
        } else {
            Vec::new()
        }
    }

    /// The ways that an ask goes, tried in turn until one leads somewhere: through a proxy each, or
    /// direct (`None`).
    pub(crate) async fn hops(&self, ask: &Ask) -> Result<Vec<Option<Proxy>>, Trouble> {
        let proxying = &self.inner.config.proxying;
        match proxying.script(ask) {
            Some(script) => self.inner.script.hops(script, ask, self).await,
            None => Ok(vec![proxying.of(ask).cloned()]),
        }
    }

    /// The logins that this path knows, so that nothing told of it repeats them.
    pub fn secrets(&self) -> Secrets {
        let (proxying, named) = (&self.inner.config.proxying, self.inner.script.named());
        let proxies = proxying.proxies().chain(&named);
        Secrets::of(proxies.filter_map(Proxy::login))
    }

    /// Where the customer's own proxies and the script that chooses them are, each once.
    pub fn own_hosts(&self) -> Vec<Host> {
        let (proxying, named) = (&self.inner.config.proxying, self.inner.script.named());
        let proxies = proxying.proxies().chain(&named);
        let mut hosts: Vec<Host> = proxies.map(|proxy| proxy.host().clone()).collect();
        if let ProxyChoice::Script(script) = &proxying.choice {
            hosts.extend(script.host());
        }
        hosts.sort_by_key(ToString::to_string);
        hosts.dedup();
        hosts
    }

    /// Where everything sets out from.
    pub(crate) fn source(&self) -> &Source {
        &self.inner.config.source
    }

    /// A proxy that an ask which goes direct could have gone through.
    pub(crate) fn spare_proxy(&self, ask: &Ask) -> Option<&Proxy> {
        self.inner.config.proxying.spare(ask)
    }

    /// What DHCP hands out on the networks of the way. It is asked once.
    pub(crate) async fn handed_out(&self, family: Family) -> &HandedOut {
        let [v4, v6] = &self.inner.handed_out;
        let of_family = match family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        of_family.get_or_init(|| dhcp::ask(self, family)).await
    }

    /// What somebody outside says about the name of an ask, where the answer of the name servers
    /// leaves a doubt and a second opinion is wanted.
    pub(crate) async fn second_opinion(
        &self,
        ask: &Ask,
        resolution: Option<&Resolution>,
    ) -> Option<Elsewhere> {
        let second_opinion = self.inner.second_opinion.as_ref()?;
        second_opinion.on(ask, resolution?, self).await
    }

    /// The addresses of a name, as the product finds them.
    pub(crate) async fn resolve(&self, name: &str) -> Resolution {
        let random = || match self.inner.tls.random() {
            Ok(bytes) => Ok(u16::from_be_bytes(bytes)),
            Err(stop) => Err(stop.trouble),
        };
        self.inner.names.resolve(name, random).await
    }

    /// The resolvers that [`Path::resolve`] asks.
    pub(crate) fn resolvers(&self) -> Result<&[SocketAddr], Trouble> {
        self.inner.names.servers()
    }

    /// Whether an ask goes to the name servers that this machine is told of, and there are none.
    pub(crate) fn lacks_name_servers(&self, ask: &Ask) -> bool {
        self.detour(&ask.host, ask.port).0 == Host::SystemResolvers
            && self.inner.names.are_unnamed()
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.inner.tls
    }

    /// Waits until the address may be sent an echo; `None` when too many addresses are in use.
    pub(crate) async fn echo_turn(&self, address: IpAddr) -> Option<Turn> {
        self.inner.echo_gate.turn(address).await
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Path")
            .field("connect_to", &self.inner.config.connect_to)
            .field("proxying", &self.inner.config.proxying)
            .field("resolver", &self.inner.config.resolver)
            .field("timeout", &self.inner.config.timeout)
            .finish_non_exhaustive()
    }
}

/// Why there is no way to go.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// Nothing can set out from there: this machine does not have it, or this process may not.
    #[error("nothing can be sent from {place}")]
    Source {
        /// The address or interface.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// TLS cannot be set up with these roots.
    #[error("failed to set up TLS")]
    Tls {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
