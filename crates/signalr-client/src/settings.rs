//! What a client is told when it is built.

use std::time::Duration;

use outgate_signalr::ladder::{Memory, Rules};
use outgate_signalr::{Protocol, retry::Policy};

use crate::http::Way;
use crate::token::Source;

/// How long a connection may take to be made, with a proxy and TLS, unless the caller says
/// otherwise.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// How long a request may take: as Microsoft's clients.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(100);
/// How long a poll may be held: as Microsoft's clients. Servers hold it for 90 s.
pub const POLL_LIMIT: Duration = Duration::from_secs(100);
/// How long the hub may be silent: as Microsoft's clients. It pings every 15 s.
pub const SERVER_LIMIT: Duration = Duration::from_secs(30);
/// How long a client is silent before it pings: as Microsoft's clients.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest message of the hub that is taken, in bytes, unless the caller says otherwise.
pub const MESSAGE_MAX: usize = 1024 * 1024;
/// Calls and streams that may wait for an answer.
pub const PENDING_MAX: usize = 4096;
/// Records that wait to be sent; whoever sends one more waits.
pub const OUTGOING_MAX: usize = 64;
/// Bytes of the records that wait to be sent; whoever sends one more waits.
pub const OUTGOING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Answers that wait beside those records, which a hub that calls does not take.
pub const LATE_MAX: usize = 256;
/// Calls that may wait for one handler, unless the caller says otherwise.
pub const HANDLER_QUEUE_MAX: usize = 256;
/// Bytes of the calls that may wait for one handler, as they came, unless the caller says otherwise.
pub const HANDLER_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Calls with a result that are handled at a time; one more is answered with an error.
pub const ANSWERS_MAX: usize = 64;
/// Items of a stream that may wait to be taken, unless the caller says otherwise.
pub const ITEMS_MAX: usize = 1024;
/// Bytes of the items of a stream that may wait to be taken, as they came, unless the caller says
/// otherwise.
pub const ITEMS_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) way: Way,
    pub(crate) tokens: Source,
    pub(crate) protocol: Protocol,
    pub(crate) rules: Rules,
    pub(crate) memory: Memory,
    pub(crate) retry: Policy,
    /// Whether the first connection is tried again too.
    pub(crate) retry_start: bool,
    /// Whether it comes back even when the hub has closed the connection for good.
    pub(crate) return_always: bool,
    pub(crate) poll_limit: Duration,
    pub(crate) server_limit: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) message_max: usize,
    pub(crate) handler_queue_max: usize,
    pub(crate) handler_queue_bytes_max: usize,
    pub(crate) items_max: usize,
    pub(crate) items_bytes_max: usize,
}
