//! A server's end of a connection, from its handshake to its end, whatever carries it.
//!
//! Feed it with what the transport delivers and with the time, and after each draw events and
//! output until there are none:
//!
//! ```text
//! handle_transport, handle_bytes, handle_timeout ──> Connection ──> poll_event, poll_output
//!                                  send, close  ──>             ──> poll_timeout
//! ```
//!
//! `now` is the time since a moment that the caller chooses, the same in all calls.

mod events;
mod queue;
mod sending;
mod settings;
mod tables;
mod under_way;
mod wording;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::encode::{self, Plain};
use crate::framing::Records;
use crate::handshake::{Answer, HANDSHAKE_MAX, Protocol, Request};
use crate::negotiate::Transport;
use crate::payload::{Arguments, Payload};
use crate::replay::{Received, Sent};
use crate::{Completed, Message, ProtocolError, json, message_pack};

pub use events::{Called, End, Event};
use queue::Queue;
pub use queue::{Frame, Overrun, SlowPeer};
pub use settings::Settings;
use tables::Tables;
pub use tables::{Drained, Full, Handles};

#[derive(Debug)]
enum Phase {
    /// Nothing but a handshake is taken, and nothing is sent. `until` is known once there is a
    /// transport.
    Handshake {
        until: Option<Duration>,
    },
    Open {
        protocol: Protocol,
    },
    /// Nothing more is taken; `end` is told once.
    Ended {
        end: Option<End>,
    },
}

/// What a stateful connection needs beside.
#[derive(Debug)]
struct Replay {
    sent: Sent,
    received: Received,
}

/// A connection; see the module.
#[derive(Debug)]
pub struct Connection<H: Handles> {
    settings: Arc<Settings>,
    phase: Phase,
    records: Records,
    /// What is not counted and goes before everything else: the handshake's answer, pings,
    /// acknowledgements.
    ahead: VecDeque<Bytes>,
    queue: Queue,
    /// The very last message.
    farewell: Option<Bytes>,
    replay: Option<Box<Replay>>,
    tables: Option<Box<Tables<H>>>,
    transport: Option<Transport>,
    binary: bool,
    heard: Duration,
    said: Duration,
}

impl<H: Handles> Connection<H> {
    /// A connection that has no transport yet. `stateful` says whether it may get another after
    /// its first.
    #[must_use]
    pub fn new(settings: Arc<Settings>, stateful: bool) -> Self {
        let replay = stateful.then(|| {
            Box::new(Replay {
                sent: Sent::new(settings.replay_max),
                received: Received::new(),
            })
        });
        Self {
            records: Records::new(HANDSHAKE_MAX),
            settings,
            phase: Phase::Handshake { until: None },
            ahead: VecDeque::new(),
            queue: Queue::default(),
            farewell: None,
            replay,
            tables: None,
            transport: None,
            binary: false,
            heard: Duration::ZERO,
            said: Duration::ZERO,
        }
    }

