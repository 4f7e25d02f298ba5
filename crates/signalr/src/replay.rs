//! What lets a connection outlive its transport (stateful reconnect): either end numbers what it
//! sends, keeps it until the other says that it has come, and sends it again over the next
//! transport.
//!
//! Only calls, items, completions and cancellations count, from 1 on
//! ([`Message::is_counted`](crate::Message::is_counted)). Where sending is taken up again, a
//! Sequence says the number of the first message that comes again, or the next new one's where none
//! does: both of Microsoft's libraries do so. `HubProtocol.md` has it otherwise; whoever follows it
//! is cut off by Microsoft's client.
//!
//! `now` is the time since a moment that the caller chooses, the same in all calls.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// Bytes kept for a peer that has not said that they have come, in ASP.NET Core and its clients
/// (`StatefulReconnectBufferSize`).
pub const BUFFER_MAX: usize = 100_000;

/// How long after something has come that is said: what Microsoft's client does.
pub const ACK_DELAY: Duration = Duration::from_secs(1);

/// Bytes after whose arrival that is said at once: a peer that keeps no more than [`BUFFER_MAX`]
/// could send no more than that in [`ACK_DELAY`] otherwise.
pub const ACK_BYTES: usize = BUFFER_MAX / 4;

/// What was sent and is not known to have come.
#[derive(Debug)]
pub struct Sent {
    kept: VecDeque<Bytes>,
    /// Bytes in `kept`.
    bytes: usize,
    /// How many of `kept` do not have to be sent again.
    resent: usize,
    /// Number of the last that was sent for the first time.
    total: u64,
    max: usize,
}

impl Sent {
    /// For at most `max` bytes, and the message that goes beyond.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            kept: VecDeque::new(),
            bytes: 0,
            resent: 0,
            total: 0,
            max,
        }
    }

    /// Whether nothing more may be sent before the peer says what has come.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= self.max
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a message that is being sent for the first time. [`Sent::poll_again`] goes first.
    pub fn keep(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.total += 1;
        self.kept.push_back(message);
        self.resent = self.kept.len();
    }

    /// The peer says that everything up to this number has come.
    pub fn handle_ack(&mut self, sequence_id: u64) {
        while self.first() <= sequence_id {
            let Some(message) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= message.len();
            self.resent = self.resent.saturating_sub(1);
        }
    }

    /// Begins anew over another transport, and gives the number for the Sequence.
    pub fn handle_resumed(&mut self) -> u64 {
        self.resent = 0;
        self.first()
    }

    /// The next message to send again.
    pub fn poll_again(&mut self) -> Option<Bytes> {
        let message = self.kept.get(self.resent)?.clone();
        self.resent += 1;
        Some(message)
    }

    /// Number of the first that is kept.
    fn first(&self) -> u64 {
        // As many are kept as were numbered last.
        self.total + 1 - self.kept.len() as u64
    }
}

/// What has come.
#[derive(Debug)]
pub struct Received {
    /// The number of the message that comes next.
    next: u64,
    /// The highest number that has come.
    latest: u64,
    /// Nothing counts until a Sequence says what comes.
    waits: bool,
    /// Bytes that have come since the last acknowledgement.
    unacknowledged: usize,
    ack_due: Option<Duration>,
}

/// A peer goes on after messages that have never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("messages up to number {sent} were sent and those after number {come} have not come")]
pub struct Gap {
    /// Number of the last message that the peer thinks has come.
    pub sent: u64,
    /// Number of the last that has.
    pub come: u64,
}

impl Default for Received {
    fn default() -> Self {
        Self::new()
    }
}

impl Received {
    /// Nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: 1,
            latest: 0,
            waits: false,
            unacknowledged: 0,
            ack_due: None,
        }
    }

    /// The transport was replaced: the peer says first where it goes on.
    pub fn handle_resumed(&mut self) {
        self.waits = true;
    }

    /// Where the peer goes on.
    ///
    /// What counts is what has ever come. Microsoft's client counts what has come since the last
    /// Sequence, and finds a gap where there is none when a transport breaks while messages come
    /// again.
    ///
    /// # Errors
    /// It leaves something out.
    pub fn handle_sequence(&mut self, sequence_id: u64) -> Result<(), Gap> {
        self.waits = false;
        if sequence_id > self.latest.saturating_add(1) {
            return Err(Gap {
                sent: sequence_id - 1,
                come: self.latest,
            });
        }
        self.next = sequence_id;
        Ok(())
    }

    /// Whether a message of `length` bytes is to be taken: it is new, and not from before a
    /// Sequence. `counted` says whether it is of a kind that counts.
    pub fn handle_message(&mut self, counted: bool, length: usize, now: Duration) -> bool {
        if self.waits {
            return false;
        }
        if !counted {
            return true;
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        if number < self.latest {
            return false;
        }
        // A repetition of the last message is answered too: its sender has not heard that it came.
        self.unacknowledged = self.unacknowledged.saturating_add(length);
        if self.unacknowledged >= ACK_BYTES {
            self.ack_due = Some(now);
        }
        self.ack_due.get_or_insert(now + ACK_DELAY);
        if number == self.latest {
            return false;
        }
        self.latest = number;
        true
    }

    /// The number to acknowledge, once that is due.
    pub fn poll_ack(&mut self, now: Duration) -> Option<u64> {
        self.ack_due.take_if(|due| *due <= now)?;
        self.unacknowledged = 0;
        Some(self.latest)
    }

    /// When [`Received::poll_ack`] has something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.ack_due
    }
}

#[cfg(test)]
mod tests;
