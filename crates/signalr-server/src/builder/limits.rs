//! Times and bounds. The defaults are ASP.NET Core's where it has them.

use std::time::Duration;

use super::Builder;

impl<S: Send + Sync + 'static> Builder<S> {
    /// How long a client may take for its handshake: 15 s (`HandshakeTimeout`).
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.link.handshake_timeout = timeout;
        self
    }

    /// After how much silence of the server's a client hears a ping: 15 s (`KeepAliveInterval`).
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.link.keep_alive = interval;
        self
    }

    /// After how much silence of its own a client is given up: 30 s (`ClientTimeoutInterval`).
    /// Clients say something every 15 s.
    #[must_use]
    pub fn client_timeout(mut self, timeout: Duration) -> Self {
        self.link.client_timeout = timeout;
        self
    }

    /// How long a connection is kept that has no transport: before its first, between two polls,
    /// and between two WebSockets of a stateful one: 15 s (`DisconnectTimeout`).
    #[must_use]
    pub fn disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.options.disconnect_timeout = timeout;
        self
    }

    /// How long a poll is held when there is nothing to say: 90 s (`PollTimeout`). Shorter where
    /// something on the way cuts quiet connections.
    #[must_use]
    pub fn poll_timeout(mut self, timeout: Duration) -> Self {
        self.options.poll_timeout = timeout;
        self
    }

    /// How long a message may take to be written to a WebSocket before its client is given up:
    /// 10 s (`TransportSendTimeout`).
    #[must_use]
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.options.send_timeout = timeout;
        self
    }

    /// How long is waited for a client to close its WebSocket too: 5 s (`CloseTimeout`).
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.close_timeout = timeout;
        self
    }

    /// Longest message that is taken from a client: 32 KiB (`MaximumReceiveMessageSize`).
    #[must_use]
    pub fn message_max(mut self, bytes: usize) -> Self {
        self.link.message_max = bytes;
        self
    }

    /// How many calls of one client run at a time: 1 (`MaximumParallelInvocationsPerClient`), so
    /// that they run in their order. Calls with streams do not count.
    #[must_use]
    pub fn parallel_calls(mut self, calls: usize) -> Self {
        self.options.parallel_calls = calls.max(1);
        self
    }

    /// How many calls of one client wait for others to end: 64. Then nothing more is read from it.
    #[must_use]
    pub fn calls_waiting_max(mut self, calls: usize) -> Self {
        self.options.calls_waiting_max = calls.max(1);
        self
    }

    /// How many items of a client's stream wait for the handler: 10 (`StreamBufferCapacity`).
    #[must_use]
    pub fn stream_buffer(mut self, items: usize) -> Self {
        self.options.stream_buffer = items.max(1);
        self
    }

    /// How many streams a client may have at a time, in each direction: 100.
    #[must_use]
    pub fn streams_max(mut self, streams: usize) -> Self {
        self.link.streams_max = streams;
        self
    }

    /// How many answers of one client may be waited for at a time: 100.
    #[must_use]
    pub fn answers_max(mut self, answers: usize) -> Self {
        self.link.answers_max = answers;
        self
    }

    /// How many messages and bytes may wait for a client: 1,000 and 1 MiB. What happens then is
    /// said by [`Builder::slow_peer`].
    #[must_use]
    pub fn waiting_max(mut self, messages: usize, bytes: usize) -> Self {
        self.link.waiting_max = messages;
        self.link.waiting_bytes_max = bytes;
        self
    }

    /// Bytes that a stateful connection keeps until the client has said that they have come:
    /// 100,000 (`StatefulReconnectBufferSize`).
    #[must_use]
    pub fn replay_max(mut self, bytes: usize) -> Self {
        self.link.replay_max = bytes;
        self
    }

    /// How many connections there may be: 100,000. More are answered with 503.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.options.connections_max = connections;
        self
    }

    /// How many of them may have been negotiated without a transport: 10,000.
    #[must_use]
    pub fn unconnected_max(mut self, connections: usize) -> Self {
        self.options.unconnected_max = connections;
        self
    }

    /// How many groups a connection may be in: 1,000.
    #[must_use]
    pub fn groups_max(mut self, groups: usize) -> Self {
        self.options.groups_max = groups;
        self
    }
}
