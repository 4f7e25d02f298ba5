//! A client that says what a test tells it to, packet by packet.

use std::num::NonZeroU16;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use outgate_mqtt::packet::{
    Acknowledgement, ConnAck, Connect, Decoder, Delivery, Disconnect, Packet, PacketId, Password,
    Peer, Publish, QoS, ReasonCode, RetainHandling, Subscribe, SubscribeFilter, Version, encode,
};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::{TopicFilter, TopicName};

/// The longest that an answer may take: far more than any needs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// How many messages of QoS 1 are sent before their acknowledgements are waited for; fewer than
/// the hub's receive maximum.
const AT_ONCE: usize = 50;

/// What a client talks over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    inbox: BytesMut,
    version: Version,
}

/// A CONNECT of a device.
pub(crate) fn connect(version: Version, device: &str, token: &str) -> Connect {
    let mut connect = Connect::new(version, text(device));
    connect.user_name = Some(text(device));
    connect.password = Some(Password::new(token.as_bytes()));
    connect
}

/// `connect` with a session that is kept for an hour: a new one if `clean`.
pub(crate) fn kept(connect: Connect, clean: bool) -> Connect {
    Connect {
        clean_start: clean,
        session_expiry: 3_600,
        ..connect
    }
}

pub(crate) fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

pub(crate) fn packet_id(number: u16) -> PacketId {
    NonZeroU16::new(number).unwrap()
}

pub(crate) fn delivery(qos: u8, number: u16) -> Delivery {
    Delivery::first(QoS::from_number(qos).unwrap(), packet_id(number))
}

pub(crate) fn publish(topic: &str, payload: &'static str, qos: u8, number: u16) -> Publish {
    let topic = TopicName::new(topic).unwrap();
    let mut publish = Publish::new(topic, Bytes::from_static(payload.as_bytes()));
    publish.delivery = delivery(qos, number);
    publish
}

impl Client {
    pub(crate) fn new(stream: impl Stream + 'static, version: Version) -> Self {
        Self {
            stream: Box::new(stream),
            inbox: BytesMut::new(),
            version,
        }
    }

    pub(crate) async fn say(&mut self, packet: Packet) {
        let mut out = BytesMut::new();
        encode(&packet, self.version, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    /// Says bytes that may be no packet. They may not be wanted any more.
    pub(crate) async fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Says many messages of QoS 1, a few at a time, and hears that all were taken.
    pub(crate) async fn publish_all(&mut self, messages: impl IntoIterator<Item = Publish>) {
        let messages: Vec<Publish> = messages.into_iter().collect();
        for some in messages.chunks(AT_ONCE) {
            for (number, message) in (1..).zip(some) {
                let mut message = message.clone();
                message.delivery = delivery(1, number);
                self.say(Packet::Publish(Box::new(message))).await;
            }
            for number in (1..).take(some.len()) {
                match self.hear().await {
                    Some(Packet::PubAck(answer)) => {
                        assert!(!answer.reason.is_failure(), "{answer:?}");
                        assert_eq!(answer.packet_id.get(), number);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// The next packet; `None` when the hub has closed.
    pub(crate) async fn hear(&mut self) -> Option<Packet> {
        let decoder = Decoder {
            version: self.version,
            max_size: 1 << 20,
            from: Peer::Server,
        };
        loop {
            if let Some(packet) = decoder.decode(&mut self.inbox).unwrap() {
                return Some(packet);
            }
            let read = self.stream.read_buf(&mut self.inbox);
            let read = tokio::time::timeout(PATIENCE, read).await;
            match read.expect("the hub says nothing") {
                Ok(0) => return None,
                Ok(_) => {}
                // It has closed without having read all that was said.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) async fn connect(&mut self, connect: Connect) -> Box<ConnAck> {
        self.say(Packet::Connect(Box::new(connect))).await;
        match self.hear().await {
            Some(Packet::ConnAck(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> ReasonCode {
        let filter = SubscribeFilter {
            filter: TopicFilter::new(filter).unwrap(),
            qos: QoS::from_number(qos).unwrap(),
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        self.subscribe_with(filter).await
    }

    pub(crate) async fn subscribe_with(&mut self, filter: SubscribeFilter) -> ReasonCode {
        let subscribe = Subscribe {
            packet_id: packet_id(9_999),
            filters: vec![filter],
            subscription_id: None,
            user_properties: Vec::new(),
        };
        self.say(Packet::Subscribe(subscribe)).await;
        match self.hear().await {
            Some(Packet::SubAck(answer)) => answer.reasons[0],
            other => panic!("{other:?}"),
        }
    }

    /// Publishes and waits for the acknowledgement's reason.
    pub(crate) async fn publish(&mut self, publish: Publish) -> ReasonCode {
        self.say(Packet::Publish(Box::new(publish))).await;
        match self.hear().await {
            Some(Packet::PubAck(answer) | Packet::PubRec(answer)) => answer.reason,
            other => panic!("{other:?}"),
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Box<Publish> {
        match self.hear().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, acknowledged.
    pub(crate) async fn take(&mut self) -> (String, Bytes) {
        let message = self.message().await;
        if let Some(packet_id) = message.delivery.packet_id() {
            self.acknowledge(packet_id, ReasonCode::Success).await;
        }
        (message.topic.unwrap().to_string(), message.payload)
    }

    pub(crate) async fn acknowledge(&mut self, packet_id: PacketId, reason: ReasonCode) {
        let answer = Acknowledgement::new(packet_id, reason);
        self.say(Packet::PubAck(answer)).await;
    }

    /// Acknowledges these and says goodbye in one breath.
    pub(crate) async fn acknowledge_and_leave(&mut self, packets: &[PacketId]) {
        let acknowledgements = packets
            .iter()
            .map(|packet_id| Packet::PubAck(Acknowledgement::new(*packet_id, ReasonCode::Success)));
        // A session that was to be kept is kept on.
        let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::Success));
        let mut out = BytesMut::new();
        for packet in acknowledgements.chain([goodbye]) {
            encode(&packet, self.version, &mut out).unwrap();
        }
        self.stream.write_all(&out).await.unwrap();
    }

    /// Asks for a sign of life: whatever was said before has been taken up when it comes.
    pub(crate) async fn ping(&mut self) {
        self.say(Packet::PingReq).await;
        assert_eq!(self.hear().await, Some(Packet::PingResp));
    }
}
