//! What a client is doing.

use outgate_signalr::negotiate::Transport;

use crate::error::Cause;

/// What a client is doing.
#[derive(Debug, Clone)]
pub enum State {
    /// Nothing yet.
    Idle,
    /// It makes its first connection.
    Connecting,
    /// The hub has answered the handshake.
    Connected {
        /// Over which transport.
        transport: Transport,
        /// What the hub calls the connection; nothing where nobody negotiated.
        connection_id: Option<String>,
    },
    /// There is no connection, and it comes back.
    Reconnecting {
        /// How often it has tried since a connection last held, with this one; from 1.
        attempt: u32,
        /// Why there is none.
        cause: Cause,
    },
    /// There is no connection, and it does not come back by itself.
    Closed {
        /// Why; nothing if it was stopped.
        cause: Option<Cause>,
    },
}

impl State {
    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Whether there is none and there will be none.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Idle | Self::Closed { .. })
    }
}
