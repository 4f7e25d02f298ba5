//! One connection of a client to a server, without input and output.
//!
//! The caller moves the bytes and keeps the time:
//!
//! 1. Hand what was read to [`Connection::handle_bytes`], as long as [`Connection::wants_input`].
//! 2. Draw [`Connection::poll_event`] until it gives none, and answer what is to be answered.
//! 3. Write what [`Connection::take_output`] gives, until it gives nothing, and begin again with 2:
//!    packets are not read while the output is full. Close a stream that takes nothing for long.
//! 4. Call [`Connection::handle_timeout`] when [`Connection::poll_timeout`] has come.
//! 5. When [`Connection::is_closed`], write the last output and close the stream;
//!    [`Connection::take_session`] gives what outlives it.
//!
//! Packets are read one at a time, when an event is asked for: a flood waits in the bytes it came
//! in. Acknowledgements leave in the order in which their messages came [MQTT-4.6.0-2],
//! [MQTT-4.6.0-3], whatever the order in which the caller gives them.
//!
//! Memory: what an idle connection holds is `size_of::<Connection>()` and one allocation of a few
//! hundred bytes; every buffer is made when first used, and given back once it is empty.

mod aliases;
mod event;
mod incoming;
mod limits;
mod login;
mod open;
mod outgoing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

pub use self::event::{ConnectionError, Delivered, DropReason, Event, Incoming, Token};
pub use self::limits::Limits;
use self::login::Login;
use self::open::Open;
use crate::packet::{
    Acknowledgement, Auth, Decoder, Disconnect, Packet, PacketId, Peer, ReasonCode, SubAck,
    UnsubAck, Version, encode,
};
use crate::session::Session;
use crate::text::Text;

/// How many bytes of a packet that is not yet whole count as a sign of life: a large packet on a
/// slow line may take longer than the keep-alive time, and its sender cannot ping in its midst.
const SIGN_OF_LIFE: usize = 1024;

/// One connection of a client to a server.
#[derive(Debug)]
pub struct Connection {
    limits: Arc<Limits>,
    version: Version,
    input: BytesMut,
    output: BytesMut,
    notices: VecDeque<Event>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first packet must be a CONNECT [MQTT-3.1.0-1].
    AwaitingConnect { until: Instant },
    /// The caller decides on a CONNECT or on a step of enhanced authentication.
    Deciding { until: Instant, login: Box<Login> },
    /// The client is to answer a challenge.
    Challenged { until: Instant, login: Box<Login> },
    /// The client is connected.
    Open(Box<Open>),
    /// Nothing more is read; what was written may still be sent.
    Closed { session: Option<Box<Session>> },
}

impl Connection {
    /// A connection of which nothing was read yet. The time to log in starts `now`.
    #[must_use]
    pub fn new(limits: Arc<Limits>, now: Instant) -> Self {
        Self {
            version: Version::V3_1_1,
            input: BytesMut::new(),
            output: BytesMut::new(),
            notices: VecDeque::new(),
            state: State::AwaitingConnect {
                until: now + limits.connect_time,
            },
            limits,
        }
    }

