//! What a program says about its hub.

mod limits;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::response::Response;
use futures_util::future::BoxFuture;
use http::request::Parts;
use outgate_signalr::Protocol;
use outgate_signalr::connection::{Settings, SlowPeer};
use outgate_signalr::negotiate::Transport;
use tokio::time::Instant;

use crate::handler::{self, Handler, Method, Reply, StreamMethod, StreamReply};
use crate::hub::{Inner, Methods, Ready, ReadyMethod, ReadyStream};
use crate::memory::Memory;
use crate::registry::Registry;
use crate::{Hub, Identity, SignalRService};

/// Finds out who a client is.
pub(crate) type Authenticate =
    Box<dyn Fn(Parts) -> BoxFuture<'static, Result<Identity, Response>> + Send + Sync>;

/// Times and bounds of a hub.
pub(crate) struct Options {
    pub(crate) link: Arc<Settings>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) stateful: bool,
    pub(crate) disconnect_timeout: Duration,
    pub(crate) poll_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) parallel_calls: usize,
    pub(crate) calls_waiting_max: usize,
    pub(crate) stream_buffer: usize,
    pub(crate) connections_max: usize,
    pub(crate) unconnected_max: usize,
    pub(crate) groups_max: usize,
    pub(crate) redirect: Option<Redirect>,
}

/// Says where else a client should go, if anywhere.
pub(crate) type Redirect = Box<dyn Fn(&Parts) -> Option<Redirection> + Send + Sync>;

/// Another hub to which a client is sent.
#[derive(Debug, Clone)]
pub struct Redirection {
    /// Its URL.
    pub url: String,
    /// What the client shows there, in place of what it has shown here.
    pub access_token: Option<outgate_signalr::negotiate::Token>,
}

/// A hub in the making. See the crate's description for an example.
pub struct Builder<S = ()> {
    state: S,
    link: Settings,
    options: Options,
    methods: HashMap<String, Unready<S>>,
    fallback: Option<Method<S>>,
    fallback_stream: Option<StreamMethod<S>>,
    on_connect: Option<Method<S>>,
    on_disconnect: Option<Method<S>>,
    authenticate: Option<Authenticate>,
    memory: Option<Memory>,
}

enum Unready<S> {
    Method(Method<S>),
    Stream(StreamMethod<S>),
}

impl<S> std::fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl Builder<()> {
    pub(crate) fn new() -> Self {
        Self::with((), Settings::default(), Options::default())
    }
}

impl Default for Options {
    /// ASP.NET Core's, where it has them.
    fn default() -> Self {
        Self {
            link: Arc::default(),
            transports: Transport::ALL.to_vec(),
            stateful: false,
            disconnect_timeout: Duration::from_secs(15),
            poll_timeout: Duration::from_secs(90),
            send_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            parallel_calls: 1,
            calls_waiting_max: 64,
            stream_buffer: 10,
            connections_max: 100_000,
            unconnected_max: 10_000,
            groups_max: 1_000,
            redirect: None,
        }
    }
}

