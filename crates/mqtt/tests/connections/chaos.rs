//! Whatever a client sends in whatever order: no panic, and the bounds hold.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use outgate_mqtt::connection::{Event, Limits, Token};
use outgate_mqtt::packet::{
    Acknowledgement, ConnAck, Connect, Packet, PacketId, QoS, ReasonCode, SubAck, UnsubAck, Version,
};

use crate::client::{Client, id, outgoing, packet, publish, session, text};

/// What happens to the connection.
#[derive(Clone, Debug)]
enum Step {
    /// The client sends a packet.
    Say(Box<Packet>),
    /// The client sends bytes that may be none.
    Bytes(Vec<u8>),
    /// The caller acknowledges one of the messages that wait for it.
    Acknowledge(prop::sample::Index, ReasonCode),
    /// The caller lets a message of QoS 2 go that it may know nothing of.
    Release(PacketId),
    /// The caller has a message for the client.
    Deliver(QoS),
    /// The client reads.
    Read,
    /// Time passes.
    Wait(u64),
}

const LIMITS: Limits = Limits {
    connect_size: 300,
    connect_time: Duration::from_secs(10),
    packet_size: 200,
    incoming: 3,
    outgoing: 3,
    incoming_aliases: 2,
    outgoing_aliases: 2,
    output: 300,
    keep_alive: 30,
};

fn qualities() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

/// Identifiers that meet.
fn packet_ids() -> impl Strategy<Value = PacketId> + Clone {
    (1_u16..6).prop_map(id)
}

