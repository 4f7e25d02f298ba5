//! What stands on the internet: a server for every name and port that a product's lanes lead to.

use std::collections::{BTreeMap, BTreeSet};

use outgate_manifest::{Lane, Target};
use outgate_standin::{HttpFault, StatusCode, TcpFault, TlsFault};

use crate::fault::Serving;

/// A server of the internet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// What it speaks.
    pub speaks: Speaks,
}

/// What a server of the lab can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaks {
    /// TLS, HTTP and WebSocket; a client's certificate is demanded.
    MutualHttps,
    /// TLS, HTTP, WebSocket and SignalR.
    Https,
    /// HTTP and WebSocket.
    Http,
    /// NTP.
    Ntp,
    /// STUN over UDP.
    Stun,
    /// It sends back what it gets over TCP.
    Echo,
}

/// The servers that lanes lead to, one a name and port. `samples` are names for wildcards and
/// whatever else has none of its own, by destination. What no server of the lab speaks is left out.
pub fn services(lanes: &[Lane], samples: &BTreeMap<String, String>) -> Vec<Service> {
    let mut found: BTreeMap<(String, u16), Speaks> = BTreeMap::new();
    for lane in lanes {
        let (Some(speaks), Some(ports)) = (speaks(lane), lane.ports) else {
            continue;
        };
        let ends = BTreeSet::from([ports.low(), ports.high()]);
        for name in hosts(lane, samples) {
            for port in &ends {
                let known = found.entry((name.clone(), *port)).or_insert(speaks);
                *known = speaks.min(*known);
            }
        }
    }
    let service = |((name, port), speaks)| Service { name, port, speaks };
    found.into_iter().map(service).collect()
}

fn hosts(lane: &Lane, samples: &BTreeMap<String, String>) -> Vec<String> {
    if let Some(given) = samples.get(&lane.to.value()) {
        return vec![given.clone()];
    }
    match &lane.to {
        Target::Name(name) => vec![name.to_string()],
        Target::Wildcard(_) => lane.sample.iter().map(ToString::to_string).collect(),
        Target::Address(_)
        | Target::Network(_)
        | Target::Party(_)
        | Target::Dhcp(_)
        | Target::Multicast(_)
        | Target::ServiceTag(_) => Vec::new(),
    }
}

fn speaks(lane: &Lane) -> Option<Speaks> {
    let mutual = lane.tls.as_ref().is_some_and(|tls| tls.mutual);
    match lane.protocol.as_str() {
        "https" | "tls" if mutual => Some(Speaks::MutualHttps),
        "https" | "tls" | "wss" | "long-polling" | "signalr" => Some(Speaks::Https),
        "http" | "ws" => Some(Speaks::Http),
        "ntp" => Some(Speaks::Ntp),
        "stun" if lane.transport == outgate_manifest::Transport::Udp => Some(Speaks::Stun),
        "unspecified" | "teamviewer" if lane.transport == outgate_manifest::Transport::Tcp => {
            Some(Speaks::Echo)
        }
        _ => None,
    }
}

/// A server's fault in the words of each kind of stand-in; `None` where it does not listen.
pub(crate) fn tls_fault(serving: Option<Serving>) -> Option<TlsFault> {
    let http = |fault| Some(TlsFault::Http(fault));
    match serving {
        None => Some(TlsFault::None),
        Some(Serving::Closed) => None,
        Some(Serving::Silent) => Some(TlsFault::Silent),
        Some(Serving::HangsUp) => Some(TlsFault::CloseAtOnce),
        Some(Serving::Expired) => Some(TlsFault::Expired),
        Some(Serving::NotYetValid) => Some(TlsFault::NotYetValid),
        Some(Serving::WrongName) => Some(TlsFault::WrongName),
        Some(Serving::OtherAuthority) => Some(TlsFault::OtherAuthority),
        Some(Serving::LeafOnly) => Some(TlsFault::LeafOnly),
        Some(Serving::OldTls) => Some(TlsFault::OldVersions),
        Some(Serving::SilentHttp) => http(HttpFault::Silent),
        Some(Serving::Unavailable) => http(HttpFault::Status(StatusCode::SERVICE_UNAVAILABLE)),
        Some(Serving::Broken) => http(HttpFault::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        Some(Serving::NotFound) => http(HttpFault::Status(StatusCode::NOT_FOUND)),
        Some(Serving::WebSocketStripped) => http(HttpFault::WebSocketStripped),
        Some(Serving::WebSocketDropped) => http(HttpFault::WebSocketDropped),
    }
}

/// The same without TLS. What only TLS can do wrong is left undone.
pub(crate) fn http_fault(serving: Option<Serving>) -> Option<HttpFault> {
    match tls_fault(serving)? {
        TlsFault::Http(fault) => Some(fault),
        TlsFault::Silent => Some(HttpFault::Silent),
        TlsFault::CloseAtOnce => Some(HttpFault::CloseAtOnce),
        TlsFault::None
        | TlsFault::OtherAuthority
        | TlsFault::Expired
        | TlsFault::NotYetValid
        | TlsFault::WrongName
        | TlsFault::LeafOnly
        | TlsFault::OldVersions => Some(HttpFault::None),
    }
}

/// The same for a bare echo.
pub(crate) fn tcp_fault(serving: Option<Serving>) -> Option<TcpFault> {
    Some(match http_fault(serving)? {
        HttpFault::Silent => TcpFault::Silent,
        HttpFault::CloseAtOnce => TcpFault::CloseAtOnce,
        HttpFault::None
        | HttpFault::Status(_)
        | HttpFault::WebSocketDropped
        | HttpFault::WebSocketStripped
        | HttpFault::Portal => TcpFault::None,
    })
}
