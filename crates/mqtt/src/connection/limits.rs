//! What a connection may take.

use std::time::Duration;

/// What a connection may take of the server. Made once, and shared by all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest CONNECT, in bytes. Anybody can send one.
    pub connect_size: usize,
    /// How long the client may take from the first byte to the end of its login.
    pub connect_time: Duration,
    /// The largest packet after that, in bytes.
    pub packet_size: u32,
    /// How many messages of QoS 1 and 2 are taken at once (receive maximum); at least 1. A client
    /// of 3.1.1 cannot be told; of it no more is read until some are acknowledged.
    pub incoming: u16,
    /// How many messages of QoS 1 and 2 are sent at once, unless the client wants fewer; at least 1.
    pub outgoing: u16,
    /// The highest topic alias that the client may use.
    pub incoming_aliases: u16,
    /// The highest topic alias that is used towards the client, unless it wants fewer.
    pub outgoing_aliases: u16,
    /// How many bytes wait to be written before nothing more is added: messages of QoS 0 are then
    /// dropped, others stay in the session. One message may go beyond.
    pub output: usize,
    /// The longest keep-alive time in seconds; longer ones and none are replaced by it for
    /// clients of 5.0, which can be told. 0: any is accepted.
    pub keep_alive: u16,
}

impl Default for Limits {
    /// 64 KiB and 10 s to log in, packets of 1 MiB, 64 messages at once each way, 16 aliases each
    /// way, 256 KiB of output, keep-alive of at most 20 minutes.
    fn default() -> Self {
        Self {
            connect_size: 64 << 10,
            connect_time: Duration::from_secs(10),
            packet_size: 1 << 20,
            incoming: 64,
            outgoing: 64,
            incoming_aliases: 16,
            outgoing_aliases: 16,
            output: 256 << 10,
            keep_alive: 1200,
        }
    }
}
