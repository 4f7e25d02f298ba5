//! Messages from the client, and the order of their acknowledgements.

use std::collections::VecDeque;

use crate::connection::{Connection, ConnectionError, Event, Incoming, State, Token};
use crate::packet::{
    Acknowledgement, Delivery, Packet, PacketId, Publish, QoS, ReasonCode, Version,
};
use crate::text::Text;

/// Messages that the client waits to have acknowledged.
#[derive(Debug, Default)]
pub(super) struct IncomingState {
    /// In the order in which they came.
    pending: VecDeque<Pending>,
    /// The token of the first of them.
    first: u64,
    /// How many messages of QoS 2 were taken on this connection and not released yet.
    unreleased: u16,
}

#[derive(Debug)]
struct Pending {
    packet_id: PacketId,
    qos: QoS,
    answer: Option<(ReasonCode, Option<Text>)>,
}

impl IncomingState {
    /// Whether as many messages are unacknowledged as are taken at once.
    pub(super) fn is_full(&self, most: u16) -> bool {
        self.pending.len() >= usize::from(most.max(1))
    }

    /// Whether the client may not send another message of QoS 1 or 2 [MQTT-3.3.4-7].
    fn is_window_full(&self, most: u16) -> bool {
        self.pending.len() + usize::from(self.unreleased) >= usize::from(most.max(1))
    }

    /// Whether a message of this identifier waits for its acknowledgement.
    pub(super) fn is_pending(&self, packet_id: PacketId) -> bool {
        self.pending
            .iter()
            .any(|pending| pending.packet_id == packet_id)
    }

    /// Notes the release of a message of QoS 2.
    pub(super) fn release(&mut self) {
        self.unreleased = self.unreleased.saturating_sub(1);
    }

    pub(super) fn answer(&mut self, token: Token, reason: ReasonCode, words: Option<Text>) {
        let place = token
            .0
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(pending) = place.and_then(|place| self.pending.get_mut(place)) {
            pending.answer.get_or_insert((reason, words));
        }
    }

    fn push(&mut self, packet_id: PacketId, qos: QoS) -> Token {
        self.pending.push_back(Pending {
            packet_id,
            qos,
            answer: None,
        });
        Token(self.first + self.pending.len() as u64 - 1)
    }

    /// Takes the first message away if it was answered.
    fn pop_answered(&mut self) -> Option<(PacketId, QoS, ReasonCode, Option<Text>)> {
        self.pending.front()?.answer.as_ref()?;
        let Pending {
            packet_id,
            qos,
            answer,
        } = self.pending.pop_front()?;
        self.first += 1;
        let (reason, words) = answer?;
        Some((packet_id, qos, reason, words))
    }
}

impl Connection {
    pub(super) fn handle_publish(
        &mut self,
        publish: Publish,
    ) -> Result<Option<Event>, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(None);
        };
        let topic = open.incoming_aliases.resolve(
            publish.topic,
            publish.topic_alias,
            self.limits.incoming_aliases,
        )?;
        if publish.delivery.qos() > open.terms.maximum_qos {
            return Err(ConnectionError::QoS);
        }
        if publish.retain && !open.terms.retain_available {
            return Err(ConnectionError::Retain);
        }
        let token = match self.admit(publish.delivery)? {
            Admission::Taken(token) => token,
            Admission::Repeated => return Ok(None),
        };
        Ok(Some(Event::Publish(Box::new(Incoming {
            token,
            topic,
            payload: publish.payload,
            delivery: publish.delivery,
            retain: publish.retain,
            properties: publish.properties,
        }))))
    }

    /// Lines a message up for its acknowledgement, unless it is a repetition.
    fn admit(&mut self, delivery: Delivery) -> Result<Admission, ConnectionError> {
        let State::Open(open) = &mut self.state else {
            return Ok(Admission::Repeated);
        };
        let Some(packet_id) = delivery.packet_id() else {
            return Ok(Admission::Taken(None));
        };
        if open.incoming.is_pending(packet_id) {
            // Clients of 3.1 repeat on the same connection; the answer to the first will do.
            return if delivery.is_duplicate() {
                Ok(Admission::Repeated)
            } else {
                Err(ConnectionError::Unexpected(
                    "a packet identifier that is in use",
                ))
            };
        }
        let is_known =
            delivery.qos() == QoS::ExactlyOnce && open.session.received().contains(&packet_id);
        if is_known && open.incoming.pending.is_empty() {
            let answer = Acknowledgement::new(packet_id, ReasonCode::Success);
            self.send(Packet::PubRec(answer));
            return Ok(Admission::Repeated);
        }
        if self.version == Version::V5 && open.incoming.is_window_full(self.limits.incoming) {
            return Err(ConnectionError::ReceiveMaximum);
        }
        let token = open.incoming.push(packet_id, delivery.qos());
        if is_known {
            // It leaves behind those that came before it.
            open.incoming.answer(token, ReasonCode::Success, None);
            return Ok(Admission::Repeated);
        }
        Ok(Admission::Taken(Some(token)))
    }

    /// The next acknowledgement that may leave.
    pub(super) fn next_acknowledgement(&mut self) -> Option<Packet> {
        let State::Open(open) = &mut self.state else {
            return None;
        };
        let (packet_id, qos, reason, words) = open.incoming.pop_answered()?;
        let answer = Acknowledgement {
            reason_string: words,
            ..Acknowledgement::new(packet_id, reason)
        };
        if qos != QoS::ExactlyOnce {
            return Some(Packet::PubAck(answer));
        }
        // 3.1.1 cannot say that it failed: whatever was answered ends with PUBREL and PUBCOMP.
        if !reason.is_failure() || self.version < Version::V5 {
            let is_new = open.session.record_received(packet_id);
            open.incoming.unreleased = open.incoming.unreleased.saturating_add(is_new.into());
        }
        Some(Packet::PubRec(answer))
    }
}

/// What becomes of a message that came.
enum Admission {
    /// It is new; QoS 1 and 2 are acknowledged by the token.
    Taken(Option<Token>),
    /// It is one that came before.
    Repeated,
}
