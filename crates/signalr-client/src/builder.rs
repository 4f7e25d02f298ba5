//! Building a client.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use outgate_signalr::ladder::{Memory, Rules};
use outgate_signalr::negotiate::{Token, Transport};
use outgate_signalr::{Protocol, retry::Policy};

use crate::client::Client;
use crate::connect::{Connect, Direct};
use crate::http::Way;
use crate::settings::{
    CONNECT_LIMIT, HANDLER_QUEUE_BYTES_MAX, HANDLER_QUEUE_MAX, ITEMS_BYTES_MAX, ITEMS_MAX,
    KEEP_ALIVE, MESSAGE_MAX, POLL_LIMIT, REQUEST_LIMIT, SERVER_LIMIT, Settings,
};
use crate::token::Source;
use crate::url::{BadUrl, HubUrl};

/// A client that is being built. What is not said is as with Microsoft's clients, but that no
/// transport may stall for long before the next is tried.
#[must_use = "it is no client before it is built"]
pub struct Builder(Settings);

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self(Settings {
            url: url.to_owned(),
            way: Way {
                connect: Arc::new(Direct::default()),
                headers: HeaderMap::new(),
                connect_limit: CONNECT_LIMIT,
                request_limit: REQUEST_LIMIT,
            },
            tokens: Source::Nowhere,
            protocol: Protocol::Json,
            rules: Rules::default(),
            memory: Memory::default(),
            retry: Policy::Never,
            retry_start: false,
            return_always: false,
            poll_limit: POLL_LIMIT,
            server_limit: SERVER_LIMIT,
            keep_alive: KEEP_ALIVE,
            message_max: MESSAGE_MAX,
            handler_queue_max: HANDLER_QUEUE_MAX,
            handler_queue_bytes_max: HANDLER_QUEUE_BYTES_MAX,
            items_max: ITEMS_MAX,
            items_bytes_max: ITEMS_BYTES_MAX,
        })
    }

    /// How connections are made; [`Direct`] unless said otherwise.
    pub fn connect(mut self, connect: impl Connect + 'static) -> Self {
        self.0.way.connect = Arc::new(connect);
        self
    }

    /// A header of every request. It takes the place of one that the client would set.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.way.headers.insert(name, value);
        self
    }

    /// A token that never changes.
    pub fn token(self, token: Token) -> Self {
        self.token_factory(move || std::future::ready(Ok::<_, std::io::Error>(token.clone())))
    }

    /// Where tokens come from: it is asked for one before each connection, and once more when one
    /// is refused (401).
    pub fn token_factory<F, Fut, E>(mut self, factory: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Token, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let factory = move || factory().map(|token| token.map_err(Into::into)).boxed();
        self.0.tokens = Source::Factory(Arc::new(factory));
        self
    }

    /// What messages are written in; JSON unless said otherwise.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.0.rules.binary = protocol == Protocol::MessagePack;
        self.0.protocol = protocol;
        self
    }

    /// The transports that may be used; all unless said otherwise. They are tried in the server's
    /// order.
    pub fn transports(mut self, transports: &[Transport]) -> Self {
        self.0.rules.transports = transports.to_vec();
        self
    }

    /// As [`Builder::transports`], and tried in this order.
    pub fn transports_in_order(mut self, transports: &[Transport]) -> Self {
        self.0.rules.in_this_order = true;
        self.transports(transports)
    }

    /// Opens a WebSocket at once, without negotiation. Then there is no other transport.
    pub fn skip_negotiation(mut self) -> Self {
        self.0.rules.negotiate = false;
        self
    }

    /// Asks for a connection that outlives its WebSocket: after a cut both ends go on where they
    /// were, and calls under way are not lost. A server may say no.
    pub fn stateful(mut self, stateful: bool) -> Self {
        self.0.rules.stateful = stateful;
        self
    }

    /// What is known of the transports here from an earlier run: [`Client::memory`].
    pub fn memory(mut self, memory: Memory) -> Self {
        self.0.memory = memory;
        self
    }

    /// When it comes back after its connection has ended; never unless said otherwise.
    pub fn retry(mut self, policy: Policy) -> Self {
        self.0.retry = policy;
        self
    }

    /// Whether the first connection is tried again as well, by the same policy.
    pub fn retry_start(mut self, retry: bool) -> Self {
        self.0.retry_start = retry;
        self
    }

    /// Whether it comes back even when the hub has closed the connection for good.
    pub fn return_always(mut self, always: bool) -> Self {
        self.0.return_always = always;
        self
    }

    /// How long a transport that is not the last may take for everything up to the hub's answer:
    /// 5 s unless said otherwise, and longer where the way is slow.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.0.rules.patience = patience;
        self
    }

    /// How long the last transport may take for that: 15 s unless said otherwise.
    pub fn last_patience(mut self, patience: Duration) -> Self {
        self.0.rules.last_patience = patience;
        self
    }

    /// How long a connection may take to be made, with a proxy and TLS: 15 s unless said otherwise.
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.0.way.connect_limit = limit;
        self
    }

    /// How long a request may take that is not held on purpose: 100 s unless said otherwise.
    pub fn request_limit(mut self, limit: Duration) -> Self {
        self.0.way.request_limit = limit;
        self
    }

    /// How long a poll may be held: 100 s unless said otherwise. Servers hold it for 90 s.
    pub fn poll_limit(mut self, limit: Duration) -> Self {
        self.0.poll_limit = limit;
        self
    }

    /// How long the hub may be silent before the connection counts as lost: 30 s unless said
    /// otherwise, and at least twice the hub's own keep-alive.
    pub fn server_limit(mut self, limit: Duration) -> Self {
        self.0.server_limit = limit;
        self
    }

    /// How long the client is silent before it pings: 15 s unless said otherwise. A shorter one
    /// keeps connections alive through proxies that cut idle ones.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.0.keep_alive = keep_alive;
        self
    }

    /// Longest message that is taken, in bytes: 1 MiB unless said otherwise.
    pub fn message_max(mut self, bytes: usize) -> Self {
        self.0.message_max = bytes;
        self
    }

    /// How many calls may wait for one handler: 256 unless said otherwise. When one more comes the
    /// connection ends with [`Cause::SlowHandler`](crate::Cause::SlowHandler).
    pub fn handler_queue_max(mut self, calls: usize) -> Self {
        self.0.handler_queue_max = calls;
        self
    }

    /// How many bytes of calls may wait for one handler, as they came: 4 MiB unless said otherwise,
    /// and one call always.
    pub fn handler_queue_bytes_max(mut self, bytes: usize) -> Self {
        self.0.handler_queue_bytes_max = bytes;
        self
    }

    /// How many bytes of a stream's items may wait to be taken, as they came: 4 MiB unless said
    /// otherwise, and one item always. When one more comes the stream ends with
    /// [`CallError::Overflow`](crate::CallError::Overflow).
    pub fn items_bytes_max(mut self, bytes: usize) -> Self {
        self.0.items_bytes_max = bytes;
        self
    }

    /// How many items of a stream may wait to be taken: 1024 unless said otherwise. When one more
    /// comes the stream ends with [`CallError::Overflow`](crate::CallError::Overflow).
    pub fn items_max(mut self, items: usize) -> Self {
        self.0.items_max = items;
        self
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    /// The URL is none of a hub.
    pub fn build(self) -> Result<Client, BadUrl> {
        HubUrl::parse(&self.0.url)?;
        Ok(Client::new(self.0))
    }
}
