//! A connection of SignalR, which outlives the requests that carry it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use outgate_signalr::negotiate::Transport;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::session::Session;

/// Records that wait for a client that does not take them; one more ends the connection.
const WAITING_MAX: usize = 256;

/// A connection that was negotiated.
pub(crate) struct Connection {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    session: Session,
    /// Known once the client has come with one.
    transport: Option<Transport>,
    waiting: VecDeque<Vec<u8>>,
    ended: bool,
    used: Instant,
    /// How many polls have come; a newer one ends an older.
    polls: u64,
}

/// What a poll brings.
pub(super) enum Polled {
    /// These records, one after the other.
    Records(Vec<u8>),
    /// There is none, or there will be none.
    Over,
}

impl Connection {
    pub(super) fn new() -> Self {
        let state = State {
            session: Session::new(),
            transport: None,
            waiting: VecDeque::new(),
            ended: false,
            used: Instant::now(),
            polls: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Takes the connection for a transport; only the first one has it.
    pub(crate) fn begin(&self, transport: Transport) -> Result<(), StatusCode> {
        let mut state = self.state();
        match state.transport {
            None => {
                state.transport = Some(transport);
                Ok(())
            }
            Some(known) if known == transport => Err(StatusCode::CONFLICT),
            Some(_) => Err(StatusCode::BAD_REQUEST),
        }
    }

    pub(super) fn transport(&self) -> Option<Transport> {
        self.state().transport
    }

    /// For how long nobody has used it.
    pub(super) fn idle(&self) -> Duration {
        self.state().used.elapsed()
    }

    /// Takes what the client says.
    pub(super) fn hear(&self, bytes: &[u8]) {
        let mut state = self.state();
        let answers = state.session.handle_bytes(bytes);
        state.waiting.extend(answers);
        state.ended |= state.session.is_ended() || state.waiting.len() > WAITING_MAX;
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_waiters();
    }

    /// Whether its records are bytes rather than text.
    pub(super) fn is_binary(&self) -> bool {
        self.state().session.is_binary()
    }

    /// The next record, or a ping when there is none for so long; nothing when the connection has
    /// ended.
    pub(super) async fn next(&self, patience: Duration) -> Option<Vec<u8>> {
        loop {
            let waited = timeout(patience, self.wait(|_| false)).await;
            let mut state = self.state();
            if let Some(record) = state.waiting.pop_front() {
                return Some(record);
            }
            if state.ended {
                return None;
            }
            if waited.is_err()
                && let Some(ping) = state.session.ping()
            {
                return Some(ping);
            }
        }
    }

    /// What a poll brings within `patience`. The first poll of all is answered at once.
    pub(super) async fn poll(&self, patience: Duration) -> Polled {
        let mine = {
            let mut state = self.state();
            state.polls += 1;
            state.polls
        };
        self.changed.notify_waiters();
        if mine == 1 {
            return Polled::Records(Vec::new());
        }
        // That it took too long is an answer without records.
        let _ = timeout(patience, self.wait(|state| state.polls != mine)).await;
        let mut state = self.state();
        let newer = state.polls != mine;
        if newer || (state.ended && state.waiting.is_empty()) {
            return Polled::Over;
        }
        Polled::Records(state.waiting.drain(..).collect::<Vec<_>>().concat())
    }

    /// Waits until there is a record, the connection has ended, or something else holds.
    async fn wait(&self, enough: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if !state.waiting.is_empty() || state.ended || enough(&state) {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Nothing can panic while the lock is held, so what it guards is whole even when poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used = Instant::now();
        state
    }
}
