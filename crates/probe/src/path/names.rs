//! Resolving names: each once for each family, however many lanes want it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join;
use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ServerOrderingStrategy,
    },
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout},
};

use super::{ResolverChoice, Source, silence};
use crate::{
    dns::rcode_name,
    evidence::{AddressRecord, Alias, FamilyAnswer, Resolution, Trouble},
};

/// Most names remembered; further ones are asked for each time.
const KNOWN_MAX: usize = 4096;
/// Most addresses kept of one answer.
const ADDRESSES_MAX: usize = 32;
/// Most steps of a CNAME chain that are kept.
const ALIASES_MAX: usize = 16;
/// Most resolvers that are used, as in the C library.
const RESOLVERS_MAX: usize = 3;
/// How long one round of asking the resolvers, one after the other, may take at most.
const ROUND_TIMEOUT: Duration = Duration::from_secs(3);
/// How many more rounds there are at most when one brings no answer.
const FURTHER_ROUNDS: usize = 2;

/// A resolver and what it said.
pub(super) struct Names {
    state: Result<Ready, Trouble>,
    limit: Duration,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

struct Ready {
    resolver: TokioResolver,
    servers: Vec<SocketAddr>,
    why_silent: OnceCell<Trouble>,
}

impl Ready {
    /// Found out once; not kept when this machine could not find out.
    async fn silence(&self) -> Trouble {
        let reason = || async { silence::reason(&self.servers).await.ok_or(()) };
        match self.why_silent.get_or_try_init(reason).await {
            Ok(trouble) => trouble.clone(),
            Err(()) => Trouble::ResolverSilent,
        }
    }
}

#[derive(Default)]
struct Known {
    ipv4: OnceCell<FamilyAnswer>,
    ipv6: OnceCell<FamilyAnswer>,
}

impl Names {
    /// Reads the configuration. A machine without a resolver is not an error before a name is
    /// wanted.
    pub(super) fn new(choice: ResolverChoice, source: &Source, limit: Duration) -> Self {
        let state = ready(choice, source).map_err(|error| Trouble::Local {
            what: format!("no usable resolver configuration: {error}"),
        });
        Self {
            state,
            limit,
            known: Mutex::default(),
        }
    }

    /// The configured resolvers in order.
    pub(super) fn servers(&self) -> Result<&[SocketAddr], Trouble> {
        self.state
            .as_ref()
            .map(|ready| ready.servers.as_slice())
            .map_err(Clone::clone)
    }

    /// Both families at once, from memory if any lane asked before.
    pub(super) async fn resolve(&self, name: &str) -> Resolution {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let known = self.known(&name);
        let (ipv4, ipv6) = join(
            known.ipv4.get_or_init(|| self.ask(&name, RecordType::A)),
            known.ipv6.get_or_init(|| self.ask(&name, RecordType::AAAA)),
        )
        .await;
        Resolution {
            ipv4: ipv4.clone(),
            ipv6: ipv6.clone(),
            resolvers: self.servers().unwrap_or_default().to_vec(),
            name,
        }
    }

    fn known(&self, name: &str) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(name) {
            return found.clone();
        }
        let fresh = Arc::new(Known::default());
        if known.len() < KNOWN_MAX {
            known.insert(name.to_owned(), fresh.clone());
        }
        fresh
    }

    async fn ask(&self, name: &str, record_type: RecordType) -> FamilyAnswer {
        let start = Instant::now();
        let mut answer = FamilyAnswer {
            addresses: Vec::new(),
            aliases: Vec::new(),
            trouble: None,
            took: Duration::ZERO,
        };
        match self.lookup(name, record_type).await {
            Ok(records) => read(&records, record_type, &mut answer),
            Err(trouble) => answer.trouble = Some(trouble),
        }
        answer.took = start.elapsed();
        answer
    }

