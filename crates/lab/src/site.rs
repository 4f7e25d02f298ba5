//! A site with its faults, up and running.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outgate_standin::Authority;

use crate::enter::Inside;
use crate::fault::Fault;
use crate::network;
use crate::rules::{self, Names};
use crate::topology::{
    MAX_NAMES, NEIGHBOUR, NO_RESOLVER_CONFIGURATION, PROXY_PORT, SERVICES,
    resolver_configuration_with_a_silent_server, server,
};
use crate::world::{Service, Speaks};

mod servers;

/// Where a site keeps what the device needs; gone with the namespaces.
const FOLDER: &str = "/run/outgate-lab";

/// A customer's site, with a device in it. It ends when it is dropped, and with its process at
/// the latest.
pub struct Site {
    folder: PathBuf,
    proxy: bool,
    _threads: Vec<servers::Running>,
}

impl Site {
    /// Builds the network, starts the servers, and then puts in what is wrong. When it returns,
    /// everything listens.
    ///
    /// # Errors
    /// A program or a server fails, or there are more than 250 names.
    pub fn build(
        inside: &Inside,
        services: &[Service],
        faults: &[Fault],
    ) -> Result<Self, SiteError> {
        let names = names(services)?;
        network::build(inside)?;
        let tls_ports = tls_ports(services);
        let rules = rules::ruleset(faults, &names, &tls_ports);
        network::load_rules(inside, "router", &rules)?;
        for (namespace, near) in [("internet", false), ("neighbour", true)] {
            let rules = rules::reflected(services, &names, near);
            network::load_rules(inside, namespace, &rules)?;
        }
        for fault in faults {
            let ask = |text: &str| {
                let asked = inside.ask_name_servers(text);
                asked.map_err(|source| SiteError::Files { source })
            };
            if *fault == Fault::FirstNameServerSilent {
                ask(&resolver_configuration_with_a_silent_server())?;
            }
            if *fault == Fault::NoNameServer {
                ask(NO_RESOLVER_CONFIGURATION)?;
            }
            if let Fault::Lost { name } = fault {
                let lost = names.get(name).map_or(&[][..], |both| both);
                network::lose(inside, lost)?;
            }
        }
        let (world, public) = World::new(services, faults, names, tls_ports)?;
        let folder = PathBuf::from(FOLDER);
        world.write(&folder)?;
        let world = Arc::new(world);
        let threads = servers::start(&world, public)?;
        Ok(Self {
            folder,
            proxy: world.has_proxy(),
            _threads: threads,
        })
    }

    /// A folder for what the device needs. Nobody outside sees it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate of the authority that all servers of the internet have theirs from, in
    /// PEM: it stands for the public ones.
    pub fn public_authority(&self) -> PathBuf {
        self.folder.join(PUBLIC)
    }

    /// What the device's own store has beside it, in PEM: the company's authority where it is
    /// trusted, otherwise nothing.
    pub fn store(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    /// A command in the device's place: its network, its name server, its trust.
    pub fn run(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--net=/run/netns/device")
            .arg("--")
            .arg(program);
        let all = self.folder.join(ALL);
        for variable in [
            "SSL_CERT_FILE",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
        ] {
            command.env(variable, &all);
        }
        // The host's proxies are not the site's.
        for variable in PROXIES {
            command.env_remove(variable);
            command.env_remove(variable.to_ascii_uppercase());
        }
        command.env("OUTGATE_LAB_CA", self.public_authority());
        if self.proxy {
            let proxy = format!("http://{}:{PROXY_PORT}", SERVICES[0]);
            command.env("OUTGATE_LAB_PROXY", proxy);
        }
        command
    }
}

/// Where programs look for proxies, in lower and in upper case.
pub(crate) const PROXIES: [&str; 5] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "outgate_proxy",
];

/// The authority of the internet.
const PUBLIC: &str = "public-ca.pem";
/// The device's store beside it.
const STORE: &str = "store.pem";
/// Both.
const ALL: &str = "all.pem";

/// Everything that the servers need to know.
struct World {
    services: Vec<Service>,
    faults: Vec<Fault>,
    names: Names,
    tls_ports: BTreeSet<u16>,
    public_pem: String,
    /// The authority of TLS inspection, and whether the device trusts it.
    company: Option<(Arc<Authority>, bool)>,
    /// How far the world's clock is ahead of the device's.
    ahead: time::Duration,
}

