//! Proxy scripts on a path: where one is, and what it says of an ask.

use std::{
    fmt,
    net::{IpAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use outgate_pac::{Hop, HopKind, Script, World};
use tokio::{runtime::Handle, sync::OnceCell, task::spawn_blocking};

use super::{Path, Proxy};
use crate::{
    ask::{Ask, Host},
    dhcp::handed_out,
    evidence::{Family, Trouble},
    http::{Location, LocationHost, without_secrets},
    stream::fetch,
};

/// An address of nobody (RFC 5737), to which the routing table still names a way.
const SOMEBODY: &str = "192.0.2.1:9";

/// Most proxies of a script's answers that are remembered.
const NAMED_MAX: usize = 64;

/// A proxy script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyScript {
    /// The script itself.
    Here(Script),
    /// Where it is: an `http` or `https` URL, fetched directly and once.
    At(String),
    /// Where the site's DHCP server says (option 252). DHCP is asked for it, and the script fetched,
    /// only where somebody chose this.
    HandedOut,
}

impl ProxyScript {
    /// The host that it is fetched from, where that is known beforehand.
    pub(super) fn host(&self) -> Option<Host> {
        let Self::At(url) = self else { return None };
        match Location::read(url).host() {
            LocationHost::Named(name) => Some(match name.parse() {
                Ok(address) => Host::Address(address),
                Err(_) => Host::Name(name),
            }),
            LocationHost::Unchanged | LocationHost::Unreadable => None,
        }
    }
}

/// For the plan; without what may be a secret in the URL.
impl fmt::Display for ProxyScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("the proxy script"),
            Self::At(url) => {
                write!(f, "the proxy script at {}", without_secrets(url))
            }
            Self::HandedOut => f.write_str("the proxy script that DHCP names"),
        }
    }
}

/// The script of a path, once it has been fetched.
#[derive(Default)]
pub(super) struct Fetched {
    script: OnceCell<Result<Script, Trouble>>,
    /// The proxies that it has named, each once.
    named: Mutex<Vec<Proxy>>,
}

impl Fetched {
    /// What a script says of an ask: the proxies to try in turn, `None` for a direct way.
    pub(super) async fn hops(
        &self,
        place: &ProxyScript,
        ask: &Ask,
        path: &Path,
    ) -> Result<Vec<Option<Proxy>>, Trouble> {
        let script = self.script.get_or_init(|| get(place, path)).await;
        let script = script.clone()?;
        let (url, host) = (url(ask), ask.host.to_string());
        let world = Arc::new(Machine {
            path: path.clone(),
            handle: Handle::current(),
        });
        let run = spawn_blocking(move || script.find(&url, &host, world)).await;
        let broken = |what| Trouble::ProxyScript { what };
        let hops = match run {
            Ok(found) => found.map_err(|error| broken(error.to_string()))?,
            Err(error) => return Err(broken(error.to_string())),
        };
        let hops: Result<Vec<_>, _> = hops.iter().map(|hop| proxy(hop).map_err(broken)).collect();
        let hops = hops?;
        self.remember(hops.iter().flatten());
        Ok(hops)
    }

    /// The proxies that the script has named so far, at most [`NAMED_MAX`].
    pub(super) fn named(&self) -> Vec<Proxy> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.clone()
    }

    fn remember<'a>(&self, proxies: impl Iterator<Item = &'a Proxy>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        for proxy in proxies {
            if named.len() < NAMED_MAX && !named.contains(proxy) {
                named.push(proxy.clone());
            }
        }
    }
}

async fn get(place: &ProxyScript, path: &Path) -> Result<Script, Trouble> {
    let url = match place {
        ProxyScript::Here(script) => return Ok(script.clone()),
        ProxyScript::At(url) => url.clone(),
        ProxyScript::HandedOut => {
            let named = handed_out::proxy_script(path.handed_out(Family::V4).await);
            named.map_err(|what| Trouble::ProxyScript { what })?
        }
    };
    let broken = |what: String| Trouble::ProxyScript {
        what: format!("{}: {what}", without_secrets(&url)),
    };
    let text = fetch::text(path, &url, outgate_pac::SCRIPT_MAX).await;
    let text = text.map_err(broken)?;
    Script::new(&text).map_err(|error| broken(error.to_string()))
}

fn proxy(hop: &Hop) -> Result<Option<Proxy>, String> {
    let scheme = match hop.kind {
        HopKind::Direct => return Ok(None),
        HopKind::Http => "http",
        HopKind::Https => "https",
        HopKind::Socks5 => "socks5h",
    };
    let proxy = format!("{scheme}://{}", hop.place).parse::<Proxy>();
    proxy.map(Some).map_err(|error| error.to_string())
}

/// The URL that a script is asked about: without path and query, as browsers hide them.
fn url(ask: &Ask) -> String {
    let host = match &ask.host {
        Host::Address(IpAddr::V6(v6)) => format!("[{v6}]"),
        host @ (Host::Address(_)
        | Host::Name(_)
        | Host::SystemResolvers
        | Host::TimeServers
        | Host::Role(_)) => host.to_string(),
    };
    let scheme = match ask.protocol.as_str() {
        // What a product asks for is a URL like any other.
        "long-polling" | "server-sent-events" | "signalr" => "https",
        other => other,
    };
    let usual = match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => 0,
    };
    match ask.port {
        Some(port) if port != usual => format!("{scheme}://{host}:{port}/"),
        Some(_) | None => format!("{scheme}://{host}/"),
    }
}

/// What a script is told of this machine: names as the path resolves them.
struct Machine {
    path: Path,
    handle: Handle,
}

impl World for Machine {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let resolution = self.handle.block_on(self.path.resolve(name));
        let answers = [&resolution.ipv4, &resolution.ipv6];
        let records = answers.into_iter().flat_map(|answer| &answer.addresses);
        records.map(|record| record.address).collect()
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        let address = || {
            let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
            socket.connect(SOMEBODY).ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        address().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Transport;

    #[test]
    fn a_script_is_asked_about_the_url_that_a_product_would_ask_for() {
        let asked = |protocol: &str, port| {
            let host = Host::Name("a.example".to_owned());
            url(&Ask::new(protocol, host, Some(port), Transport::Tcp))
        };
        for protocol in ["https", "long-polling", "server-sent-events", "signalr"] {
            assert_eq!(asked(protocol, 443), "https://a.example/");
            assert_eq!(asked(protocol, 8443), "https://a.example:8443/");
        }
        assert_eq!(asked("ssh", 22), "ssh://a.example:22/");
    }
}
