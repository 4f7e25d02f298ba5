//! Messages for the client.

use std::time::Instant;

use crate::connection::aliases::Alias;
use crate::connection::open::Open;
use crate::connection::{Connection, Delivered, DropReason, Event, State};
use crate::packet::{
    Acknowledgement, Delivery, MessageCopy, Packet, PacketId, QoS, ReasonCode, Version, encode,
};
use crate::session::{Outgoing, Queued};

/// How many bytes a topic alias takes.
const ALIAS_LENGTH: usize = 3;

impl Connection {
    /// Sends a message, now or when its turn comes. Of QoS 1 and 2 events will tell what became of
    /// it; of QoS 0 this answer is the last word.
    pub fn deliver(&mut self, outgoing: Outgoing, now: Instant) -> Delivered {
        let State::Open(open) = &mut self.state else {
            return Delivered::Dropped(DropReason::NotConnected);
        };
        if outgoing.qos == QoS::AtMostOnce {
            return self.deliver_at_most_once(&outgoing, now);
        }
        if open.session.push(outgoing).is_err() {
            return Delivered::Dropped(DropReason::Full);
        }
        self.pump(now);
        match &self.state {
            State::Open(open) if open.session.next_waiting().is_none() => Delivered::Sent,
            State::Open(_)
            | State::AwaitingConnect { .. }
            | State::Deciding { .. }
            | State::Challenged { .. }
            | State::Closed { .. } => Delivered::Queued,
        }
    }

    fn deliver_at_most_once(&mut self, outgoing: &Outgoing, now: Instant) -> Delivered {
        let State::Open(open) = &mut self.state else {
            return Delivered::Dropped(DropReason::NotConnected);
        };
        if self.output.len() >= self.limits.output {
            return Delivered::Dropped(DropReason::Slow);
        }
        if outgoing.message.has_expired(now) {
            return Delivered::Dropped(DropReason::Expired);
        }
        let delivery = Delivery::AtMostOnce;
        match open.write(outgoing, delivery, self.version, now, &mut self.output) {
            Ok(()) => Delivered::Sent,
            Err(why) => Delivered::Dropped(why),
        }
    }

    /// Sends what waits in the session, as far as the window and the output have room.
    pub(super) fn pump(&mut self, now: Instant) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        while self.output.len() < self.limits.output {
            let dropped = match open.session.next_waiting() {
                None => return,
                Some(Queued::Release { packet_id, .. }) => {
                    let answer = Acknowledgement::new(*packet_id, ReasonCode::Success);
                    let _ = encode(&Packet::PubRel(answer), self.version, &mut self.output);
                    None
                }
                Some(Queued::Publish { .. })
                    if open.session.in_flight() >= usize::from(open.terms.window) =>
                {
                    return;
                }
                Some(Queued::Publish {
                    outgoing,
                    sent_before: false,
                    ..
                }) if outgoing.message.has_expired(now) => Some(DropReason::Expired),
                Some(Queued::Publish {
                    packet_id,
                    outgoing,
                    sent_before,
                }) => {
                    let delivery = delivery(outgoing.qos, *packet_id, *sent_before);
                    let outgoing = outgoing.clone();
                    open.write(&outgoing, delivery, self.version, now, &mut self.output)
                        .err()
                }
            };
            match dropped {
                None => {
                    open.session.send_next();
                }
                Some(why) => {
                    let key = open.session.drop_next();
                    self.notices
                        .extend(key.map(|key| Event::Dropped { key, why }));
                }
            }
        }
    }
}

impl Open {
    fn write(
        &mut self,
        outgoing: &Outgoing,
        delivery: Delivery,
        version: Version,
        now: Instant,
        output: &mut bytes::BytesMut,
    ) -> Result<(), DropReason> {
        let message = &outgoing.message;
        let copy = MessageCopy {
            delivery,
            retain: outgoing.retain,
            subscription_ids: &outgoing.subscription_ids,
            topic_alias: None,
            message_expiry: message.expiry_at(now),
        };
        let most = self.terms.packet_size as usize;
        let length = message.copy_length(&copy, version);
        if length > most {
            return Err(DropReason::TooLarge);
        }
        // The lengths may take one byte more each when the alias does.
        let alias = if version == Version::V5 && length + ALIAS_LENGTH + 2 <= most {
            self.outgoing_aliases
                .assign(message.topic(), self.terms.aliases)
        } else {
            None
        };
        let written = match alias {
            None => message.write_copy(&copy, version, output),
            Some(Alias::New(alias)) => message.write_copy(
                &MessageCopy {
                    topic_alias: Some(alias),
                    ..copy
                },
                version,
                output,
            ),
            Some(Alias::Known(alias)) => message.write_aliased_copy(
                &MessageCopy {
                    topic_alias: Some(alias),
                    ..copy
                },
                output,
            ),
        };
        written.map_err(|_| DropReason::TooLarge)
    }
}

fn delivery(qos: QoS, packet_id: PacketId, duplicate: bool) -> Delivery {
    match Delivery::first(qos, packet_id) {
        Delivery::AtMostOnce => Delivery::AtMostOnce,
        Delivery::AtLeastOnce { packet_id, .. } => Delivery::AtLeastOnce {
            packet_id,
            duplicate,
        },
        Delivery::ExactlyOnce { packet_id, .. } => Delivery::ExactlyOnce {
            packet_id,
            duplicate,
        },
    }
}
