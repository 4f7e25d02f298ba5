//! The handle on a hub: who is connected, and sending to them from anywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use outgate_signalr::negotiate::Token;
use tokio::time::Instant;

use crate::builder::{Authenticate, Options};
use crate::call::Call;
use crate::clients::Clients;
use crate::error::Failure;
use crate::handler::{Answering, Items};
use crate::memory::Memory;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::{Connection, Disconnected, Identity, sweep};

/// A method with its state, and without its types.
pub(crate) type ReadyMethod = Box<
    dyn Fn(Call, Answering) -> BoxFuture<'static, Result<Option<bytes::Bytes>, Failure>>
        + Send
        + Sync,
>;

/// A stream with its state, and without its types.
pub(crate) type ReadyStream =
    Box<dyn Fn(Call, Answering) -> BoxFuture<'static, Result<Items, Failure>> + Send + Sync>;

/// What a hub can do.
#[derive(Default)]
pub(crate) struct Methods {
    /// By names in small letters.
    pub(crate) by_name: HashMap<String, Ready>,
    pub(crate) fallback: Option<ReadyMethod>,
    pub(crate) fallback_stream: Option<ReadyStream>,
    pub(crate) on_connect: Option<ReadyMethod>,
    pub(crate) on_disconnect: Option<ReadyMethod>,
}

pub(crate) enum Ready {
    Method(ReadyMethod),
    Stream(ReadyStream),
}

/// What there is under a name.
pub(crate) enum Found<'a> {
    Method(&'a ReadyMethod),
    Stream(&'a ReadyStream),
    Nothing,
}

impl Methods {
    /// Names are compared without regard to case, as ASP.NET Core does.
    pub(crate) fn find(&self, target: &str, streamed: bool) -> Found<'_> {
        let exact = self.by_name.get(target);
        let ready = exact.or_else(|| self.by_name.get(&target.to_lowercase()));
        match ready {
            Some(Ready::Method(method)) => Found::Method(method),
            Some(Ready::Stream(stream)) => Found::Stream(stream),
            None if streamed => self
                .fallback_stream
                .as_ref()
                .map_or(Found::Nothing, Found::Stream),
            None => self.fallback.as_ref().map_or(Found::Nothing, Found::Method),
        }
    }
}

/// A hub.
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) methods: Methods,
    pub(crate) authenticate: Option<Authenticate>,
    pub(crate) memory: Option<Memory>,
    pub(crate) registry: Registry,
    /// Whether [`sweep`] runs.
    pub(crate) sweeping: AtomicBool,
    /// Whether no new connections are taken.
    pub(crate) closing: AtomicBool,
    pub(crate) began: Instant,
}

/// Why there is no new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoConnection {
    /// There are as many as may be.
    TooMany,
    /// The hub shuts down.
    Closing,
    /// The system has no randomness.
    NoRandomness,
}

impl Inner {
    /// The time since the hub began.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A new connection, with a token of its own or, for clients of negotiation's version 0, with
    /// its name in place of one.
    pub(crate) fn connect(
        self: &Arc<Self>,
        identity: Identity,
        memory_key: Option<Arc<str>>,
        has_token: bool,
        stateful: bool,
    ) -> Result<Arc<Shared>, NoConnection> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(NoConnection::Closing);
        }
        if self.registry.unconnected() >= self.options.unconnected_max
            || self.registry.len() >= self.options.connections_max
        {
            return Err(NoConnection::TooMany);
        }
        let id: Arc<str> = random_name()?.into();
        let token = if has_token {
            random_name()?
        } else {
            id.to_string()
        };
        let token = Token::new(token);
        let shared = Shared::new(Arc::clone(self), id, token, identity, memory_key, stateful);
        let shared = Arc::new(shared);
        self.registry.add(Arc::clone(&shared));
        sweep::ensure(self);
        Ok(shared)
    }

    /// Tells the program that a connection has ended.
    pub(crate) fn disconnected(&self, shared: &Arc<Shared>, reason: Arc<Disconnected>) {
        let Some(on_disconnect) = &self.methods.on_disconnect else {
            return;
        };
        let call = Call {
            connection: Connection::new(Arc::clone(shared)),
            target: String::new(),
            id: None,
            arguments: None,
            uploads: Vec::new().into_iter(),
            disconnected: Some(reason),
        };
        let protocol = outgate_signalr::Protocol::Json;
        let told = on_disconnect(call, Answering { protocol, id: None });
        // A panic ends this task alone.
        tokio::spawn(async move {
            if let Err(failure) = told.await {
                tracing::debug!(?failure, "the handler of ends failed");
            }
        });
    }
}