    async fn lookup(&self, name: &str, record_type: RecordType) -> Result<Vec<Record>, Trouble> {
        let ready = self.state.as_ref().map_err(Clone::clone)?;
        let mut question = Name::from_utf8(name).map_err(|error| Trouble::BadAsk {
            what: format!("name {name}: {error}"),
        })?;
        // A name with a dot is meant as it stands: no search domain is tried.
        question.set_fqdn(name.contains('.'));
        match timeout(self.limit, ready.resolver.lookup(question, record_type)).await {
            Ok(Ok(lookup)) => Ok(lookup.answers().to_vec()),
            Ok(Err(error)) => match trouble_of(&error) {
                Some(trouble) => Err(trouble),
                None => Err(ready.silence().await),
            },
            Err(_) => Err(ready.silence().await),
        }
    }
}

fn ready(choice: ResolverChoice, source: &Source) -> Result<Ready, NetError> {
    let mut builder = match choice {
        ResolverChoice::System => {
            let (config, options) = hickory_resolver::system_conf::read_system_conf()?;
            let config = set_out_from(config, source);
            let provider = TokioRuntimeProvider::default();
            TokioResolver::builder_with_config(config, provider).with_options(options)
        }
        ResolverChoice::At(address) => {
            let provider = TokioRuntimeProvider::default();
            let config = set_out_from(fixed(address), source);
            TokioResolver::builder_with_config(config, provider)
        }
    };
    let options = builder.options_mut();
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.timeout = options.timeout.min(ROUND_TIMEOUT);
    options.attempts = options.attempts.min(FURTHER_ROUNDS);
    options.preserve_intermediates = true;
    if let ResolverChoice::At(_) = choice {
        options.use_hosts_file = ResolveHosts::Never;
    }
    let servers = match choice {
        ResolverChoice::At(address) => vec![address],
        ResolverChoice::System => system_servers()?,
    };
    Ok(Ready {
        resolver: builder.build()?,
        servers,
        why_silent: OnceCell::new(),
    })
}

/// Resolvers are asked from an address of their family.
fn set_out_from(config: ResolverConfig, source: &Source) -> ResolverConfig {
    let Source::Address(address) = source else {
        return config;
    };
    let servers = config.name_servers().iter().cloned().map(|mut server| {
        if server.ip.is_ipv4() == address.is_ipv4() {
            for connection in &mut server.connections {
                connection.bind_addr = Some(SocketAddr::new(*address, 0));
            }
        }
        server
    });
    let servers = servers.collect();
    let search = config.search().to_vec();
    ResolverConfig::from_parts(config.domain().cloned(), search, servers)
}

fn system_servers() -> Result<Vec<SocketAddr>, NetError> {
    let (config, _) = hickory_resolver::system_conf::read_system_conf()?;
    let servers = config.name_servers().iter().filter_map(|server| {
        let connection = server.connections.first()?;
        Some(SocketAddr::new(server.ip, connection.port))
    });
    Ok(servers.take(RESOLVERS_MAX).collect())
}

fn fixed(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.into());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn read(records: &[Record], record_type: RecordType, answer: &mut FamilyAnswer) {
    for record in records {
        let address = match (&record.data, record_type) {
            (RData::A(a), RecordType::A) => a.0.into(),
            (RData::AAAA(aaaa), RecordType::AAAA) => aaaa.0.into(),
            (RData::CNAME(cname), _) => {
                if answer.aliases.len() < ALIASES_MAX {
                    answer.aliases.push(Alias {
                        name: record.name.to_string(),
                        target: cname.0.to_string(),
                        ttl_seconds: record.ttl,
                    });
                }
                continue;
            }
            _ => continue,
        };
        if answer.addresses.len() < ADDRESSES_MAX {
            answer.addresses.push(AddressRecord {
                address,
                ttl_seconds: record.ttl,
            });
        }
    }
    if answer.addresses.is_empty() {
        answer.trouble = Some(Trouble::NoAddress);
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the resolver's error list is open"
)]
fn trouble_of(error: &NetError) -> Option<Trouble> {
    Some(match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Trouble::NameNotFound,
            ResponseCode::NoError => Trouble::NoAddress,
            code => Trouble::ResolverRefused {
                rcode: rcode_name(code),
            },
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Trouble::ResolverRefused {
            rcode: rcode_name(*code),
        },
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => return None,
        other => Trouble::Malformed {
            what: other.to_string(),
        },
    })
}
