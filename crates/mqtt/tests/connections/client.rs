//! A client at the other end of a connection, and the time that both live in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use outgate_mqtt::connection::{Connection, Event, Limits};
use outgate_mqtt::packet::{
    ConnAck, Connect, Decoder, Delivery, Message, Packet, PacketId, Peer, Publish,
    PublishProperties, QoS, ReasonCode, Version, encode,
};
use outgate_mqtt::session::{Outgoing, Session, SessionLimits};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::TopicName;

pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
    version: Version,
    received: BytesMut,
}

impl Client {
    /// A client that has not said anything yet.
    pub(crate) fn new(version: Version, limits: Limits) -> Self {
        let now = start();
        let connection = Connection::new(Arc::new(limits), now);
        Self {
            connection,
            now,
            version,
            received: BytesMut::new(),
        }
    }

    /// A client that has logged in as it is made by `ask`.
    pub(crate) fn connected(
        version: Version,
        limits: Limits,
        session: Session,
        ask: impl FnOnce(&mut Connect),
    ) -> Self {
        let mut client = Self::new(version, limits);
        let mut connect = Connect::new(version, text("till-1"));
        ask(&mut connect);
        assert!(matches!(
            client.say(&Packet::Connect(Box::new(connect)))[..],
            [Event::Connect(_)]
        ));
        client
            .connection
            .accept(session, ConnAck::new(ReasonCode::Success), client.now);
        assert!(matches!(client.hear()[..1], [Packet::ConnAck(_)]));
        client
    }

    pub(crate) fn plain(version: Version) -> Self {
        Self::connected(version, Limits::default(), session(), |_| {})
    }

    /// Sends a packet, and gives what the server's caller hears of it.
    pub(crate) fn say(&mut self, packet: &Packet) -> Vec<Event> {
        let mut bytes = BytesMut::new();
        encode(packet, self.version, &mut bytes).unwrap();
        self.say_bytes(&bytes)
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.connection.handle_bytes(bytes, self.now);
        self.events()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event(self.now)).collect()
    }

    /// Reads all that the server has sent.
    pub(crate) fn hear(&mut self) -> Vec<Packet> {
        loop {
            let output = self.connection.take_output(self.now);
            if output.is_empty() {
                break;
            }
            self.received.extend_from_slice(&output);
        }
        let decoder = Decoder {
            version: self.version,
            max_size: usize::MAX,
            from: Peer::Server,
        };
        std::iter::from_fn(|| decoder.decode(&mut self.received).unwrap()).collect()
    }

    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Event> {
        self.now += time;
        self.connection.handle_timeout(self.now);
        self.events()
    }
}

pub(crate) fn session() -> Session {
    Session::new(SessionLimits::default())
}

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

pub(crate) fn id(packet_id: u16) -> PacketId {
    PacketId::new(packet_id).unwrap()
}

pub(crate) fn publish(qos: QoS, packet_id: u16, payload: &'static str) -> Publish {
    Publish {
        delivery: Delivery::first(qos, id(packet_id)),
        ..Publish::new(
            TopicName::new("a/b").unwrap(),
            Bytes::from_static(payload.as_bytes()),
        )
    }
}

pub(crate) fn packet(publish: Publish) -> Packet {
    Packet::Publish(Box::new(publish))
}

pub(crate) fn outgoing(key: u64, qos: QoS, payload: &str, now: Instant) -> Outgoing {
    outgoing_with(key, qos, payload, &PublishProperties::default(), now)
}

pub(crate) fn outgoing_with(
    key: u64,
    qos: QoS,
    payload: &str,
    properties: &PublishProperties,
    now: Instant,
) -> Outgoing {
    let topic = TopicName::new("a/b").unwrap();
    let message = Message::new(topic, payload.as_bytes(), qos, false, properties, now).unwrap();
    Outgoing {
        key,
        message: Arc::new(message),
        qos,
        retain: false,
        subscription_ids: Box::default(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to a first Instant"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}
