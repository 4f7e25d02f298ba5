//! A device that does as the standard says (MQTT 5.0, section 4.3.3), and never forgets.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};

use outgate_mqtt::packet::{
    Acknowledgement, Connect, Decoder, Delivery, Packet, PacketId, Peer, Publish, ReasonCode,
    Version, encode,
};
use outgate_mqtt::topics::TopicName;

use crate::client::{id, text};

/// How many messages the device sends at once; the server takes no more.
pub(super) const AT_ONCE: usize = 4;

#[derive(Debug)]
pub(super) struct Device {
    version: Version,
    link: Link,
    input: BytesMut,
    output: BytesMut,
    published: u64,
    /// What was sent and is not complete, in order.
    in_flight: VecDeque<Sent>,
    /// What is yet to be sent.
    waiting: VecDeque<u64>,
    received: BTreeSet<PacketId>,
    log: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// CONNECT was sent.
    Connecting,
    Up,
}

#[derive(Debug)]
struct Sent {
    packet_id: PacketId,
    number: u64,
    is_released: bool,
}

impl Device {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            link: Link::Down,
            input: BytesMut::new(),
            output: BytesMut::new(),
            published: 0,
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
            received: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn publish(&mut self) {
        self.waiting.push_back(self.published);
        self.published += 1;
        self.send_waiting();
    }

    pub(super) fn published(&self) -> u64 {
        self.published
    }

    pub(super) fn log(&self) -> &[u64] {
        &self.log
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link != Link::Down
    }

    pub(super) fn is_done(&self) -> bool {
        self.link == Link::Up && self.in_flight.is_empty() && self.received.is_empty()
    }

    pub(super) fn connect(&mut self) {
        self.link = Link::Connecting;
        let mut connect = Connect::new(self.version, text("till-1"));
        connect.clean_start = false;
        connect.session_expiry = u32::MAX;
        self.say(&Packet::Connect(Box::new(connect)));
    }

    pub(super) fn hang_up(&mut self) {
        self.link = Link::Down;
        self.input.clear();
        self.output.clear();
    }

    pub(super) fn take_output(&mut self) -> BytesMut {
        self.output.split()
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let decoder = Decoder {
            version: self.version,
            max_size: usize::MAX,
            from: Peer::Server,
        };
        while let Some(packet) = decoder.decode(&mut self.input).unwrap() {
            self.handle_packet(packet);
        }
    }

    fn handle_packet(&mut self, packet: Packet) {
        match packet {
            Packet::ConnAck(answer) => {
                assert_eq!(answer.reason, ReasonCode::Success);
                self.link = Link::Up;
                self.send_again();
                self.send_waiting();
            }
            Packet::Publish(publish) => {
                let packet_id = publish.delivery.packet_id().unwrap();
                if self.received.insert(packet_id) {
                    self.log.push(number(&publish.payload));
                }
                self.say(&Packet::PubRec(ack(packet_id)));
            }
            Packet::PubRel(answer) => {
                self.received.remove(&answer.packet_id);
                self.say(&Packet::PubComp(ack(answer.packet_id)));
            }
            Packet::PubRec(answer) => {
                for sent in &mut self.in_flight {
                    sent.is_released |= sent.packet_id == answer.packet_id;
                }
                self.say(&Packet::PubRel(ack(answer.packet_id)));
            }
            Packet::PubComp(answer) => {
                self.in_flight
                    .retain(|sent| sent.packet_id != answer.packet_id || !sent.is_released);
                self.send_waiting();
            }
            Packet::Connect(_)
            | Packet::PubAck(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp
            | Packet::Disconnect(_)
            | Packet::Auth(_) => panic!("{packet:?}"),
        }
    }

    /// What was in flight when the wire broke, in its order.
    fn send_again(&mut self) {
        let packets: Vec<_> = self
            .in_flight
            .iter()
            .map(|sent| {
                if sent.is_released {
                    Packet::PubRel(ack(sent.packet_id))
                } else {
                    publication(sent, true)
                }
            })
            .collect();
        packets.iter().for_each(|packet| self.say(packet));
    }

    /// Identifiers are used again as soon as they may be.
    fn send_waiting(&mut self) {
        while self.link == Link::Up && self.in_flight.len() < AT_ONCE {
            let Some(number) = self.waiting.pop_front() else {
                return;
            };
            let is_free = |packet_id: &PacketId| {
                self.in_flight
                    .iter()
                    .all(|sent| sent.packet_id != *packet_id)
            };
            let packet_id = (1..=u16::MAX).map(id).find(is_free).unwrap();
            let sent = Sent {
                packet_id,
                number,
                is_released: false,
            };
            self.say(&publication(&sent, false));
            self.in_flight.push_back(sent);
        }
    }

    fn say(&mut self, packet: &Packet) {
        encode(packet, self.version, &mut self.output).unwrap();
    }
}

fn publication(sent: &Sent, duplicate: bool) -> Packet {
    let payload = Bytes::copy_from_slice(&sent.number.to_be_bytes());
    Packet::Publish(Box::new(Publish {
        delivery: Delivery::ExactlyOnce {
            packet_id: sent.packet_id,
            duplicate,
        },
        ..Publish::new(TopicName::new("up").unwrap(), payload)
    }))
}

pub(super) fn number(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload.try_into().unwrap())
}

fn ack(packet_id: PacketId) -> Acknowledgement {
    Acknowledgement::new(packet_id, ReasonCode::Success)
}
