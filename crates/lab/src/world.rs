//! What stands on the internet and on the site: a server for every name and port that a product's
//! lanes lead to.

use std::collections::BTreeMap;

use outgate_manifest::{Direction, Lane, Target, Transport};
use outgate_standin::{HttpFault, StatusCode, StreamFault, TcpFault, TlsFault};

use crate::fault::Serving;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its port, or the first of them.
    pub port: u16,
    /// The last of its ports: the same one, unless it is [`Speaks::Rtp`].
    pub last_port: u16,
    /// What it speaks.
    pub speaks: Speaks,
    /// Whether it stands on the site's own network.
    pub near: bool,
}

/// What a server of the lab can speak. What comes first stands where lanes of both kinds lead to
/// one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaks {
    /// TLS, HTTP and WebSocket; a client's certificate is demanded.
    MutualHttps,
    /// Server-Sent Events and long polling over TLS.
    Streams,
    /// MQTT over WebSocket over TLS.
    MqttWss,
    /// TLS, HTTP, WebSocket and SignalR.
    Https,
    /// HTTP and WebSocket.
    Http,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT.
    Mqtt,
    /// SIP over TLS: an echo.
    Sips,
    /// SIP over UDP and TCP: an echo.
    Sip,
    /// LDAP over TLS.
    Ldaps,
    /// LDAP.
    Ldap,
    /// XMPP that changes to TLS.
    Xmpp,
    /// SSH.
    Ssh,
    /// DNS.
    Dns,
    /// NTP.
    Ntp,
    /// STUN over UDP, at two addresses and two ports.
    Stun,
    /// RTP that comes back, on a range of ports.
    Rtp,
    /// It sends back what it gets over TCP.
    Echo,
}

/// The servers that lanes lead to, one a name and port. `samples` are names for wildcards and
/// whatever else has none of its own, by destination. What no server of the lab speaks is left out.
pub fn services(lanes: &[Lane], samples: &BTreeMap<String, String>) -> Vec<Service> {
    let mut found: BTreeMap<(String, u16), Service> = BTreeMap::new();
    for lane in lanes {
        let (Some(speaks), Some(ports)) = (speaks(lane), lane.ports) else {
            continue;
        };
        let (low, high) = (ports.low(), ports.high());
        let whole = speaks == Speaks::Rtp;
        let first = if whole { vec![low] } else { vec![low, high] };
        for name in hosts(lane, samples) {
            for port in &first {
                let service = Service {
                    name: name.clone(),
                    port: *port,
                    last_port: if whole { high } else { *port },
                    speaks,
                    near: lane.direction == Direction::Lan,
                };
                let place = found.entry((name.clone(), *port));
                let known = place.or_insert_with(|| service.clone());
                if speaks < known.speaks {
                    *known = service;
                }
            }
        }
    }
    found.into_values().collect()
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
    let tcp = lane.transport == Transport::Tcp;
    Some(match lane.protocol.as_str() {
        "https" | "tls" if mutual => Speaks::MutualHttps,
        "https" | "tls" | "wss" | "long-polling" | "signalr" => Speaks::Https,
        "server-sent-events" => Speaks::Streams,
        "http" | "ws" => Speaks::Http,
        "mqtt-wss" => Speaks::MqttWss,
        "mqtts" => Speaks::Mqtts,
        "mqtt" => Speaks::Mqtt,
        "sips" => Speaks::Sips,
        "sip" => Speaks::Sip,
        "ldaps" => Speaks::Ldaps,
        "ldap" => Speaks::Ldap,
        "xmpp" => Speaks::Xmpp,
        "ssh" => Speaks::Ssh,
        "dns" => Speaks::Dns,
        "ntp" => Speaks::Ntp,
        "rtp" => Speaks::Rtp,
        "stun" if !tcp => Speaks::Stun,
        _ if lane.protocol.is_unspecified() || lane.protocol.is_vendors_own() => {
            return tcp.then_some(Speaks::Echo);
        }
        _ => return None,
    })
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
        Some(Serving::Forbidden) => http(HttpFault::Status(StatusCode::FORBIDDEN)),
        Some(Serving::Elsewhere) => http(HttpFault::Portal),
        Some(Serving::WebSocketStripped) => http(HttpFault::WebSocketStripped),
        Some(Serving::WebSocketDropped) => http(HttpFault::WebSocketDropped),
        Some(Serving::WebSocketCut) => http(HttpFault::WebSocketCut),
        Some(Serving::WrongPurpose) => Some(TlsFault::WrongPurpose),
        Some(Serving::OtherSite) => Some(TlsFault::OtherSite),
        // These are of servers of other kinds, or stand before the choice of one.
        Some(
            Serving::OtherProtocol | Serving::TlsStripped | Serving::Buffered | Serving::PollCut,
        ) => Some(TlsFault::None),
    }
}

/// The same for streams, which go wrong in these ways alone.
pub(crate) fn stream_fault(serving: Option<Serving>) -> StreamFault {
    match serving {
        Some(Serving::Buffered) => StreamFault::Buffered,
        Some(Serving::PollCut) => StreamFault::PollCut,
        Some(_) | None => StreamFault::None,
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
        | TlsFault::WrongPurpose
        | TlsFault::OtherSite
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
        | HttpFault::WebSocketCut
        | HttpFault::Portal => TcpFault::None,
    })
}
