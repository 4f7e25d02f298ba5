//! Where the packets of a lane go: to its own addresses, or to a proxy's.

use std::net::IpAddr;

use futures_util::future::join;

use super::{no_address, route, route::Route};
use crate::{
    ask::{Ask, Host},
    dhcp::{handed_out, places},
    evidence::{Family, Resolution, Trouble},
    path::{Path, Proxy},
    probes::dhcp,
    run::Stop,
    stream::Through,
};

/// Addresses of one family that are tried, the second only if the first fails.
const TRIES_PER_FAMILY: usize = 2;
/// The port resolvers listen on (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// An address that is to be tried.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where the packets go.
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
    /// The proxy that is there, and where it leads.
    pub(crate) through: Option<Through>,
    /// Whether it means everybody on a network, each of which is found on its own; the routing table
    /// has nothing to say of it.
    pub(super) everybody: bool,
    /// The family that it counts for: that of the far end, where this machine resolves its name.
    family: Family,
}

/// Where the packets of a lane go.
pub(crate) struct Located {
    targets: Vec<Target>,
    pub(super) resolution: Option<Resolution>,
}

impl Located {
    pub(super) fn of(&self, family: Family) -> Vec<Target> {
        let of_family = self.targets.iter().filter(|target| target.family == family);
        of_family.take(TRIES_PER_FAMILY).cloned().collect()
    }

    /// Those of a family to which there is a route.
    pub(crate) fn reachable(&self, family: Family, path: &Path) -> Vec<Target> {
        let mut targets = self.of(family);
        targets.retain(|it| route::to(it.address, path.source()) == Route::Known);
        targets
    }

    /// Why there is none of either family.
    pub(crate) fn why_unreachable(&self) -> Trouble {
        match &self.resolution {
            Some(resolution) if resolution.addresses().next().is_none() => {
                let told = [&resolution.ipv4.trouble, &resolution.ipv6.trouble];
                let told = told.into_iter().flatten().next();
                told.cloned().unwrap_or(Trouble::NoAddress)
            }
            Some(_) | None => Trouble::NetworkUnreachable,
        }
    }
}

/// The lane's own addresses.
pub(super) async fn direct(ask: &Ask, path: &Path) -> Result<Located, Stop> {
    let (host, port) = path.detour(&ask.host, ask.port);
    let target = |address, port| Target {
        address,
        port,
        through: None,
        everybody: false,
        family: Family::of(address),
    };
    match host {
        // Nobody needs to know where a DHCP server is: everybody is asked (RFC 2131 §3.1).
        Host::Role(_) if ask.protocol == dhcp::PROTOCOL => {
            let everybody = |family| {
                let places = places(family);
                Target {
                    everybody: true,
                    ..target(places.everybody, Some(places.server))
                }
            };
            Ok(Located {
                targets: [Family::V4, Family::V6].map(everybody).to_vec(),
                resolution: None,
            })
        }
        Host::Address(address) => Ok(Located {
            targets: vec![target(address, port)],
            resolution: None,
        }),
        Host::SystemResolvers => {
            let servers = path.resolvers().map_err(Stop::not_run)?;
            let usual = port.is_none_or(|port| port == DNS_PORT);
            let targets = servers.iter().map(|server| {
                let port = if usual { Some(server.port()) } else { port };
                target(server.ip(), port)
            });
            Ok(Located {
                targets: targets.collect(),
                resolution: None,
            })
        }
        Host::TimeServers => Ok(Located {
            targets: time_servers(path)
                .await?
                .into_iter()
                .map(|address| target(address, port))
                .collect(),
            resolution: None,
        }),
        Host::Role(role) => Err(Stop::not_run(Trouble::AddressUnknown { role })),
        Host::Name(name) => {
            let resolution = path.resolve(&name).await;
            let addresses = addresses(&resolution).into_iter();
            Ok(Located {
                targets: addresses.map(|address| target(address, port)).collect(),
                resolution: Some(resolution),
            })
        }
    }
}