    /// What its messages are in, once that is known.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        match self.phase {
            Phase::Open { protocol } => Some(protocol),
            Phase::Handshake { .. } | Phase::Ended { .. } => None,
        }
    }

    /// Whether output is bytes rather than text.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// Whether it goes on over another transport.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether nothing more is taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// A transport stands: the first one, or for a stateful connection the next. What comes over
    /// the one before must not be handed in any more.
    pub fn handle_transport(&mut self, transport: Transport, now: Duration) {
        let first = self.transport.replace(transport).is_none();
        (self.heard, self.said) = (now, now);
        if let Phase::Handshake { until } = &mut self.phase {
            *until = Some(now + self.settings.handshake_timeout);
        }
        let Phase::Open { protocol } = self.phase else {
            return;
        };
        if let Some(replay) = self.replay.as_mut().filter(|_| !first) {
            // Half a record of the old transport's comes again as a whole.
            self.records = Records::new(self.settings.message_max);
            replay.received.handle_resumed();
            let first = replay.sent.handle_resumed();
            self.ahead.clear();
            self.ahead
                .push_back(encode::plain(protocol, &Plain::Sequence(first)));
        }
    }

    /// Takes what the transport delivers. Draw all events before the next piece: what is not drawn
    /// stays in memory.
    pub fn handle_bytes(&mut self, piece: &[u8], now: Duration) {
        if !self.is_ended() {
            self.heard = now;
            self.records.handle_bytes(piece);
        }
    }

    /// The next thing that came to pass.
    pub fn poll_event(&mut self, now: Duration) -> Option<Event<H>> {
        loop {
            match &mut self.phase {
                Phase::Ended { end } => return end.take().map(Event::Ended),
                Phase::Handshake { .. } => match self.shake_hands() {
                    Ok(true) => return Some(Event::Opened),
                    Ok(false) => return None,
                    Err((error, end)) => self.refuse(error, end),
                },
                Phase::Open { protocol } => {
                    let protocol = *protocol;
                    let (message, length) = match self.next_message(protocol) {
                        Ok(Next::Nothing) => {
                            self.records.tidy();
                            return None;
                        }
                        Ok(Next::Unknown) => continue,
                        Ok(Next::Message(message, length)) => (message, length),
                        Err(error) => {
                            self.break_off(End::Protocol(error));
                            continue;
                        }
                    };
                    let event = self.take(message, length, now);
                    self.acknowledge(protocol, now);
                    if event.is_some() {
                        return event;
                    }
                }
            }
        }
    }

    /// True when the hands are shaken, false while the handshake is not there yet.
    fn shake_hands(&mut self) -> Result<bool, (String, End)> {
        let broken = |error| (wording::HANDSHAKE_FAILED.to_owned(), End::Protocol(error));
        let Some(record) = self.records.poll_text().map_err(broken)? else {
            return Ok(false);
        };
        let request = Request::read(record).map_err(broken)?;
        let refused = |error: String| (error.clone(), End::Refused(error));
        let protocol = Protocol::of(&request.protocol)
            .filter(|protocol| self.settings.protocols.contains(protocol))
            .ok_or_else(|| refused(wording::no_protocol(&request.protocol)))?;
        let version_max = if self.replay.is_some() { 2 } else { 1 };
        if request.version > version_max {
            return Err(refused(wording::no_version(request.version, protocol)));
        }
        let binary = protocol == Protocol::MessagePack;
        if binary && self.transport.is_some_and(|it| !it.is_binary()) {
            return Err(refused(wording::NO_BINARY.to_owned()));
        }
        if request.version < version_max {
            // Clients that have come to another transport than WebSockets acknowledge nothing.
            self.replay = None;
        }
        self.binary = binary;
        self.records.limit(self.settings.message_max);
        self.phase = Phase::Open { protocol };
        self.ahead.push_back(Answer::WELCOME.to_bytes().into());
        Ok(true)
    }

    fn refuse(&mut self, error: String, end: End) {
        let error = Some(error);
        self.farewell = Some(Answer { error }.to_bytes().into());
        self.phase = Phase::Ended { end: Some(end) };
    }

    fn next_message(&mut self, protocol: Protocol) -> Result<Next, ProtocolError> {
        let record = match protocol {
            Protocol::Json => self.records.poll_text()?,
            Protocol::MessagePack => self.records.poll_binary()?,
        };
        let Some(record) = record else {
            return Ok(Next::Nothing);
        };
        let message = match protocol {
            Protocol::Json => json::read(record)?.map(Either::Json),
            Protocol::MessagePack => message_pack::read(record)?.map(Either::MessagePack),
        };
        Ok(message.map_or(Next::Unknown, |message| {
            Next::Message(message, record.len())
        }))
    }

    fn take(&mut self, message: Either, length: usize, now: Duration) -> Option<Event<H>> {
        match message {
            Either::Json(message) => {
                self.count(&message, length, now)?;
                self.handle(message, Arguments::Json, Payload::Json)
            }
            Either::MessagePack(message) => {
                self.count(&message, length, now)?;
                self.handle(message, Arguments::MessagePack, Payload::MessagePack)
            }
        }
    }

    /// Counts a message of so many bytes where the connection may outlive its transport; `None`
    /// where it is not to be handled further.
    fn count<V>(&mut self, message: &Message<V>, length: usize, now: Duration) -> Option<()> {
        let Some(replay) = &mut self.replay else {
            return Some(());
        };
        if let Message::Sequence { sequence_id } = message {
            let gap = replay.received.handle_sequence(*sequence_id).err()?;
            self.break_off(End::Lost(gap));
            return None;
        }
        let counted = message.is_counted();
        let taken = replay.received.handle_message(counted, length, now);
        taken.then_some(())
    }

    fn handle<V>(
        &mut self,
        message: Message<V>,
        arguments: impl FnOnce(Vec<V>) -> Arguments,
        payload: impl FnOnce(V) -> Payload,
    ) -> Option<Event<H>> {
        match message {
            Message::Invocation { id, call } => Some(called(id, call, arguments, false)),
            Message::StreamInvocation { id, call } => Some(called(Some(id), call, arguments, true)),
            Message::StreamItem { id, item, .. } => {
                let upload = self.tables.as_ref()?.upload(&id)?;
                let item = payload(item);
                Some(Event::Item { upload, item })
            }
            Message::Completion { id, completed, .. } => self.completed(
                &id,
                match completed {
                    Completed::Void => Completed::Void,
                    Completed::Result(result) => Completed::Result(payload(result)),
                    Completed::Error(error) => Completed::Error(error),
                },
            ),
            Message::CancelInvocation { id, .. } => {
                let download = self.tables.as_ref()?.download(&id)?;
                Some(Event::Cancelled { download })
            }
            Message::Close { error, .. } => {
                self.phase = Phase::Ended {
                    end: Some(End::Client { error }),
                };
                None
            }
            Message::Ack { sequence_id } => {
                self.replay.as_mut()?.sent.handle_ack(sequence_id);
                None
            }
            Message::Ping | Message::Sequence { .. } => None,
        }
    }

    fn completed(&mut self, id: &str, completed: Completed<Payload>) -> Option<Event<H>> {
        let tables = self.tables.as_mut()?;
        if let Some(waiting) = tables.answered(id) {
            return Some(Event::Answered { waiting, completed });
        }
        let upload = tables.close_upload(id)?;
        let error = match completed {
            Completed::Void | Completed::Result(_) => None,
            Completed::Error(error) => Some(error),
        };
        Some(Event::Uploaded { upload, error })
    }

    /// Ends it for a fault, and says so.
    fn break_off(&mut self, end: End) {
        let text = wording::closed(&end, self.settings.detailed_errors);
        self.say_farewell(Some(&text), false);
        self.phase = Phase::Ended { end: Some(end) };
    }

    fn say_farewell(&mut self, error: Option<&str>, allow_reconnect: bool) {
        if let Phase::Open { protocol } = self.phase {
            let close = Plain::Close {
                error,
                allow_reconnect,
            };
            self.farewell = Some(encode::plain(protocol, &close));
        }
    }
}

/// What a record was.
enum Next {
    Nothing,
    /// A message of a kind that is not known.
    Unknown,
    /// With its length in bytes.
    Message(Either, usize),
}

enum Either {
    Json(Message<json::Raw>),
    MessagePack(Message<message_pack::Value>),
}

fn called<V, H: Handles>(
    id: Option<String>,
    call: crate::Call<V>,
    arguments: impl FnOnce(Vec<V>) -> Arguments,
    streamed: bool,
) -> Event<H> {
    Event::Called(Called {
        id,
        target: call.target,
        arguments: arguments(call.arguments),
        stream_ids: call.stream_ids,
        headers: call.headers,
        streamed,
    })
}

#[cfg(test)]
mod tests;
