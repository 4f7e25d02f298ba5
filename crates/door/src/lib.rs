//! The one way into the hub: listeners, TLS, and who speaks what.
//!
//! A [`Door`] accepts connections on its listeners, does what comes before any protocol (limits,
//! PROXY protocol, TLS, the first bytes), and hands each to the hub as an [`Arrival`].

use std::future::Future;
use std::net::SocketAddr;

mod connection;

pub use connection::{Connection, Facts, Protocol, TlsFacts};

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
