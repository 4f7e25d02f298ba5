//! What a connection sends, and when.

use std::time::Duration;

use bytes::Bytes;

use super::queue::{Bounds, Frame, Overrun};
use super::{Connection, End, Handles, Phase, wording};
use crate::encode::{self, Plain};
use crate::handshake::Protocol;
use crate::negotiate::Transport;

impl<H: Handles> Connection<H> {
    /// Ends it from this side: what waits is still sent, and then that it ends.
    pub fn close(&mut self, error: Option<&str>, allow_reconnect: bool) {
        if self.is_ended() {
            return;
        }
        self.say_farewell(error, allow_reconnect);
        let end = Some(End::Server);
        self.phase = Phase::Ended { end };
    }

    /// Sends a message. Before the handshake and after the end it is not sent.
    ///
    /// # Errors
    /// So much waits that the connection is ended; [`Event::Ended`](super::Event::Ended) comes as well.
    pub fn send(&mut self, frame: Frame) -> Result<(), Overrun> {
        if !matches!(self.phase, Phase::Open { .. }) {
            return Ok(());
        }
        let bounds = Bounds {
            messages: self.settings.waiting_max,
            bytes: self.settings.waiting_bytes_max,
            policy: self.settings.slow_peer,
        };
        self.queue.push(frame, bounds).inspect_err(|overrun| {
            self.queue.clear();
            self.break_off(End::Slow(*overrun));
        })
    }

    /// Messages that wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of the messages that wait to be sent, and of those that a stateful connection keeps.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        let kept = self.replay.as_ref().map_or(0, |replay| replay.sent.bytes());
        self.queue.bytes() + kept
    }

    /// Whether [`Connection::poll_output`] may have something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.ahead.is_empty() || self.queue.len() > 0 || self.farewell.is_some()
    }

    /// The next message to put on the transport.
    pub fn poll_output(&mut self, now: Duration) -> Option<Bytes> {
        let output = self.next_output()?;
        self.said = now;
        Some(output)
    }

    fn next_output(&mut self) -> Option<Bytes> {
        if let Some(message) = self.ahead.pop_front() {
            return Some(message);
        }
        if let Some(replay) = &mut self.replay {
            if let Some(message) = replay.sent.poll_again() {
                return Some(message);
            }
            if replay.sent.is_full() {
                return self.is_ended().then(|| self.farewell.take()).flatten();
            }
        }
        let Some(frame) = self.queue.pop() else {
            return self.farewell.take();
        };
        if let Some(replay) = self.replay.as_mut().filter(|_| frame.counted) {
            replay.sent.keep(frame.bytes.clone());
        }
        Some(frame.bytes)
    }

    /// This side does not read what comes, so that silence is not the client's.
    pub fn handle_pause(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        match self.phase {
            Phase::Ended { .. } => {}
            Phase::Handshake { until } => {
                if until.is_some_and(|until| until <= now) {
                    self.refuse(wording::HANDSHAKE_LATE.to_owned(), End::NoHandshake);
                }
            }
            Phase::Open { protocol } => self.keep_alive(protocol, now),
        }
    }

    /// Says what has come, if that is due.
    pub(super) fn acknowledge(&mut self, protocol: Protocol, now: Duration) {
        if let Some(replay) = &mut self.replay
            && let Some(number) = replay.received.poll_ack(now)
        {
            let ack = encode::plain(protocol, &Plain::Ack(number));
            self.ahead.push_back(ack);
        }
    }

    fn keep_alive(&mut self, protocol: Protocol, now: Duration) {
        self.acknowledge(protocol, now);
        // Polls keep themselves alive.
        if self.transport == Some(Transport::LongPolling) {
            return;
        }
        if self.heard + self.settings.client_timeout <= now {
            self.break_off(End::Silence);
        } else if self.said + self.settings.keep_alive <= now {
            self.said = now;
            // Whoever does not take what waits needs no more of it.
            if self.queue.len() == 0 && self.ahead.is_empty() {
                self.ahead.push_back(encode::plain(protocol, &Plain::Ping));
            }
        }
    }

    /// When [`Connection::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Ended { .. } => None,
            Phase::Handshake { until } => until,
            Phase::Open { .. } => {
                let replay = self.replay.as_ref();
                let ack = replay.and_then(|replay| replay.received.poll_timeout());
                let carried = self.transport != Some(Transport::LongPolling);
                let silence = carried.then(|| self.heard + self.settings.client_timeout);
                let ping = carried.then(|| self.said + self.settings.keep_alive);
                [ack, silence, ping].into_iter().flatten().min()
            }
        }
    }
}