impl World {
    /// The world, and the authority that its servers have their certificates from.
    fn new(
        services: &[Service],
        faults: &[Fault],
        names: Names,
        tls_ports: BTreeSet<u16>,
    ) -> Result<(Self, Authority), SiteError> {
        let mut ahead = time::Duration::ZERO;
        let mut inspection = None;
        for fault in faults {
            if let Fault::ClockBehind { seconds } = fault {
                ahead = time::Duration::seconds(*seconds);
            }
            if let Fault::TlsInspection { maker, trusted, .. } = fault {
                inspection = Some((maker, *trusted));
            }
        }
        let now = SystemTime::now() + ahead;
        let authority = |name: &str| {
            Authority::named(name, now).map_err(|source| SiteError::Serve {
                source: source.into(),
            })
        };
        let company = match inspection {
            Some((maker, trusted)) => Some((Arc::new(authority(maker)?), trusted)),
            None => None,
        };
        let public = authority("Lab Public CA")?;
        let world = Self {
            services: services.to_vec(),
            faults: faults.to_vec(),
            names,
            tls_ports,
            public_pem: public.pem(),
            company,
            ahead,
        };
        Ok((world, public))
    }

    fn has_proxy(&self) -> bool {
        let proxy = |fault: &Fault| matches!(fault, Fault::ProxyNeeded { .. });
        self.faults.iter().any(proxy)
    }

    fn write(&self, folder: &Path) -> Result<(), SiteError> {
        let company = match &self.company {
            Some((authority, true)) => authority.pem(),
            Some((_, false)) | None => String::new(),
        };
        let write = || -> io::Result<()> {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(PUBLIC), &self.public_pem)?;
            std::fs::write(folder.join(STORE), &company)?;
            std::fs::write(folder.join(ALL), format!("{}{company}", self.public_pem))
        };
        write().map_err(|source| SiteError::Files { source })
    }
}

/// Where each name is: near ones at the neighbour, all others at an address of their own. A server
/// of STUN has two.
fn names(services: &[Service]) -> Result<Names, SiteError> {
    let mut names = Names::new();
    let mut distinct = BTreeSet::new();
    for service in services {
        if service.near {
            names.insert(service.name.clone(), NEIGHBOUR);
            continue;
        }
        distinct.insert(service.name.clone());
        if service.speaks == Speaks::Stun {
            distinct.insert(other_of(&service.name));
        }
    }
    if distinct.len() > MAX_NAMES {
        return Err(SiteError::TooManyNames);
    }
    for (at, name) in distinct.into_iter().enumerate() {
        names.entry(name).or_insert_with(|| server(at));
    }
    Ok(names)
}

/// The name of a server's other address.
fn other_of(name: &str) -> String {
    format!("other.{name}")
}

/// The ports on which TLS is inspected where it is: that of HTTPS alone, as gateways do.
fn tls_ports(services: &[Service]) -> BTreeSet<u16> {
    let tls = services.iter().filter(|one| {
        one.port == HTTPS
            && matches!(
                one.speaks,
                Speaks::Https | Speaks::MutualHttps | Speaks::Streams | Speaks::MqttWss
            )
    });
    tls.map(|one| one.port).collect()
}

/// The port of `https` URIs (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// How long a thread of servers may take to get them all up.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A site cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A program cannot be started.
    #[error("failed to start {program}")]
    Start {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed: {told}")]
    Program {
        /// Which, with its arguments.
        program: String,
        /// What it said.
        told: String,
    },
    /// A setting of the kernel stays as it is.
    #[error("failed to set net/{key}")]
    Setting {
        /// Which.
        key: String,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot get into a namespace.
    #[error("failed to enter a namespace of the lab")]
    Join {
        /// Why.
        source: io::Error,
    },
    /// A thread ended early.
    #[error("a thread of the lab ended early")]
    Thread,
    /// A server cannot start.
    #[error("failed to start a server of the lab")]
    Serve {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device's files cannot be written.
    #[error("failed to write the device's files")]
    Files {
        /// Why.
        source: io::Error,
    },
    /// A town that cannot be.
    #[error("a town has at most 100 sites with 100 hosts, with names of eight letters and digits")]
    NoSuchTown,
    /// More names than there are addresses.
    #[error("the product leads to more than {MAX_NAMES} names")]
    TooManyNames,
}
