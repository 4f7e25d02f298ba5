//! Who takes what comes in at the door.

use axum::Router;
use outgate_door::{Arrival, Protocol, Reception};
use tokio::sync::watch;

use crate::dialects::mqtt::Mqtt;

/// Hands each connection to what speaks its protocol.
#[derive(Clone, Debug)]
pub(super) struct Receptionist {
    pub(super) router: Router,
    pub(super) mqtt: Mqtt,
    pub(super) draining: watch::Receiver<bool>,
}

impl Reception for Receptionist {
    async fn receive(&self, arrival: Arrival) {
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