    /// What the connection may take.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The version of the protocol, once there was a CONNECT.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the client is connected: after `accept`, before any end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether the connection has ended. What [`Self::take_output`] still gives may be written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether more should be read from the stream: not while the caller decides on a login or
    /// owes acknowledgements, not while the client does not read what it is sent, and not once the
    /// connection has ended.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::AwaitingConnect { .. } | State::Challenged { .. } => true,
            State::Open(open) => !open.incoming.is_full(self.limits.incoming) && self.has_room(),
            State::Deciding { .. } | State::Closed { .. } => false,
        }
    }

    /// Whether anything may be added to the output.
    fn has_room(&self) -> bool {
        self.output.len() < self.limits.output
    }

    /// Takes bytes that were read. They count against the keep-alive time only as whole packets,
    /// or as every KiB of a large one: its sender cannot ping in its midst.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.is_closed() {
            return;
        }
        if let State::Open(open) = &mut self.state {
            open.unheard += bytes.len();
            if open.unheard >= SIGN_OF_LIFE {
                open.hear(now);
            }
        }
        self.input.extend_from_slice(bytes);
    }

    /// Reads the next packet and says what it means to the caller; `None` when more bytes or an
    /// answer of the caller must come first.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(notice);
            }
            let packet = match self.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return None,
                Err(error) => return Some(self.fail(error)),
            };
            match self.handle_packet(packet, now) {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(error) => return Some(self.fail(error)),
            }
        }
    }

    /// When [`Self::handle_timeout`] is to be called, unless something happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitingConnect { until }
            | State::Deciding { until, .. }
            | State::Challenged { until, .. } => Some(*until),
            State::Open(open) => open.silent_until(),
            State::Closed { .. } => None,
        }
    }

    /// Ends the connection when its time is over; an event will tell.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|until| now < until) {
            return;
        }
        let error = match &mut self.state {
            // Silence that we asked for by not reading is not the client's, unless it does not
            // read either.
            State::Open(open) if open.incoming.is_full(self.limits.incoming) => {
                return open.hear(now);
            }
            State::Open(_) => ConnectionError::KeepAlive,
            State::AwaitingConnect { .. }
            | State::Deciding { .. }
            | State::Challenged { .. }
            | State::Closed { .. } => ConnectionError::LoginTimeout,
        };
        let event = self.fail(error);
        self.notices.push_back(event);
    }

    /// What is to be written; nothing when there is no more. Room in the output is filled with
    /// what waits in the session, so that it should be asked again after each writing.
    pub fn take_output(&mut self, now: Instant) -> BytesMut {
        self.pump(now);
        std::mem::take(&mut self.output)
    }

    /// How many bytes wait to be written.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Answers a SUBSCRIBE. Words are left out when the client does not want them.
    pub fn answer_subscribe(&mut self, answer: SubAck) {
        self.send(Packet::SubAck(answer));
    }

    /// Answers an UNSUBSCRIBE. Words are left out when the client does not want them.
    pub fn answer_unsubscribe(&mut self, answer: UnsubAck) {
        self.send(Packet::UnsubAck(answer));
    }

    /// Acknowledges a message, or refuses it (5.0 only; in 3.1.1 every answer means that it was
    /// taken). The answer leaves once all messages that came before are answered too. A message of
    /// QoS 2 that was taken is noted in the session.
    pub fn acknowledge(&mut self, token: Token, reason: ReasonCode, words: Option<Text>) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.incoming.answer(token, reason, words);
        while let Some(packet) = self.next_acknowledgement() {
            self.send(packet);
        }
    }

    /// Lets the client forget a message of QoS 2 that it has, after [`Event::Received`].
    pub fn release(&mut self, packet_id: PacketId) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        if open.session.release(packet_id) {
            self.send(Packet::PubRel(Acknowledgement::new(
                packet_id,
                ReasonCode::Success,
            )));
        }
    }

    /// Lets the client use the identifier of a message of QoS 2 again, after [`Event::Released`].
    pub fn complete(&mut self, packet_id: PacketId) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        if open.session.forget_received(packet_id) {
            open.incoming.release();
            self.send(Packet::PubComp(Acknowledgement::new(
                packet_id,
                ReasonCode::Success,
            )));
        }
    }

    /// Goes on with an authentication that the client has started anew: with `Success` it is done,
    /// with `ContinueAuthentication` the client is asked for more.
    pub fn continue_authentication(&mut self, auth: Auth) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.authentication_goes_on(auth.reason);
        self.send(Packet::Auth(Box::new(auth)));
    }

    /// Ends the connection for a reason of the server's. A client of 3.1.1 is told nothing.
    pub fn disconnect(&mut self, disconnect: Disconnect) {
        if self.is_open() && self.version == Version::V5 {
            self.send(Packet::Disconnect(disconnect));
        }
        self.close();
    }

    /// What outlives the connection, which ends with this. `None` when there was no login, or when
    /// it was taken before.
    pub fn take_session(&mut self) -> Option<Session> {
        self.close();
        match &mut self.state {
            State::Closed { session } => session.take().map(|session| *session),
            State::AwaitingConnect { .. }
            | State::Deciding { .. }
            | State::Challenged { .. }
            | State::Open(_) => None,
        }
    }

    /// The client's session while it is connected.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Open(open) => Some(&open.session),
            State::AwaitingConnect { .. }
            | State::Deciding { .. }
            | State::Challenged { .. }
            | State::Closed { .. } => None,
        }
    }

    /// The client's session while it is connected, for its subscriptions to be changed.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Open(open) => Some(&mut open.session),
            State::AwaitingConnect { .. }
            | State::Deciding { .. }
            | State::Challenged { .. }
            | State::Closed { .. } => None,
        }
    }

    fn next_packet(&mut self) -> Result<Option<Packet>, ConnectionError> {
        let max_size = match &self.state {
            State::AwaitingConnect { .. } | State::Challenged { .. } => self.limits.connect_size,
            // Answers would pile up.
            State::Open(_) if !self.has_room() => return Ok(None),
            State::Open(open) if open.incoming.is_full(self.limits.incoming) => {
                // Who was told how many may be sent has broken it; who was not waits.
                if self.version < Version::V5 {
                    return Ok(None);
                }
                self.limits.packet_size as usize
            }
            State::Open(_) => self.limits.packet_size as usize,
            State::Deciding { .. } | State::Closed { .. } => return Ok(None),
        };
        let decoder = Decoder {
            version: self.version,
            max_size,
            from: Peer::Client,
        };
        let packet = decoder.decode(&mut self.input)?;
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(packet)
    }

    fn handle_packet(
        &mut self,
        packet: Packet,
        now: Instant,
    ) -> Result<Option<Event>, ConnectionError> {
        match &mut self.state {
            State::AwaitingConnect { .. } | State::Challenged { .. } => {
                self.handle_login_packet(packet).map(Some)
            }
            State::Open(open) => {
                open.hear(now);
                self.handle_open_packet(packet, now)
            }
            State::Deciding { .. } | State::Closed { .. } => Ok(None),
        }
    }

    /// Writes a packet. Words that the client does not want, or that make the packet too large for
    /// it, are left out [MQTT-3.1.2-29], [MQTT-3.4.2-2].
    fn send(&mut self, packet: Packet) {
        let State::Open(open) = &self.state else {
            return;
        };
        let packet = if open.terms.problem_information {
            packet
        } else {
            without_words(packet)
        };
        let before = self.output.len();
        let most = open.terms.packet_size;
        let too_large = |output: &BytesMut| output.len() - before > most as usize;
        if encode(&packet, self.version, &mut self.output).is_ok() && !too_large(&self.output) {
            return;
        }
        self.output.truncate(before);
        if encode(&without_words(packet), self.version, &mut self.output).is_err()
            || too_large(&self.output)
        {
            self.output.truncate(before);
        }
    }

    fn fail(&mut self, error: ConnectionError) -> Event {
        match &self.state {
            State::AwaitingConnect { .. } | State::Deciding { .. } => self.answer_bad_login(error),
            State::Challenged { .. } | State::Open(_) | State::Closed { .. } => {}
        }
        let mut reason = error.reason();
        if reason == ReasonCode::UnsupportedProtocolVersion {
            // Only a second CONNECT can have another version here.
            reason = ReasonCode::ProtocolError;
        }
        self.disconnect(Disconnect::new(reason));
        Event::Failed(error)
    }

    fn close(&mut self) {
        if self.is_closed() {
            return;
        }
        self.input = BytesMut::new();
        let ended = std::mem::replace(&mut self.state, State::Closed { session: None });
        if let State::Open(open) = ended {
            let mut session = open.session;
            session.rewind();
            self.state = State::Closed {
                session: Some(Box::new(session)),
            };
        }
    }
}

/// One and a half times the keep-alive time [MQTT-3.1.2-22].
fn patience(keep_alive: u16) -> Option<Duration> {
    (keep_alive > 0).then(|| Duration::from_secs(keep_alive.into()) * 3 / 2)
}

/// The packet without reason string and user properties, where it has any.
fn without_words(mut packet: Packet) -> Packet {
    match &mut packet {
        Packet::PubAck(answer)
        | Packet::PubRec(answer)
        | Packet::PubRel(answer)
        | Packet::PubComp(answer) => {
            answer.reason_string = None;
            answer.user_properties.clear();
        }
        Packet::SubAck(answer) => {
            answer.reason_string = None;
            answer.user_properties.clear();
        }
        Packet::UnsubAck(answer) => {
            answer.reason_string = None;
            answer.user_properties.clear();
        }
        Packet::Auth(auth) => {
            auth.reason_string = None;
            auth.user_properties.clear();
        }
        // These may have words, whatever the client wants (section 3.1.2.11.7).
        Packet::Connect(_)
        | Packet::ConnAck(_)
        | Packet::Publish(_)
        | Packet::Disconnect(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::PingReq
        | Packet::PingResp => {}
    }
    packet
}
