//! The one way into the hub: listeners, TLS, and who speaks what.
//!
//! A [`Door`] accepts connections on its listeners, does what comes before any protocol, and
//! hands each to the hub as an [`Arrival`]. What comes before is a row of phases, each with a
//! bound and a time-out ([`Limits`]): the PROXY protocol's header where a trusted proxy stands in
//! front, the TLS handshake, and the first bytes where ALPN (RFC 7301) has not said what is
//! spoken. [`Keeper`] sees to it that the door always has a certificate: from files, from a
//! private authority made on the spot, or from one that speaks ACME (RFC 8555).

use std::future::Future;
use std::net::SocketAddr;

mod bind;
mod certificates;
mod client_certificates;
mod connection;
mod door;
mod farewell;
mod happening;
mod hello;
mod opening;
mod proxy;
mod seats;
mod settings;
mod sniff;
pub mod systemd;
mod tap;
mod tls;
mod turns;
mod whoami;

pub use certificates::{
    AcmeSettings, CertificateError, Keeper, Now, PemError, Source, machine_names,
};
pub use connection::{Connection, Facts, Protocol, TlsFacts};
pub use door::{Door, OpenError};
pub use happening::{Happening, Hook, Phase, Refused};
pub use hello::offers_extended_master_secret;
pub use settings::{At, Carries, ClientCertificates, Limits, Listener, Security, Settings};
pub use sniff::{Sniffed, sniff};
pub use tls::{Challenges, Tls};
pub use whoami::{Whoami, WhoamiTls};

/// What came in.
#[derive(Debug)]
pub struct Arrival {
    /// What it speaks, by ALPN or first bytes.
    pub protocol: Protocol,
    /// Whom it is with, and its bytes, the first ones included.
    pub connection: Connection,
}

/// Who takes what comes in.
pub trait Reception: Clone + Send + Sync + 'static {
    /// Serves one connection to its end. Called on a task of its own.
    fn receive(&self, arrival: Arrival) -> impl Future<Output = ()> + Send;
}

/// Where a listener ended up, for the line that is printed.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The address and the port it got.
    pub address: SocketAddr,
    /// What is spoken there, as `TLS: HTTPS, WebSocket, MQTT`.
    pub carries: String,
}