/// 128 bits that nobody guesses, as ASP.NET Core writes them.
fn random_name() -> Result<String, NoConnection> {
    use base64::Engine as _;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| NoConnection::NoRandomness)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// A hub, for whoever wants to send to its clients or to know who is there. Clones are the same hub.
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("connections", &self.count())
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// Choosing whom to send to.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::new(Arc::clone(&self.0))
    }

    /// How many connections have made their handshake and have not ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.registry.open_len()
    }

    /// How many connections have been negotiated and have no transport yet.
    #[must_use]
    pub fn unconnected(&self) -> usize {
        self.0.registry.unconnected()
    }

    /// Those connections, as of now.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        let everyone = self.0.registry.everyone();
        everyone.into_iter().map(Connection::new).collect()
    }

    /// The connection of that public name, if it has made its handshake and has not ended.
    #[must_use]
    pub fn connection(&self, id: &str) -> Option<Connection> {
        self.0.registry.by_id(id).map(Connection::new)
    }

    /// The connection that a request is about, by the secret in its query: for whatever stands
    /// around the hub's service. Also one without a handshake.
    #[must_use]
    pub fn of_request(&self, uri: &http::Uri) -> Option<Connection> {
        let token = crate::service::token(uri)?;
        self.0.registry.by_token(token).map(Connection::new)
    }

    /// Closes a connection: `error` is what its client is told, `allow_reconnect` whether it comes
    /// back by itself, where it was made to. False when there is none of that name.
    pub fn close_connection(&self, id: &str, error: Option<&str>, allow_reconnect: bool) -> bool {
        let found = self.0.registry.by_id(id);
        if let Some(shared) = &found {
            shared.close(error, allow_reconnect);
        }
        found.is_some()
    }

    /// Closes all connections, those without a handshake too; see [`Hub::close_connection`].
    pub fn disconnect_all(&self, error: Option<&str>, allow_reconnect: bool) {
        for shared in self.0.registry.known() {
            shared.close(error, allow_reconnect);
        }
    }

    /// Closes every connection of those who are meant, those without a handshake too, and gives how
    /// many: for a user or a credential that is revoked. See [`Hub::close_connection`].
    ///
    /// Whoever has negotiated is asked for again by [`Builder::authenticate`](crate::Builder::authenticate)
    /// when a transport is opened; so nobody who is refused there comes in after this.
    pub fn disconnect_where(
        &self,
        meant: impl Fn(&Identity) -> bool,
        error: Option<&str>,
        allow_reconnect: bool,
    ) -> usize {
        let known = self.0.registry.known().into_iter();
        let mut closed = 0;
        for shared in known.filter(|shared| meant(&shared.identity)) {
            shared.close(error, allow_reconnect);
            closed += 1;
        }
        closed
    }

    /// Takes no new connections, closes all others with `allow_reconnect`, and waits until they
    /// are gone or `patience` is over. Whether they are gone.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.0.closing.store(true, Ordering::Relaxed);
        let gone = async {
            // One that came in meanwhile is closed in the next round.
            loop {
                let known = self.0.registry.known();
                if known.is_empty() {
                    return;
                }
                for shared in known {
                    shared.close(None, true);
                    shared.gone.notified().await;
                }
            }
        };
        tokio::time::timeout(patience, gone).await.is_ok()
    }
}
