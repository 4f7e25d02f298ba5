//! Who takes what comes in at the door.

use axum::Router;
use outgate_door::{Arrival, Protocol, Reception};
use tokio::sync::watch;

/// Hands each connection to what speaks its protocol.
#[derive(Clone, Debug)]
pub(super) struct Receptionist {
    pub(super) router: Router,
    pub(super) draining: watch::Receiver<bool>,
}

impl Reception for Receptionist {
    async fn receive(&self, arrival: Arrival) {
        match arrival.protocol {
            Protocol::Http1 | Protocol::Http2 => {
                let (router, draining) = (self.router.clone(), self.draining.clone());
                crate::http::serve(arrival.connection, router, draining).await;
            }
            Protocol::Mqtt => drop(arrival),
        }
    }
}
