//! A connection as its requests, its handlers and those who send to it share it.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::connection::{self, Called, End, Event, Frame, Handles, Overrun};
use outgate_signalr::negotiate::{Token, Transport};
use outgate_signalr::payload::Payload;
use outgate_signalr::{Completed, Protocol};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::hub::Inner;
use crate::upload::{Piece, Pieces};
use crate::{Disconnected, Identity};

/// Messages that wait for the client when a stream to it goes on.
const FLOW_MESSAGES: usize = 16;

/// What waits for streams and answers under way.
#[derive(Debug)]
pub(crate) struct UnderWay;

impl Handles for UnderWay {
    type Upload = mpsc::Sender<Piece>;
    type Download = CancellationToken;
    type Waiting = oneshot::Sender<Completed<Payload>>;
}

/// A connection.
pub(crate) struct Shared {
    pub(crate) id: Arc<str>,
    pub(crate) token: Token,
    pub(crate) hub: Arc<Inner>,
    pub(crate) identity: Identity,
    /// What the transport memory knows this client by.
    pub(crate) memory_key: Option<Arc<str>>,
    state: Mutex<State>,
    /// There may be something for the transport to do.
    pub(crate) outgoing: Notify,
    /// There may be room for what the client says.
    pub(crate) room: Notify,
    /// What waits for the client has become little, or the connection has ended.
    drained: Notify,
    /// No requests may come for it any more.
    pub(crate) gone: Notify,
    /// Its WebSocket is to be dropped.
    pub(crate) cut: CancellationToken,
    /// One POST at a time.
    pub(crate) posting: tokio::sync::Mutex<()>,
}

/// By its public name alone.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish()
    }
}

pub(crate) struct State {
    pub(crate) link: connection::Connection<UnderWay>,
    pub(crate) transport: Option<Transport>,
    /// Which transport or poll has the connection; a newer one ends an older.
    pub(crate) generation: u64,
    /// Since when nobody has it.
    pub(crate) left: Option<Duration>,
    /// Handlers that run and count.
    pub(crate) running: usize,
    /// Calls that wait for them.
    pub(crate) calls: VecDeque<Arrived>,
    pub(crate) life: Life,
    /// Since when it is over.
    pub(crate) over: Option<Duration>,
    /// What there is no room for yet.
    pub(crate) held: Option<Event<UnderWay>>,
    pub(crate) groups: Vec<Arc<str>>,
    /// Whether the client has said anything since its handshake, and when that was.
    pub(crate) opened: Option<Duration>,
    pub(crate) spoke: bool,
}

/// A call whose streams are open.
pub(crate) struct Arrived {
    pub(crate) called: Called,
    pub(crate) uploads: Vec<Pieces>,
}

/// Where a connection is in its life.
pub(crate) enum Life {
    /// Before its handshake.
    New,
    /// The program is told of it; calls wait. With the end, if that has come already.
    Connecting(Option<Arc<Disconnected>>),
    Open,
    Over,
}

impl Shared {
    pub(crate) fn new(
        hub: Arc<Inner>,
        id: Arc<str>,
        token: Token,
        identity: Identity,
        memory_key: Option<Arc<str>>,
        stateful: bool,
    ) -> Self {
        let state = State {
            link: connection::Connection::new(Arc::clone(&hub.options.link), stateful),
            transport: None,
            generation: 0,
            left: Some(hub.now()),
            running: 0,
            calls: VecDeque::new(),
            life: Life::New,
            over: None,
            held: None,
            groups: Vec::new(),
            opened: None,
            spoke: false,
        };
        Self {
            id,
            token,
            hub,
            identity,
            memory_key,
            state: Mutex::new(state),
            outgoing: Notify::new(),
            room: Notify::new(),
            drained: Notify::new(),
            gone: Notify::new(),
            cut: CancellationToken::new(),
            posting: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn extension(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.identity.extension.clone()
    }

    /// Sends a message; before the handshake and after the end it goes nowhere.
    pub(crate) fn send(self: &Arc<Self>, frame: Frame) {
        let sent: Result<(), Overrun> = self.state().link.send(frame);
        if sent.is_err() {
            self.end(Disconnected::Ended(self.take_end()));
        }
        self.outgoing.notify_one();
    }

    fn take_end(&self) -> End {
        let mut state = self.state();
        match state.link.poll_event(self.hub.now()) {
            Some(Event::Ended(end)) => end,
            Some(_) | None => End::Server,
        }
    }

    /// The next message for the transport of that generation, and whether it is text. `None` when
    /// there is none, or a newer one has the connection: what an older one took would be lost.
    pub(crate) fn poll_output(&self, generation: u64) -> Option<(Bytes, bool)> {
        let now = self.hub.now();
        let mut state = self.state();
        if state.generation != generation {
            return None;
        }
        let output = state.link.poll_output(now);
        let text = !state.link.is_binary();
        let little = state.link.waiting() < FLOW_MESSAGES;
        drop(state);
        if little {
            self.drained.notify_waiters();
        }
        Some((output?, text))
    }

    /// Waits until little waits for the client; false when the connection has ended.
    pub(crate) async fn flow(&self) -> bool {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            {
                let state = self.state();
                if state.link.is_ended() {
                    return false;
                }
                if state.link.waiting() < FLOW_MESSAGES {
                    return true;
                }
            }
            drained.await;
        }
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            if matches!(self.state().life, Life::Over) {
                return;
            }
            drained.await;
        }
    }

