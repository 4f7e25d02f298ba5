//! A connection whose client has logged in.

use std::time::Instant;

use crate::connection::aliases::{IncomingAliases, OutgoingAliases};
use crate::connection::incoming::IncomingState;
use crate::connection::{Connection, ConnectionError, Event, State, patience};
use crate::packet::{
    Acknowledgement, Auth, Disconnect, Packet, PacketId, QoS, ReasonCode, Version,
};
use crate::session::{Queued, Session};
use crate::text::Text;

/// What a connected client's connection keeps.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) terms: Terms,
    pub(super) session: Session,
    pub(super) incoming: IncomingState,
    pub(super) incoming_aliases: IncomingAliases,
    pub(super) outgoing_aliases: OutgoingAliases,
    /// When the client was last heard of.
    heard_at: Instant,
    /// How many bytes came since.
    pub(super) unheard: usize,
    renewal: Renewal,
}

/// What client and server have agreed on.
#[derive(Debug)]
pub(super) struct Terms {
    /// In seconds; 0: none.
    pub(super) keep_alive: u16,
    /// How many messages of QoS 1 and 2 are sent at once.
    pub(super) window: u16,
    /// The largest packet that the client takes, in bytes.
    pub(super) packet_size: u32,
    /// The highest topic alias towards the client.
    pub(super) aliases: u16,
    /// Whether the client wants reason strings and user properties.
    pub(super) problem_information: bool,
    /// In seconds.
    pub(super) session_expiry: u32,
    pub(super) maximum_qos: QoS,
    pub(super) retain_available: bool,
    /// The method of enhanced authentication, when there was any.
    pub(super) method: Option<Text>,
}

/// Where an authentication stands that was started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    None,
    /// The server decides.
    Deciding,
    /// The client is to say more.
    Challenged,
}

impl Open {
    pub(super) fn new(terms: Terms, session: Session, now: Instant) -> Self {
        Self {
            terms,
            session,
            incoming: IncomingState::default(),
            incoming_aliases: IncomingAliases::default(),
            outgoing_aliases: OutgoingAliases::default(),
            heard_at: now,
            unheard: 0,
            renewal: Renewal::None,
        }
    }

    /// Notes a sign of life. Only what comes in is one: what is sent says nothing of the client.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard_at = now;
        self.unheard = 0;
    }

    pub(super) fn silent_until(&self) -> Option<Instant> {
        Some(self.heard_at + patience(self.terms.keep_alive)?)
    }

    pub(super) fn authentication_goes_on(&mut self, reason: ReasonCode) {
        self.renewal = if reason == ReasonCode::ContinueAuthentication {
            Renewal::Challenged
        } else {
            Renewal::None
        };
    }

    fn handle_auth(&mut self, auth: Box<Auth>) -> Result<Event, ConnectionError> {
        self.terms.check_method(&auth)?;
        match (self.renewal, auth.reason) {
            (Renewal::None, ReasonCode::ReAuthenticate)
            | (Renewal::Challenged, ReasonCode::ContinueAuthentication) => {
                self.renewal = Renewal::Deciding;
                Ok(Event::Auth(auth))
            }
            _ => Err(ConnectionError::Unexpected(
                "AUTH does not go on with what was",
            )),
        }
    }

    fn handle_disconnect(&self, disconnect: &Disconnect) -> Result<(), ConnectionError> {
        if disconnect.server_reference.is_some() {
            return Err(ConnectionError::Unexpected(
                "a client sent a server reference",
            ));
        }
        // [MQTT-3.14.2-2] and section 3.14.2.2.2
        if self.terms.session_expiry == 0 && disconnect.session_expiry.is_some_and(|end| end > 0) {
            return Err(ConnectionError::Unexpected(
                "a session expiry where there was none",
            ));
        }
        Ok(())
    }
}