impl<S: Send + Sync + 'static> Builder<S> {
    fn with(state: S, link: Settings, options: Options) -> Self {
        Self {
            state,
            link,
            options,
            methods: HashMap::new(),
            fallback: None,
            fallback_stream: None,
            on_connect: None,
            on_disconnect: None,
            authenticate: None,
            memory: None,
        }
    }

    /// Gives handlers a state: [`State`](crate::State). To be said before any of them; those that
    /// were there are dropped.
    #[must_use]
    pub fn with_state<T: Send + Sync + 'static>(self, state: T) -> Builder<T> {
        Builder {
            authenticate: self.authenticate,
            memory: self.memory,
            ..Builder::with(state, self.link, self.options)
        }
    }

    /// A method that clients may call, by a name whose case does not matter.
    #[must_use]
    pub fn on<P, R: Reply>(mut self, name: &str, handler: impl Handler<P, R, S>) -> Self {
        let method = Unready::Method(handler::method(handler));
        self.methods.insert(name.to_lowercase(), method);
        self
    }

    /// A method whose answer is a stream: its handler returns `Result<impl Stream<…>, HubError>`.
    /// When the client has enough, the stream is dropped.
    #[must_use]
    pub fn on_stream<P, R>(mut self, name: &str, handler: impl Handler<P, R, S>) -> Self
    where
        R: StreamReply,
    {
        let stream = Unready::Stream(handler::stream_method(handler));
        self.methods.insert(name.to_lowercase(), stream);
        self
    }

    /// Every call of a method that there is none for. [`Target`](crate::Target) says which, and
    /// [`RawArgs`](crate::RawArgs) with what.
    #[must_use]
    pub fn fallback<P, R: Reply>(mut self, handler: impl Handler<P, R, S>) -> Self {
        self.fallback = Some(handler::method(handler));
        self
    }

    /// As [`Builder::fallback`], for calls whose answer is to be a stream.
    #[must_use]
    pub fn fallback_stream<P, R>(mut self, handler: impl Handler<P, R, S>) -> Self
    where
        R: StreamReply,
    {
        self.fallback_stream = Some(handler::stream_method(handler));
        self
    }

    /// Is called when a client has made its handshake, before any call of its own. An error closes
    /// the connection.
    #[must_use]
    pub fn on_connect<P, R>(mut self, handler: impl Handler<P, R, S>) -> Self
    where
        R: Reply<Value = ()>,
    {
        self.on_connect = Some(handler::method(handler));
        self
    }

    /// Is called when a connection has ended of which [`Builder::on_connect`] was told; it may ask
    /// for an `Arc<`[`Disconnected`](crate::Disconnected)`>`.
    #[must_use]
    pub fn on_disconnect<P, R>(mut self, handler: impl Handler<P, R, S>) -> Self
    where
        R: Reply<Value = ()>,
    {
        self.on_disconnect = Some(handler::method(handler));
        self
    }

    /// Finds out who a client is, or refuses it with a response such as 401. It is asked at each
    /// negotiation and again when a transport is opened; the two must name the same user. Other
    /// requests show the connection's own secret.
    #[must_use]
    pub fn authenticate<F, Fut>(mut self, authenticate: F) -> Self
    where
        F: Fn(Parts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Identity, Response>> + Send + 'static,
    {
        self.authenticate = Some(Box::new(move |parts| Box::pin(authenticate(parts))));
        self
    }

    /// Sends clients elsewhere at their negotiation.
    #[must_use]
    pub fn redirect(
        mut self,
        redirect: impl Fn(&Parts) -> Option<Redirection> + Send + Sync + 'static,
    ) -> Self {
        self.options.redirect = Some(Box::new(redirect));
        self
    }

    /// The transports that are offered, in the order in which clients try them. All three.
    #[must_use]
    pub fn transports(mut self, transports: impl Into<Vec<Transport>>) -> Self {
        self.options.transports = transports.into();
        self
    }

    /// Remembers clients, by a key that is made of their negotiation, with the transports that
    /// were opened and carried nothing: those are offered last for a day. 10,000 clients are
    /// remembered. Microsoft's clients do not try another transport by themselves after one
    /// that stalls; when they are started anew, this one leads them to one that works.
    #[must_use]
    pub fn remember_stalls(
        mut self,
        key: impl Fn(&Parts) -> Option<Arc<str>> + Send + Sync + 'static,
    ) -> Self {
        self.memory = Some(Memory::new(Arc::new(key)));
        self
    }

    /// Is told of each transport that stalls, with the key of [`Builder::remember_stalls`], which
    /// is to be said before.
    #[must_use]
    pub fn on_stalled(
        mut self,
        on_stalled: impl Fn(&str, Transport) + Send + Sync + 'static,
    ) -> Self {
        if let Some(memory) = &mut self.memory {
            memory.on_stalled = Some(Arc::new(on_stalled));
        }
        self
    }

    /// Lets connections over WebSockets outlive them, where clients ask for it (stateful
    /// reconnect), for [`Builder::disconnect_timeout`]. Off.
    #[must_use]
    pub fn stateful_reconnect(mut self, on: bool) -> Self {
        self.options.stateful = on;
        self
    }

    /// The protocols that are spoken. Both.
    #[must_use]
    pub fn protocols(mut self, protocols: impl Into<Vec<Protocol>>) -> Self {
        self.link.protocols = protocols.into();
        self
    }

    /// Tells clients what exactly went wrong, panics' texts included: for development. Off.
    #[must_use]
    pub fn detailed_errors(mut self, on: bool) -> Self {
        self.link.detailed_errors = on;
        self
    }

    /// What becomes of clients that do not take what they are sent. They are disconnected.
    #[must_use]
    pub fn slow_peer(mut self, policy: SlowPeer) -> Self {
        self.link.slow_peer = policy;
        self
    }

    /// The hub: the service that answers its clients, to be nested in a router, and the handle for
    /// sending to them.
    #[must_use]
    pub fn build(self) -> (SignalRService, Hub) {
        let state = Arc::new(self.state);
        let ready = |method| ready_method(&state, method);
        let by_name = self.methods.into_iter().map(|(name, method)| {
            let ready = match method {
                Unready::Method(method) => Ready::Method(ready_method(&state, method)),
                Unready::Stream(stream) => Ready::Stream(ready_stream(&state, stream)),
            };
            (name, ready)
        });
        let methods = Methods {
            by_name: by_name.collect(),
            fallback: self.fallback.map(ready),
            fallback_stream: self.fallback_stream.map(|it| ready_stream(&state, it)),
            on_connect: self.on_connect.map(ready),
            on_disconnect: self.on_disconnect.map(ready),
        };
        let mut options = self.options;
        options.link = Arc::new(self.link);
        let inner = Arc::new(Inner {
            options,
            methods,
            authenticate: self.authenticate,
            memory: self.memory,
            registry: Registry::default(),
            sweeping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            began: Instant::now(),
        });
        (SignalRService::new(Arc::clone(&inner)), Hub(inner))
    }
}

fn ready_method<S: Send + Sync + 'static>(state: &Arc<S>, method: Method<S>) -> ReadyMethod {
    let state = Arc::clone(state);
    Box::new(move |call, answering| method(call, &state, answering))
}

fn ready_stream<S: Send + Sync + 'static>(state: &Arc<S>, stream: StreamMethod<S>) -> ReadyStream {
    let state = Arc::clone(state);
    Box::new(move |call, answering| stream(call, &state, answering))
}