    /// Something has changed that those look at who wait for its end.
    pub(crate) fn changed(&self) {
        self.drained.notify_waiters();
    }

    /// Waits until it has ended and nothing carries it any more.
    pub(crate) async fn let_go(&self) {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            if self.is_let_go() {
                return;
            }
            drained.await;
        }
    }

    fn is_let_go(&self) -> bool {
        let known = self.hub.registry.knows(self);
        let state = self.state();
        let polls = state.transport == Some(Transport::LongPolling);
        matches!(state.life, Life::Over) && (!known || (polls && state.left.is_some()))
    }

    /// Closes it from this side; what waits is still sent.
    pub(crate) fn close(self: &Arc<Self>, error: Option<&str>, allow_reconnect: bool) {
        self.state().link.close(error, allow_reconnect);
        self.end(Disconnected::Ended(End::Server));
    }

    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.state().link.protocol()
    }

    /// The program is told of an end that came while it was told of the beginning.
    pub(crate) fn told_late(self: &Arc<Self>, reason: Arc<Disconnected>) {
        self.drained.notify_waiters();
        self.hub.disconnected(self, reason);
    }

    /// Everything that an end brings along; the first one counts.
    pub(crate) fn end(self: &Arc<Self>, reason: Disconnected) {
        let reason = Arc::new(reason);
        let mut state = self.state();
        state.link.close(None, false);
        let told = match &mut state.life {
            Life::Over | Life::Connecting(Some(_)) => return,
            Life::New => None,
            Life::Connecting(end) => {
                *end = Some(Arc::clone(&reason));
                None
            }
            Life::Open => Some(Arc::clone(&reason)),
        };
        if !matches!(state.life, Life::Connecting(_)) {
            state.life = Life::Over;
        }
        state.over = Some(self.hub.now());
        let stalled = state.stalled(&reason, &self.hub);
        let groups = std::mem::take(&mut state.groups);
        let drained = state.link.drain();
        let calls = std::mem::take(&mut state.calls);
        let held = state.held.take();
        drop(state);
        // Streams of the client's may lock the state when they are dropped.
        drop((calls, held));
        for download in drained.downloads {
            download.cancel();
        }
        drop((drained.uploads, drained.answers));
        if let Some(transport) = stalled
            && let Some((memory, key)) = self.hub.memory.as_ref().zip(self.memory_key.as_ref())
        {
            memory.stalled(key, transport);
        }
        self.hub.registry.close(self, &groups);
        self.outgoing.notify_one();
        self.room.notify_one();
        self.drained.notify_waiters();
        tracing::debug!(connection = &*self.id, %reason, "connection ended");
        if let Some(reason) = told {
            self.hub.disconnected(self, reason);
        }
    }
}

impl State {
    /// The transport, if it has carried nothing: no handshake has come, or the client has seen
    /// nothing of an event stream, since after its handshake it never said another word.
    fn stalled(&self, reason: &Disconnected, hub: &Inner) -> Option<Transport> {
        let transport = self.transport?;
        let gone = match reason {
            Disconnected::TransportLost => true,
            Disconnected::Ended(end) => match end {
                End::Client { .. } | End::Silence | End::NoHandshake => true,
                End::Refused(_) | End::Protocol(_) | End::Lost(_) | End::Slow(_) | End::Server => {
                    false
                }
            },
        };
        let silent = match self.opened {
            None => true,
            Some(opened) => {
                transport == Transport::ServerSentEvents
                    && !self.spoke
                    && opened + hub.options.link.keep_alive <= hub.now()
            }
        };
        (gone && silent).then_some(transport)
    }
}