impl Connection {
    pub(super) fn handle_open_packet(
        &mut self,
        packet: Packet,
        now: Instant,
    ) -> Result<Option<Event>, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        match packet {
            Packet::Publish(publish) => self.handle_publish(*publish),
            Packet::PubAck(answer) => self.handle_puback(&answer, now),
            Packet::PubRec(answer) => self.handle_pubrec(&answer, now),
            Packet::PubRel(answer) => self.handle_pubrel(&answer),
            Packet::PubComp(answer) => self.handle_pubcomp(&answer, now),
            Packet::Subscribe(subscribe) => Ok(Some(Event::Subscribe(subscribe))),
            Packet::Unsubscribe(unsubscribe) => Ok(Some(Event::Unsubscribe(unsubscribe))),
            Packet::PingReq => {
                self.send(Packet::PingResp);
                Ok(None)
            }
            Packet::Disconnect(disconnect) => {
                open.handle_disconnect(&disconnect)?;
                self.close();
                Ok(Some(Event::Disconnect(Box::new(disconnect))))
            }
            Packet::Auth(auth) => open.handle_auth(auth).map(Some),
            // [MQTT-3.1.0-2]
            Packet::Connect(_) => Err(ConnectionError::Unexpected("a second CONNECT")),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => Err(
                ConnectionError::Unexpected("a packet that only goes the other way"),
            ),
        }
    }

    fn handle_puback(
        &mut self,
        answer: &Acknowledgement,
        now: Instant,
    ) -> Result<Option<Event>, ConnectionError> {
        let settled = self.settle(answer.packet_id, |queued| match queued {
            Queued::Publish { outgoing, .. } => outgoing.qos == QoS::AtLeastOnce,
            Queued::Release { .. } => false,
        })?;
        self.pump(now);
        Ok(settled.map(|key| Event::Settled {
            key,
            reason: answer.reason,
        }))
    }

    fn handle_pubrec(
        &mut self,
        answer: &Acknowledgement,
        now: Instant,
    ) -> Result<Option<Event>, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        let packet_id = answer.packet_id;
        match open.session.find(packet_id) {
            Some(Queued::Publish { outgoing, .. }) if outgoing.qos == QoS::ExactlyOnce => {
                let key = outgoing.key;
                if !answer.reason.is_failure() {
                    return Ok(Some(Event::Received { key, packet_id }));
                }
                open.session.settle(packet_id, |_| true);
                self.pump(now);
                Ok(Some(Event::Settled {
                    key,
                    reason: answer.reason,
                }))
            }
            Some(Queued::Publish { .. }) => {
                Err(ConnectionError::Unexpected("PUBREC for a message of QoS 1"))
            }
            Some(Queued::Release { .. }) => {
                self.send(Packet::PubRel(Acknowledgement::new(
                    packet_id,
                    ReasonCode::Success,
                )));
                Ok(None)
            }
            // The client may forget what we know nothing of (section 4.3.3).
            None => {
                let reason = ReasonCode::PacketIdentifierNotFound;
                self.send(Packet::PubRel(Acknowledgement::new(packet_id, reason)));
                Ok(None)
            }
        }
    }

    fn handle_pubcomp(
        &mut self,
        answer: &Acknowledgement,
        now: Instant,
    ) -> Result<Option<Event>, ConnectionError> {
        let settled = self.settle(answer.packet_id, |queued| match queued {
            Queued::Publish { .. } => false,
            Queued::Release { .. } => true,
        })?;
        self.pump(now);
        // That the client did not know the identifier any more is no failure of delivery.
        Ok(settled.map(|key| Event::Settled {
            key,
            reason: ReasonCode::Success,
        }))
    }

    /// Settles what is in flight under `packet_id`; `None` when there is nothing, which may happen
    /// after a reconnection.
    fn settle(
        &mut self,
        packet_id: PacketId,
        is_expected: impl Fn(&Queued) -> bool,
    ) -> Result<Option<u64>, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        if open.session.find(packet_id).is_none() {
            return Ok(None);
        }
        let settled = open.session.settle(packet_id, is_expected);
        settled.map_or(
            Err(ConnectionError::Unexpected(
                "an acknowledgement that is not the next step",
            )),
            |key| Ok(Some(key)),
        )
    }

    fn handle_pubrel(
        &mut self,
        answer: &Acknowledgement,
    ) -> Result<Option<Event>, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        let packet_id = answer.packet_id;
        if open.incoming.is_pending(packet_id) {
            return Err(ConnectionError::Unexpected("PUBREL before PUBREC"));
        }
        if open.session.received().contains(&packet_id) {
            return Ok(Some(Event::Released { packet_id }));
        }
        let reason = if self.version < Version::V5 {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        };
        self.send(Packet::PubComp(Acknowledgement::new(packet_id, reason)));
        Ok(None)
    }
}
