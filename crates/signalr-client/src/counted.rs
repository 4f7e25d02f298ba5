//! What is counted on a connection that outlives its transport (stateful reconnect).

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr::encode::{Plain, plain};
use outgate_signalr::payload::Payload;
use outgate_signalr::replay::{BUFFER_MAX, Received, Sent};
use outgate_signalr::{Message, Protocol};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::error::Cause;
use crate::http::locked;

pub(crate) struct Counted {
    protocol: Protocol,
    start: Instant,
    state: Mutex<State>,
    /// Something has come that the half that talks must know of.
    changed: Notify,
}

struct State {
    sent: Sent,
    received: Received,
    /// Whether either end has got on since this was last asked.
    got_on: bool,
}

impl Counted {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            start: Instant::now(),
            state: Mutex::new(State {
                sent: Sent::new(BUFFER_MAX),
                received: Received::new(),
                got_on: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Whether more may be sent before the hub says what has come.
    pub(crate) fn has_room(&self) -> bool {
        !self.state().sent.is_full()
    }

    /// Keeps records that are about to be sent. All that programs send are of kinds that count.
    pub(crate) fn keep(&self, records: &[Bytes]) {
        let mut state = self.state();
        for record in records {
            state.sent.keep(record.clone());
        }
    }

    /// The next record to send again.
    pub(crate) fn poll_again(&self) -> Option<Bytes> {
        self.state().sent.poll_again()
    }

    /// The transport was replaced. Gives what is said first over the new one.
    pub(crate) fn handle_resumed(&self) -> Bytes {
        let mut state = self.state();
        state.received.handle_resumed();
        let sequence = Plain::Sequence(state.sent.handle_resumed());
        plain(self.protocol, &sequence)
    }

    /// Whether either end has got on since this was last asked.
    pub(crate) fn has_got_on(&self) -> bool {
        std::mem::take(&mut self.state().got_on)
    }

    /// Whether a message of so many bytes is to be handled further.
    pub(crate) fn handle_message(
        &self,
        message: &Message<Payload>,
        length: usize,
    ) -> Result<bool, Cause> {
        let mut state = self.state();
        let taken = match message {
            Message::Ack { sequence_id } => {
                let before = state.sent.bytes();
                state.sent.handle_ack(*sequence_id);
                state.got_on |= state.sent.bytes() < before;
                false
            }
            Message::Sequence { sequence_id } => {
                let sequence = state.received.handle_sequence(*sequence_id);
                sequence.map_err(|source| Cause::Gap { source })?;
                false
            }
            Message::Invocation { .. }
            | Message::StreamItem { .. }
            | Message::Completion { .. }
            | Message::StreamInvocation { .. }
            | Message::CancelInvocation { .. }
            | Message::Ping
            | Message::Close { .. } => {
                let counts = message.is_counted();
                let taken = state.received.handle_message(counts, length, self.now());
                state.got_on |= counts && taken;
                taken
            }
        };
        self.changed.notify_one();
        Ok(taken)
    }

    /// Waits until something has changed, and gives what is to be acknowledged, if that is due.
    /// Where nothing is counted it waits for ever.
    pub(crate) async fn due(counted: Option<&Self>) -> Option<Bytes> {
        let Some(counted) = counted else {
            return std::future::pending().await;
        };
        let due = counted.state().received.poll_timeout();
        match due {
            None => counted.changed.notified().await,
            Some(due) => tokio::select! {
                () = counted.changed.notified() => {}
                () = sleep_until(counted.start + due) => {}
            },
        }
        let now = counted.now();
        let number = counted.state().received.poll_ack(now)?;
        Some(plain(counted.protocol, &Plain::Ack(number)))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}
