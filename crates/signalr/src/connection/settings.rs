//! What a server decides about its connections.

use std::time::Duration;

use super::SlowPeer;
use crate::handshake::Protocol;
use crate::{MESSAGE_MAX, replay};

/// Times and bounds of a connection. The defaults are ASP.NET Core's where it has them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Protocols that are spoken.
    pub protocols: Vec<Protocol>,
    /// How long a client may take for its handshake (`HandshakeTimeout`).
    pub handshake_timeout: Duration,
    /// After how much silence of the server's it says a ping (`KeepAliveInterval`).
    pub keep_alive: Duration,
    /// After how much silence of the client's the connection is given up
    /// (`ClientTimeoutInterval`): twice the client's own keep-alive.
    pub client_timeout: Duration,
    /// Longest message that is taken, in bytes (`MaximumReceiveMessageSize`).
    pub message_max: usize,
    /// Messages that may wait to be sent.
    pub waiting_max: usize,
    /// Their bytes.
    pub waiting_bytes_max: usize,
    /// What happens when more would wait.
    pub slow_peer: SlowPeer,
    /// Streams in either direction that a client may have at a time.
    pub streams_max: usize,
    /// Answers of a client that may be waited for at a time.
    pub answers_max: usize,
    /// Bytes that a stateful connection keeps for sending again (`StatefulReconnectBufferSize`).
    pub replay_max: usize,
    /// Whether a client is told what exactly was wrong (`EnableDetailedErrors`).
    pub detailed_errors: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::Json, Protocol::MessagePack],
            handshake_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(15),
            client_timeout: Duration::from_secs(30),
            message_max: MESSAGE_MAX,
            waiting_max: 1_000,
            waiting_bytes_max: 1024 * 1024,
            slow_peer: SlowPeer::Disconnect,
            streams_max: 100,
            answers_max: 100,
            replay_max: replay::BUFFER_MAX,
            detailed_errors: false,
        }
    }
}