/// The addresses of the time servers that DHCP hands out.
async fn time_servers(path: &Path) -> Result<Vec<IpAddr>, Stop> {
    let both = join(path.handed_out(Family::V4), path.handed_out(Family::V6)).await;
    let found = handed_out::time_servers([both.0, both.1])?;
    let mut all = found.addresses;
    for name in &found.names {
        all.extend(addresses(&path.resolve(name).await));
    }
    if all.is_empty() {
        // Names alone were handed out, and none has an address.
        return Err(Trouble::NameNotFound.into());
    }
    Ok(all)
}

/// The addresses of a proxy, each with the far end as the proxy is told it: by name if it
/// resolves names, else by each of the addresses that this machine finds.
pub(super) async fn behind(ask: &Ask, path: &Path, proxy: &Proxy) -> Result<Located, Stop> {
    let (host, port) = path.detour(&ask.host, ask.port);
    if let Host::Role(role) = host {
        return Err(Stop::not_run(Trouble::AddressUnknown { role }));
    }
    let no_port = || Trouble::BadAsk {
        what: format!("{} without a port", ask.protocol),
    };
    let port = port.ok_or_else(no_port)?;
    let detoured = (&host, Some(port)) != (&ask.host, ask.port);
    let proxies = addresses_of(path, proxy).await?;
    let target = |address: IpAddr, host: Host, family| Target {
        address,
        port: Some(proxy.port()),
        through: Some(Through {
            proxy: proxy.clone(),
            host,
            port,
            detoured,
        }),
        everybody: false,
        family,
    };
    match host {
        Host::Name(name) if !proxy.kind().resolves() => {
            let resolution = path.resolve(&name).await;
            let proxy = nearest(&proxies, path);
            let far = addresses(&resolution).into_iter();
            let targets =
                far.filter_map(|far| Some(target(proxy?, Host::Address(far), Family::of(far))));
            Ok(Located {
                targets: targets.collect(),
                resolution: Some(resolution),
            })
        }
        host @ (Host::Name(_)
        | Host::Address(_)
        | Host::SystemResolvers
        | Host::TimeServers
        | Host::Role(_)) => Ok(Located {
            targets: proxies
                .iter()
                .map(|proxy| target(*proxy, host.clone(), Family::of(*proxy)))
                .collect(),
            resolution: None,
        }),
    }
}

/// Where a proxy is.
async fn addresses_of(path: &Path, proxy: &Proxy) -> Result<Vec<IpAddr>, Stop> {
    let name = match proxy.host() {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
        Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
            let what = format!("the proxy {proxy} is no host");
            return Err(Stop::not_run(Trouble::BadAsk { what }));
        }
    };
    let resolution = path.resolve(name).await;
    let found = addresses(&resolution);
    if found.is_empty() {
        let answers = [&resolution.ipv4, &resolution.ipv6];
        let worse = answers.into_iter().find_map(|answer| {
            let trouble = answer.trouble.clone()?;
            (!matches!(trouble, Trouble::NoAddress | Trouble::NameNotFound)).then_some(trouble)
        });
        return Err(Trouble::ProxyUnreachable {
            proxy: proxy.to_string(),
            why: Box::new(worse.unwrap_or_else(|| no_address(&resolution))),
        }
        .into());
    }
    Ok(found)
}

/// The first address to which there is a way, else the first.
fn nearest(addresses: &[IpAddr], path: &Path) -> Option<IpAddr> {
    let mut known = addresses.iter();
    let known = known.find(|address| route::to(**address, path.source()) == Route::Known);
    known.or(addresses.first()).copied()
}

fn addresses(resolution: &Resolution) -> Vec<IpAddr> {
    let answers = [&resolution.ipv4, &resolution.ipv6];
    let records = answers.into_iter().flat_map(|answer| &answer.addresses);
    records.map(|record| record.address).collect()
}
