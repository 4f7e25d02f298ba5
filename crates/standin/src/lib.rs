//! Stand-in servers: the far ends of a product's flows, played on this machine.
//!
//! `outgate demo` and the tests check a manifest against them. They speak their protocols as the
//! real servers would, with real TLS under a certificate authority made on the spot, and each can
//! be told to go wrong in the ways that real networks do. They answer for names that belong to
//! others, so they listen on loopback and in private network namespaces only: [`Place`] has no
//! other addresses.
//!
//! A [`Stage`] holds the servers that run together:
//!
//! | started by | speaks | goes wrong as |
//! |---|---|---|
//! | [`Stage::https`] | TLS 1.2 and 1.3, HTTP/1.1, WebSocket echo, SignalR | [`TlsFault`] |
//! | [`Stage::https_mutual`] | the same, client certificate required | |
//! | [`Stage::http`] | HTTP/1.1, WebSocket echo, SignalR | [`HttpFault`] |
//! | [`Stage::tcp`] | TCP echo | [`TcpFault`] |
//! | [`Stage::ntp`] | NTP, with a clock as wrong as wanted | [`NtpFault`] |
//! | [`Stage::dns`] | DNS over UDP and TCP | [`DnsFault`] |
//! | [`Stage::proxy`] | HTTP CONNECT and absolute requests, as customers' proxies do | [`ProxyRules`] |
//! | [`Stage::inspector`] | TLS to both sides, with certificates of its own: TLS inspection | |
//! | [`Stage::responder`], [`Stage::neighbour`] | mDNS and LLMNR, to one asker or in a group | |
//! | [`Stage::ssh`], [`Stage::ldap`], [`Stage::ldaps`], [`Stage::xmpp`] | the first words | |
//! | [`Stage::dhcp`] | DHCP: settings, and offers of an address that nobody gets | |
//! | [`Stage::mqtt`], [`Stage::mqtts`], [`Stage::mqtt_wss`] | MQTT, and nobody has a login | |
//! | [`Stage::streams`] | Server-Sent Events and long polling | [`StreamFault`] |
//! | [`Stage::xmpp_in_the_clear`] | XMPP | it offers no TLS |
//! | [`Stage::stun`], [`Stage::stun_at_two`] | STUN over UDP, with one address or two | |
//! | [`Stage::rtp`] | RTP: a reflector on one port | |
//! | [`Stage::sip`] | SIP over UDP and TCP: an echo | |
//! | [`Stage::sips`] | the same over TLS | |
//!
//! No server takes more than its share: connections, handshakes, heads, messages and silences all
//! have limits, named where they are used.

mod authority;
mod clock;
mod dhcp;
mod dns;
mod events;
mod http;
mod inspector;
mod listen;
mod mqtt;
mod multicast;
mod ntp;
mod place;
mod proxy;
mod rtp;
mod signalr;
mod sip;
mod stage;
mod stun;
mod talk;
mod tcp;
mod tls;
mod websocket;

pub use ::http::StatusCode;
pub use authority::{Authority, AuthorityError, Identity, Validity};
pub use clock::{Clock, SystemClock};
pub use dns::{Answers, BadName, DnsFault};
pub use events::StreamFault;
pub use http::HttpFault;
pub use inspector::Inspection;
pub use ntp::NtpFault;
pub use outgate_wire::dhcp::Settings as DhcpSettings;
pub use place::{NotLoopback, NotPrivate, Place};
pub use proxy::{Directory, ProxyRules};
pub use stage::{Stage, StageError};
pub use tcp::TcpFault;
pub use tls::{TlsError, TlsFault};
pub use websocket::MAX_MESSAGE;
