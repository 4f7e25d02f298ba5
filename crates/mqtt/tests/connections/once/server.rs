//! A server's caller that notes everything on its disk before it answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use outgate_mqtt::connection::{Connection, Event, Limits, Token};
use outgate_mqtt::packet::{ConnAck, Message, PacketId, PublishProperties, QoS, ReasonCode};
use outgate_mqtt::session::{
    Outgoing, Queued, Session, SessionLimits, SessionRecord, packet_id_for_key,
};
use outgate_mqtt::topics::TopicName;

use super::device::{AT_ONCE, number};
use crate::client::start;

#[derive(Debug)]
pub(super) struct Server {
    now: Instant,
    disk: Disk,
    /// What waits for the disk, in order.
    writing: VecDeque<Write>,
    connection: Option<Connection>,
    /// The session while nobody is connected.
    session: Option<Session>,
}

/// What is left when the server is killed.
#[derive(Debug, Default)]
struct Disk {
    log: Vec<u64>,
    received: BTreeSet<PacketId>,
    /// Messages for the device, and whether the device has them.
    queue: BTreeMap<u64, bool>,
    next_key: u64,
}

#[derive(Debug)]
enum Write {
    Publish {
        token: Token,
        packet_id: PacketId,
        number: u64,
    },
    Received {
        key: u64,
        packet_id: PacketId,
    },
    Released {
        packet_id: PacketId,
    },
    Settled {
        key: u64,
    },
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            now: start(),
            disk: Disk::default(),
            writing: VecDeque::new(),
            connection: None,
            session: Some(Session::new(SessionLimits::default())),
        }
    }

    pub(super) fn log(&self) -> &[u64] {
        &self.disk.log
    }

    pub(super) fn delivered(&self) -> u64 {
        self.disk.next_key
    }

    pub(super) fn is_done(&self) -> bool {
        self.writing.is_empty() && self.disk.queue.is_empty()
    }

    pub(super) fn forgot_all(&self) -> bool {
        let session = self.connection.as_ref().and_then(Connection::session);
        self.disk.received.is_empty()
            && session.is_some_and(|session| session.received().is_empty() && session.queued() == 0)
    }

    pub(super) fn deliver(&mut self) {
        let key = self.disk.next_key;
        self.disk.next_key += 1;
        self.disk.queue.insert(key, false);
        let outgoing = self.outgoing(key);
        match (&mut self.connection, &mut self.session) {
            (Some(connection), _) if connection.is_open() => {
                connection.deliver(outgoing, self.now);
            }
            (_, Some(session)) => {
                session.push(outgoing).unwrap();
            }
            // It will be read from the disk.
            _ => {}
        }
        self.poll();
    }

    pub(super) fn accept_wire(&mut self) {
        let limits = Limits {
            incoming: AT_ONCE as u16,
            outgoing: 3,
            ..Limits::default()
        };
        self.connection = Some(Connection::new(Arc::new(limits), self.now));
    }

    pub(super) fn hang_up(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if let Some(session) = connection.take_session() {
            self.session = Some(session);
        }
    }

    pub(super) fn kill(&mut self) {
        self.writing.clear();
        self.session = None;
    }

    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        connection.handle_bytes(bytes, self.now);
        self.poll();
    }

    pub(super) fn take_output(&mut self) -> BytesMut {
        let output = self
            .connection
            .as_mut()
            .map(|connection| connection.take_output(self.now));
        output.unwrap_or_default()
    }

    /// The oldest thing that waits is on the disk; whoever asked for it is answered, if there.
    pub(super) fn commit_next(&mut self) {
        let Some(write) = self.writing.pop_front() else {
            return;
        };
        self.disk.write(&write);
        match (&mut self.connection, &mut self.session, write) {
            (Some(connection), _, write) if connection.is_open() => match write {
                Write::Publish { token, .. } => {
                    connection.acknowledge(token, ReasonCode::Success, None);
                }
                Write::Received { packet_id, .. } => connection.release(packet_id),
                Write::Released { packet_id } => connection.complete(packet_id),
                Write::Settled { .. } => {}
            },
            (_, Some(session), Write::Publish { packet_id, .. }) => {
                session.record_received(packet_id);
            }
            _ => {}
        }
        self.poll();
    }

    fn poll(&mut self) {
        loop {
            let Some(connection) = &mut self.connection else {
                return;
            };
            let Some(event) = connection.poll_event(self.now) else {
                return;
            };
            match event {
                Event::Connect(_) => self.resume(),
                Event::Publish(incoming) => self.writing.push_back(Write::Publish {
                    token: incoming.token.unwrap(),
                    packet_id: incoming.delivery.packet_id().unwrap(),
                    number: number(&incoming.payload),
                }),
                Event::Received { key, packet_id } => {
                    self.writing.push_back(Write::Received { key, packet_id });
                }
                Event::Released { packet_id } => {
                    self.writing.push_back(Write::Released { packet_id });
                }
                Event::Settled { key, reason } => {
                    assert_eq!(reason, ReasonCode::Success);
                    self.writing.push_back(Write::Settled { key });
                }
                Event::Auth(_)
                | Event::Subscribe(_)
                | Event::Unsubscribe(_)
                | Event::Dropped { .. }
                | Event::Disconnect(_)
                | Event::Failed(_) => panic!("{event:?}"),
            }
        }
    }

    /// What an earlier connection has begun ends before the session goes on.
    fn resume(&mut self) {
        let connection = self.connection.take();
        while !self.writing.is_empty() {
            self.commit_next();
        }
        let session = self.session.take().unwrap_or_else(|| self.read_session());
        self.connection = connection;
        if let Some(connection) = &mut self.connection {
            connection.accept(session, ConnAck::new(ReasonCode::Success), self.now);
        }
    }

    fn read_session(&self) -> Session {
        let queued = self.disk.queue.iter().map(|(key, is_received)| {
            let packet_id = packet_id_for_key(*key);
            if *is_received {
                return Queued::Release {
                    packet_id,
                    key: *key,
                };
            }
            Queued::Publish {
                packet_id,
                outgoing: self.outgoing(*key),
                sent_before: true,
            }
        });
        let record = SessionRecord {
            subscriptions: Vec::new(),
            queued: queued.collect(),
            received: self.disk.received.iter().copied().collect(),
        };
        Session::restore(record, SessionLimits::default())
    }

    fn outgoing(&self, key: u64) -> Outgoing {
        let topic = TopicName::new("down").unwrap();
        let properties = PublishProperties::default();
        let qos = QoS::ExactlyOnce;
        let payload = key.to_be_bytes();
        let message = Message::new(topic, &payload, qos, false, &properties, self.now).unwrap();
        Outgoing {
            key,
            message: Arc::new(message),
            qos,
            retain: false,
            subscription_ids: Box::default(),
        }
    }
}

impl Disk {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Publish {
                packet_id, number, ..
            } => {
                self.log.push(*number);
                self.received.insert(*packet_id);
            }
            Write::Received { key, .. } => {
                self.queue.insert(*key, true);
            }
            Write::Released { packet_id } => {
                self.received.remove(packet_id);
            }
            Write::Settled { key } => {
                self.queue.remove(key);
            }
        }
    }
}
