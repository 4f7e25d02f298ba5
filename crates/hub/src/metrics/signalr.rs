//! What is counted of SignalR. Hubs are configured, so that their names may be labels.

use outgate_signalr_server::{Disconnected, End, Transport};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Direction, Live, Metrics};

/// What is counted of SignalR.
#[derive(Debug, Default)]
pub(super) struct Counted {
    connections: Family<Carried, Gauge>,
    invocations: Family<Invoked, Counter>,
    closed: Family<Closed, Counter>,
    stalled: Family<Stalled, Counter>,
    upstream: Family<Told, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Carried {
    hub: String,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Invoked {
    hub: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Closed {
    hub: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stalled {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    hub: String,
    outcome: &'static str,
}

/// What became of a request to a back end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// An invocation was answered.
    Answered,
    /// An invocation was not answered, or with an error.
    Failed,
    /// It was told of a client that has come or gone.
    Told,
    /// It does not want to be told of that.
    Refused,
    /// It could not be told of that, or too much waited for it.
    Dropped,
}

impl Counted {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "signalr_connections",
            "SignalR connections that have made their handshake and are live",
            self.connections.clone(),
        );
        to.register(
            "signalr_invocations",
            "Methods called over SignalR, each once for each connection",
            self.invocations.clone(),
        );
        to.register(
            "signalr_closed",
            "SignalR connections that have ended, and why",
            self.closed.clone(),
        );
        to.register(
            "signalr_stalled",
            "Transports of SignalR that were opened and carried nothing",
            self.stalled.clone(),
        );
        to.register(
            "signalr_upstream",
            "Requests to the back ends of SignalR hubs by what came of them",
            self.upstream.clone(),
        );
    }
}

impl Metrics {
    /// A SignalR connection of a hub, for as long as what is returned is kept.
    pub(crate) fn signalr_connection(&self, hub: &str, transport: Option<Transport>) -> Live {
        let carried = Carried {
            hub: hub.to_owned(),
            transport: transport.map_or("none", Transport::as_str),
        };
        let connections = &self.0.signalr.connections;
        Live::new(connections.get_or_create_owned(&carried))
    }

    /// Methods called over SignalR.
    pub(crate) fn signalr_invoked(&self, hub: &str, direction: Direction, calls: usize) {
        let direction = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        let invoked = Invoked {
            hub: hub.to_owned(),
            direction,
        };
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        let invocations = &self.0.signalr.invocations;
        invocations.get_or_create(&invoked).inc_by(calls);
    }

    /// A SignalR connection has ended.
    pub(crate) fn signalr_closed(&self, hub: &str, why: &Disconnected) {
        let reason = match why {
            Disconnected::TransportLost => "lost",
            Disconnected::Ended(end) => match end {
                End::Client { .. } => "client",
                End::Silence => "silent",
                End::NoHandshake => "no-handshake",
                End::Refused(_) => "refused",
                End::Protocol(_) | End::Lost(_) => "protocol",
                End::Slow(_) => "slow",
                End::Server => "server",
            },
        };
        let hub = hub.to_owned();
        let closed = &self.0.signalr.closed;
        closed.get_or_create(&Closed { hub, reason }).inc();
    }

    /// A transport of SignalR was opened and carried nothing.
    pub(crate) fn signalr_stalled(&self, transport: Transport) {
        let transport = transport.as_str();
        let stalled = &self.0.signalr.stalled;
        stalled.get_or_create(&Stalled { transport }).inc();
    }

    /// What became of a request to the back end of a SignalR hub.
    pub(crate) fn signalr_upstream(&self, hub: &str, outcome: Asked) {
        let outcome = match outcome {
            Asked::Answered => "answered",
            Asked::Failed => "failed",
            Asked::Told => "told",
            Asked::Refused => "refused",
            Asked::Dropped => "dropped",
        };
        let hub = hub.to_owned();
        let upstream = &self.0.signalr.upstream;
        upstream.get_or_create(&Told { hub, outcome }).inc();
    }
}
