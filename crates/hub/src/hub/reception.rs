//! Who takes what comes in at the door.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use outgate_door::{Arrival, Protocol, Reception};
use tokio::sync::watch;

use crate::dialects::mqtt::Mqtt;
use crate::metrics::{Live, Metrics};

/// Hands each connection to what speaks its protocol.
#[derive(Clone, Debug)]
pub(super) struct Receptionist {
    pub(super) router: Router,
    pub(super) mqtt: Mqtt,
    pub(super) draining: watch::Receiver<bool>,
    pub(super) metrics: Metrics,
    /// Where the listeners are.
    pub(super) listening: Arc<[SocketAddr]>,
}

impl Reception for Receptionist {
    async fn receive(&self, arrival: Arrival) {
        let _live = self.count(&arrival);
        match arrival.protocol {
            Protocol::Http1 | Protocol::Http2 => {
                let (router, draining) = (self.router.clone(), self.draining.clone());
                crate::http::serve(arrival.connection, router, draining).await;
            }
            Protocol::Mqtt => {
                let facts = arrival.connection.facts().clone();
                self.mqtt.serve(arrival.connection, &facts).await;
            }
        }
    }
}

impl Receptionist {
    fn count(&self, arrival: &Arrival) -> Live {
        let protocol = match arrival.protocol {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
            Protocol::Mqtt => "mqtt",
        };
        let local = arrival.connection.facts().local;
        let is_this = |listener: &&SocketAddr| {
            let (ip, its) = (listener.ip().to_canonical(), local.ip().to_canonical());
            listener.port() == local.port() && (ip.is_unspecified() || ip == its)
        };
        // With the PROXY protocol `local` is the proxy's, which is no listener of ours.
        let listener = self.listening.iter().find(is_this);
        let listener = listener.map_or_else(|| "proxied".to_owned(), SocketAddr::to_string);
        self.metrics.connection(&listener, protocol)
    }
}
