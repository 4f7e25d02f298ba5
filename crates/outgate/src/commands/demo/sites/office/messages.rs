//! A connection for messages: MQTT 3.1.1 over TLS or over WebSocket, as little of it as a terminal
//! needs.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use outgate_mqtt::packet::{
    Acknowledgement, Connect, Decoder, Delivery, Packet, PacketId, Password, Peer, Publish, QoS,
    ReasonCode, RetainHandling, Subscribe, SubscribeFilter, Version, encode,
};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::{TopicFilter, TopicName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

/// The largest packet that is taken: a message of Azure's has 256 KiB at the most.
const PACKET_MAX: usize = 512 << 10;

/// The fewest bytes that there is room for when something is read.
const READ_ROOM: usize = 16 << 10;

/// The most messages that wait to be looked at.
const WAITING_MAX: usize = 100;

/// What carries the bytes.
pub(super) enum Carrier {
    Tls(Box<TlsStream<TcpStream>>),
    Socket(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

/// Who comes in, and by what.
pub(super) struct Login<'a> {
    pub(super) client: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

/// A message that the hub has sent.
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
}

/// A connection.
pub(super) struct Messages {
    carrier: Carrier,
    inbox: BytesMut,
    last: u16,
    waiting: VecDeque<Message>,
}

impl Messages {
    /// Comes in; or is told why not.
    pub(super) async fn open(
        carrier: Carrier,
        login: Login<'_>,
    ) -> anyhow::Result<Result<Self, ReasonCode>> {
        let mut messages = Self {
            carrier,
            inbox: BytesMut::new(),
            last: 0,
            waiting: VecDeque::new(),
        };
        let mut connect = Connect::new(Version::V3_1_1, Text::new(login.client)?);
        connect.clean_start = false;
        connect.user_name = Some(Text::new(login.user)?);
        connect.password = Some(Password::new(login.password.as_bytes()));
        messages.say(&Packet::Connect(Box::new(connect))).await?;
        let Some(Packet::ConnAck(answer)) = messages.hear().await? else {
            bail!("the hub has not answered a login");
        };
        if answer.reason.is_failure() {
            return Ok(Err(answer.reason));
        }
        Ok(Ok(messages))
    }

    /// Asks for what comes by topics like this.
    pub(super) async fn subscribe(&mut self, filter: &str) -> anyhow::Result<()> {
        let packet_id = self.next_id();
        let filter = SubscribeFilter {
            filter: TopicFilter::new(filter)?,
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        let subscribe = Subscribe {
            packet_id,
            filters: vec![filter],
            subscription_id: None,
            user_properties: Vec::new(),
        };
        self.say(&Packet::Subscribe(subscribe)).await?;
        loop {
            let packet = self.hear().await?.context("the hub has closed")?;
            if let Packet::SubAck(answer) = packet {
                let granted = answer.reasons.iter().all(|reason| !reason.is_failure());
                ensure!(granted, "a subscription is refused");
                return Ok(());
            }
            self.keep(packet).await?;
        }
    }

    /// Says something, and waits until the hub has it.
    pub(super) async fn publish(&mut self, topic: &str, payload: String) -> anyhow::Result<()> {
        let packet_id = self.next_id();
        let mut publish = Publish::new(TopicName::new(topic)?, Bytes::from(payload));
        publish.delivery = Delivery::first(QoS::AtLeastOnce, packet_id);
        self.say(&Packet::Publish(Box::new(publish))).await?;
        loop {
            let packet = self.hear().await?.context("the hub has closed")?;
            if let Packet::PubAck(answer) = &packet
                && answer.packet_id == packet_id
            {
                return Ok(());
            }
            self.keep(packet).await?;
        }
    }

    /// The next message, acknowledged.
    pub(super) async fn take(&mut self) -> anyhow::Result<Message> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            let packet = self.hear().await?.context("the hub has closed")?;
            self.keep(packet).await?;
        }
    }

    /// Waits until the hub has closed it.
    pub(super) async fn ended(mut self) {
        while let Ok(Some(_)) = self.hear().await {}
    }

    /// Acknowledges a message, and keeps it to be taken; other packets say nothing to a terminal.
    async fn keep(&mut self, packet: Packet) -> anyhow::Result<()> {
        let Packet::Publish(publish) = packet else {
            return Ok(());
        };
        ensure!(self.waiting.len() < WAITING_MAX, "too many messages");
        if let Some(packet_id) = publish.delivery.packet_id() {
            let taken = Acknowledgement::new(packet_id, ReasonCode::Success);
            self.say(&Packet::PubAck(taken)).await?;
        }
        let topic = publish.topic.context("a message without a topic")?;
        self.waiting.push_back(Message {
            topic: topic.as_str().to_owned(),
            payload: publish.payload,
        });
        Ok(())
    }

    fn next_id(&mut self) -> PacketId {
        self.last = self.last.wrapping_add(1);
        NonZeroU16::new(self.last).unwrap_or(NonZeroU16::MIN)
    }

    async fn say(&mut self, packet: &Packet) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        encode(packet, Version::V3_1_1, &mut out)?;
        match &mut self.carrier {
            Carrier::Tls(stream) => stream.write_all(&out).await?,
            Carrier::Socket(socket) => socket.send(Frame::Binary(out.freeze())).await?,
        }
        Ok(())
    }

    /// The next packet; none when the hub has closed.
    async fn hear(&mut self) -> anyhow::Result<Option<Packet>> {
        let decoder = Decoder {
            version: Version::V3_1_1,
            max_size: PACKET_MAX,
            from: Peer::Server,
        };
        loop {
            if let Some(packet) = decoder.decode(&mut self.inbox)? {
                return Ok(Some(packet));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Whether there was something to read.
    async fn read(&mut self) -> anyhow::Result<bool> {
        match &mut self.carrier {
            Carrier::Tls(stream) => {
                self.inbox.reserve(READ_ROOM);
                Ok(stream.read_buf(&mut self.inbox).await? > 0)
            }
            Carrier::Socket(socket) => {
                let Some(frame) = socket.next().await else {
                    return Ok(false);
                };
                if let Frame::Binary(bytes) = frame? {
                    self.inbox.extend_from_slice(&bytes);
                }
                Ok(true)
            }
        }
    }
}