fn packets() -> impl Strategy<Value = Packet> {
    let answer = packet_ids().prop_map(|id| Acknowledgement::new(id, ReasonCode::Success));
    let refusal = packet_ids().prop_map(|id| Acknowledgement::new(id, ReasonCode::QuotaExceeded));
    let publication = (qualities(), packet_ids(), any::<bool>(), 0_u16..4);
    prop_oneof![
        6 => publication.prop_map(|(qos, id, retain, alias)| {
            let mut made = publish(qos, id.get(), "payload");
            made.retain = retain;
            made.topic_alias = std::num::NonZeroU16::new(alias);
            packet(made)
        }),
        2 => answer.clone().prop_map(Packet::PubAck),
        2 => answer.clone().prop_map(Packet::PubRec),
        1 => refusal.prop_map(Packet::PubRec),
        2 => answer.clone().prop_map(Packet::PubRel),
        2 => answer.prop_map(Packet::PubComp),
        1 => Just(Packet::PingReq),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let reason = prop_oneof![Just(ReasonCode::Success), Just(ReasonCode::QuotaExceeded)];
    prop_oneof![
        12 => packets().prop_map(|packet| Step::Say(Box::new(packet))),
        1 => vec(any::<u8>(), 0..20).prop_map(Step::Bytes),
        6 => (any::<prop::sample::Index>(), reason)
            .prop_map(|(which, reason)| Step::Acknowledge(which, reason)),
        3 => packet_ids().prop_map(Step::Release),
        6 => qualities().prop_map(Step::Deliver),
        3 => Just(Step::Read),
        1 => (0_u64..20).prop_map(Step::Wait),
    ]
}

struct Caller {
    tokens: Vec<Token>,
    key: u64,
    known: Vec<u64>,
}

impl Caller {
    fn hear(&mut self, client: &mut Client, events: Vec<Event>) -> Result<(), TestCaseError> {
        for event in events {
            match event {
                Event::Publish(incoming) => self.tokens.extend(incoming.token),
                Event::Subscribe(subscribe) => client.connection.answer_subscribe(SubAck {
                    packet_id: subscribe.packet_id,
                    reasons: vec![ReasonCode::GrantedQos1; subscribe.filters.len()],
                    reason_string: None,
                    user_properties: Vec::new(),
                }),
                Event::Unsubscribe(unsubscribe) => client.connection.answer_unsubscribe(UnsubAck {
                    packet_id: unsubscribe.packet_id,
                    reasons: vec![ReasonCode::Success; unsubscribe.filters.len()],
                    reason_string: None,
                    user_properties: Vec::new(),
                }),
                Event::Settled { key, .. } | Event::Dropped { key, .. } => {
                    let place = self.known.iter().position(|known| *known == key);
                    prop_assert!(place.is_some(), "{} is settled once", key);
                    self.known.swap_remove(place.unwrap());
                }
                Event::Received { key, .. } => prop_assert!(self.known.contains(&key)),
                Event::Released { packet_id } => client.connection.complete(packet_id),
                Event::Failed(_) | Event::Disconnect(_) => {
                    prop_assert!(client.connection.is_closed());
                }
                Event::Connect(_) | Event::Auth(_) => prop_assert!(false, "{:?}", event),
            }
        }
        Ok(())
    }

    fn take(&mut self, client: &mut Client, step: Step) -> Result<(), TestCaseError> {
        let now = client.now;
        let events = match step {
            Step::Say(packet) => client.say(&packet),
            Step::Bytes(bytes) => client.say_bytes(&bytes),
            Step::Acknowledge(_, _) if self.tokens.is_empty() => Vec::new(),
            Step::Acknowledge(which, reason) => {
                let token = self.tokens.swap_remove(which.index(self.tokens.len()));
                client
                    .connection
                    .acknowledge(token, reason, Some(text("words")));
                client.events()
            }
            Step::Release(packet_id) => {
                client.connection.release(packet_id);
                Vec::new()
            }
            Step::Deliver(qos) => {
                self.key += 1;
                let sent = outgoing(self.key, qos, "to the client", now);
                if qos > QoS::AtMostOnce && client.connection.is_open() {
                    self.known.push(self.key);
                }
                client.connection.deliver(sent, now);
                client.events()
            }
            Step::Read => {
                client.hear();
                client.events()
            }
            Step::Wait(seconds) => client.wait(Duration::from_secs(seconds)),
        };
        self.hear(client, events)
    }
}

fn check_bounds(client: &Client, caller: &Caller) -> Result<(), TestCaseError> {
    prop_assert!(client.connection.output_len() <= LIMITS.output + 200);
    if let Some(session) = client.connection.session() {
        prop_assert_eq!(session.queued(), caller.known.len());
        prop_assert!(caller.tokens.len() <= usize::from(LIMITS.incoming));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_connection_outlives_whatever_happens_to_it(
        version in prop_oneof![Just(Version::V3_1_1), Just(Version::V5)],
        keep_alive in 0_u16..20,
        steps in vec(steps(), 1..120),
    ) {
        let mut client = Client::connected(version, LIMITS, session(), |connect| {
            connect.keep_alive = keep_alive;
            connect.topic_alias_maximum = 5;
            connect.maximum_packet_size = std::num::NonZeroU32::new(150);
        });
        let mut caller = Caller { tokens: Vec::new(), key: 0, known: Vec::new() };
        for step in steps {
            caller.take(&mut client, step)?;
            check_bounds(&client, &caller)?;
        }
        let kept = client.connection.take_session();
        prop_assert_eq!(kept.map(|session| session.queued()), Some(caller.known.len()));
    }

    /// Before the login, where anybody may say anything.
    #[test]
    fn a_stranger_is_given_little(chunks in vec(vec(any::<u8>(), 0..100), 0..20)) {
        let mut client = Client::new(Version::V5, LIMITS);
        for bytes in chunks {
            if !client.connection.wants_input() {
                break;
            }
            client.say_bytes(&bytes);
            prop_assert!(client.connection.output_len() < 20);
        }
    }

    #[test]
    fn a_login_in_pieces_is_one_login(
        pieces in vec(1_usize..10, 20..40),
    ) {
        let connect = Connect::new(Version::V5, text("till-1"));
        let mut bytes = bytes::BytesMut::new();
        let whole = Packet::Connect(Box::new(connect));
        outgate_mqtt::packet::encode(&whole, Version::V5, &mut bytes).unwrap();
        let mut client = Client::new(Version::V5, LIMITS);
        let mut events = Vec::new();
        for piece in pieces {
            let piece = bytes.split_to(piece.min(bytes.len()));
            events.extend(client.say_bytes(&piece));
        }
        prop_assert!(matches!(events[..], [Event::Connect(_)]));
        client.connection.refuse(ConnAck::new(ReasonCode::Banned));
        prop_assert!(client.connection.is_closed());
    }
}
