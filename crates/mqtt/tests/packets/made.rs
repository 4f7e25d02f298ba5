//! Makes packets by chance.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use outgate_mqtt::packet::{
    Acknowledgement, Auth, Authentication, ConnAck, Connect, Delivery, Disconnect, Packet,
    Password, PayloadFormat, Publish, PublishProperties, QoS, ReasonCode, RetainHandling,
    SUBSCRIPTION_ID_MAX, SubAck, Subscribe, SubscribeFilter, UnsubAck, Unsubscribe, UserProperties,
    Version, Will,
};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::{TopicFilter, TopicName};

pub(crate) fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![
        Just(Version::V3_1),
        Just(Version::V3_1_1),
        Just(Version::V5)
    ]
}

/// Packets that a client sends, as `version` has them.
pub(crate) fn from_client(version: Version) -> impl Strategy<Value = Packet> {
    let v5 = version == Version::V5;
    let received = acknowledgements(v5, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
    let released = acknowledgements(v5, &[0x00, 0x92]);
    let auth = if v5 {
        auths()
            .prop_map(|auth| Packet::Auth(Box::new(auth)))
            .boxed()
    } else {
        Just(Packet::PingReq).boxed()
    };
    prop_oneof![
        connects(version).prop_map(|connect| Packet::Connect(Box::new(connect))),
        publishes(v5, false).prop_map(|publish| Packet::Publish(Box::new(publish))),
        received.clone().prop_map(Packet::PubAck),
        received.prop_map(Packet::PubRec),
        released.clone().prop_map(Packet::PubRel),
        released.prop_map(Packet::PubComp),
        subscribes(v5).prop_map(Packet::Subscribe),
        unsubscribes(v5).prop_map(Packet::Unsubscribe),
        Just(Packet::PingReq),
        disconnects(v5, true).prop_map(Packet::Disconnect),
        auth,
    ]
}

/// Packets that a server sends, as `version` has them.
pub(crate) fn from_server(version: Version) -> impl Strategy<Value = Packet> {
    let v5 = version == Version::V5;
    let disconnect = if v5 {
        disconnects(v5, false).prop_map(Packet::Disconnect).boxed()
    } else {
        Just(Packet::PingResp).boxed()
    };
    prop_oneof![
        connacks(version).prop_map(|answer| Packet::ConnAck(Box::new(answer))),
        publishes(v5, true).prop_map(|publish| Packet::Publish(Box::new(publish))),
        subacks(v5).prop_map(Packet::SubAck),
        unsubacks(v5).prop_map(Packet::UnsubAck),
        Just(Packet::PingResp),
        disconnect,
    ]
}

fn texts() -> impl Strategy<Value = Text> {
    "[a-zåß\u{1}漢 🧹]{0,9}".prop_map(|text| Text::new(text).unwrap())
}

pub(crate) fn names() -> impl Strategy<Value = TopicName> {
    "[a-c$/ä]{1,9}".prop_map(|name| TopicName::new(&name).unwrap())
}

pub(crate) fn filters() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![3 => "[a-c$ä]{0,2}", 1 => Just("+".to_owned())];
    (
        vec(level, 1..5),
        any::<bool>(),
        option::weighted(0.2, "[a-c]{1,3}"),
    )
        .prop_filter_map("not empty", |(levels, rest, group)| {
            let filter = levels.join("/") + if rest { "/#" } else { "" };
            let filter = group.map_or(filter.clone(), |group| format!("$share/{group}/{filter}"));
            TopicFilter::new(&filter).ok()
        })
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn packet_ids() -> impl Strategy<Value = NonZeroU16> {
    any::<NonZeroU16>()
}

fn qualities() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

/// What `made` makes, and `absent` where the version has none of it.
fn only<T: Clone + std::fmt::Debug + 'static>(
    exists: bool,
    absent: T,
    made: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    if exists {
        made.boxed()
    } else {
        Just(absent).boxed()
    }
}

fn user_properties(v5: bool) -> BoxedStrategy<UserProperties> {
    only(v5, Vec::new(), vec((texts(), texts()), 0..3))
}

fn reasons(codes: &'static [u8]) -> impl Strategy<Value = ReasonCode> + Clone {
    prop::sample::select(codes).prop_map(|code| ReasonCode::from_number(code).unwrap())
}

fn acknowledgements(v5: bool, codes: &'static [u8]) -> BoxedStrategy<Acknowledgement> {
    (
        packet_ids(),
        only(v5, ReasonCode::Success, reasons(codes)),
        only(v5, None, option::of(texts())),
        user_properties(v5),
    )
        .prop_map(
            |(packet_id, reason, reason_string, user_properties)| Acknowledgement {
                packet_id,
                reason,
                reason_string,
                user_properties,
            },
        )
        .boxed()
}

fn properties(v5: bool) -> BoxedStrategy<PublishProperties> {
    let made = (
        option::of(prop_oneof![
            Just(PayloadFormat::Bytes),
            Just(PayloadFormat::Utf8)
        ]),
        option::of(any::<u32>()),
        option::of(texts()),
        option::of(names()),
        option::of(bytes(9)),
        user_properties(true),
    )
        .prop_map(
            |(format, expiry, content_type, response_topic, correlation_data, user)| {
                PublishProperties {
                    payload_format: format,
                    message_expiry: expiry,
                    content_type,
                    response_topic,
                    correlation_data,
                    user_properties: user,
                }
            },
        );
    only(v5, PublishProperties::default(), made)
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    (qualities(), packet_ids(), any::<bool>()).prop_map(|(qos, packet_id, duplicate)| match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce {
            packet_id,
            duplicate,
        },
        QoS::ExactlyOnce => Delivery::ExactlyOnce {
            packet_id,
            duplicate,
        },
    })
}

pub(crate) fn publishes(v5: bool, to_client: bool) -> impl Strategy<Value = Publish> {
    let ids = (1..=SUBSCRIPTION_ID_MAX).prop_map(|id| NonZeroU32::new(id).unwrap());
    (
        deliveries(),
        any::<bool>(),
        option::weighted(0.9, names()),
        only(v5, None, option::of(any::<NonZeroU16>())),
        only(v5 && to_client, Vec::new(), vec(ids, 0..3)),
        properties(v5),
        bytes(200),
    )
        .prop_filter("a topic or an alias", |made| {
            made.2.is_some() || made.3.is_some()
        })
        .prop_map(
            |(delivery, retain, topic, topic_alias, subscription_ids, properties, payload)| {
                Publish {
                    delivery,
                    retain,
                    topic,
                    topic_alias,
                    subscription_ids,
                    properties,
                    payload,
                }
            },
        )
}

fn authentications(v5: bool) -> BoxedStrategy<Option<Authentication>> {
    let made =
        (texts(), option::of(bytes(9))).prop_map(|(method, data)| Authentication { method, data });
    only(v5, None, option::of(made))
}

fn wills(v5: bool) -> impl Strategy<Value = Will> {
    (
        names(),
        bytes(20),
        qualities(),
        any::<bool>(),
        only(v5, 0, any::<u32>()),
        properties(v5),
    )
        .prop_map(|(topic, payload, qos, retain, delay, properties)| Will {
            topic,
            payload,
            qos,
            retain,
            delay,
            properties,
        })
}

fn connects(version: Version) -> impl Strategy<Value = Connect> {
    let v5 = version == Version::V5;
    let who = (
        texts(),
        option::of(texts()),
        option::of(bytes(9)),
        option::of(wills(v5)),
    );
    let session = (any::<bool>(), any::<u16>(), only(v5, 0, any::<u32>()));
    let limits = (
        only(v5, NonZeroU16::MAX, any::<NonZeroU16>()),
        only(v5, None, option::of(any::<NonZeroU32>())),
        only(v5, 0, any::<u16>()),
    );
    let wishes = (
        only(v5, false, any::<bool>()),
        only(v5, true, any::<bool>()),
    );
    (
        who,
        session,
        limits,
        wishes,
        authentications(v5),
        user_properties(v5),
    )
        .prop_map(
            move |(who, session, limits, wishes, authentication, user_properties)| Connect {
                version,
                clean_start: session.0,
                keep_alive: session.1,
                client_id: who.0,
                password: who
                    .2
                    .filter(|_| v5 || who.1.is_some())
                    .map(|password| Password::new(&password)),
                user_name: who.1,
                will: who.3,
                session_expiry: if v5 || session.0 { session.2 } else { u32::MAX },
                receive_maximum: limits.0,
                maximum_packet_size: limits.1,
                topic_alias_maximum: limits.2,
                request_response_information: wishes.0,
                request_problem_information: wishes.1,
                authentication,
                user_properties,
            },
        )
}

fn connacks(version: Version) -> BoxedStrategy<ConnAck> {
    if version < Version::V5 {
        return (
            reasons(&[0x00, 0x84, 0x85, 0x86, 0x87, 0x88]),
            any::<bool>(),
        )
            .prop_map(move |(reason, present)| ConnAck {
                session_present: present && !reason.is_failure() && version > Version::V3_1,
                ..ConnAck::new(reason)
            })
            .boxed();
    }
    let limits = (
        option::of(any::<u32>()),
        any::<NonZeroU16>(),
        qualities(),
        option::of(any::<NonZeroU32>()),
        any::<u16>(),
        option::of(any::<u16>()),
    );
    let available = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let said = (
        option::of(texts()),
        option::of(texts()),
        option::of(texts()),
        option::of(texts()),
    );
    let reason = reasons(&[0x00, 0x80, 0x82, 0x86, 0x87, 0x8C, 0x97, 0x9D, 0x9F]);
    (
        reason,
        any::<bool>(),
        limits,
        available,
        said,
        authentications(true),
        user_properties(true),
    )
        .prop_map(
            |(reason, present, limits, available, said, authentication, user)| ConnAck {
                session_present: present && !reason.is_failure(),
                reason,
                session_expiry: limits.0,
                receive_maximum: limits.1,
                maximum_qos: limits.2,
                retain_available: available.0,
                maximum_packet_size: limits.3,
                assigned_client_id: said.0,
                topic_alias_maximum: limits.4,
                reason_string: said.1,
                wildcards_available: available.1,
                subscription_ids_available: available.2,
                shared_available: available.3,
                server_keep_alive: limits.5,
                response_information: said.2,
                server_reference: said.3,
                authentication,
                user_properties: user,
            },
        )
        .boxed()
}

fn subscribes(v5: bool) -> impl Strategy<Value = Subscribe> {
    let handling = prop_oneof![
        Just(RetainHandling::Send),
        Just(RetainHandling::SendIfNew),
        Just(RetainHandling::Keep)
    ];
    let flags = (any::<bool>(), any::<bool>());
    let filter = (
        filters(),
        qualities(),
        only(v5, (false, false), flags),
        handling,
    )
        .prop_map(
            move |(filter, qos, (no_local, retain_as_published), retain_handling)| {
                SubscribeFilter {
                    no_local: no_local && filter.shared().is_none(),
                    filter,
                    qos,
                    retain_as_published,
                    retain_handling: if v5 {
                        retain_handling
                    } else {
                        RetainHandling::Send
                    },
                }
            },
        );
    let ids = (1..=SUBSCRIPTION_ID_MAX).prop_map(NonZeroU32::new);
    (
        packet_ids(),
        vec(filter, 1..4),
        only(v5, None, ids),
        user_properties(v5),
    )
        .prop_map(
            |(packet_id, filters, subscription_id, user_properties)| Subscribe {
                packet_id,
                filters,
                subscription_id,
                user_properties,
            },
        )
}

fn unsubscribes(v5: bool) -> impl Strategy<Value = Unsubscribe> {
    (packet_ids(), vec(filters(), 1..4), user_properties(v5)).prop_map(
        |(packet_id, filters, user_properties)| Unsubscribe {
            packet_id,
            filters,
            user_properties,
        },
    )
}

fn subacks(v5: bool) -> impl Strategy<Value = SubAck> {
    let codes: &[u8] = if v5 {
        &[0, 1, 2, 0x80, 0x87, 0x8F, 0x97, 0xA2]
    } else {
        &[0, 1, 2, 0x80]
    };
    let reason_string = only(v5, None, option::of(texts()));
    (
        packet_ids(),
        vec(reasons(codes), 1..4),
        reason_string,
        user_properties(v5),
    )
        .prop_map(
            |(packet_id, reasons, reason_string, user_properties)| SubAck {
                packet_id,
                reasons,
                reason_string,
                user_properties,
            },
        )
}

fn unsubacks(v5: bool) -> impl Strategy<Value = UnsubAck> {
    let codes = reasons(&[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]);
    let reason_string = only(v5, None, option::of(texts()));
    (
        packet_ids(),
        only(v5, Vec::new(), vec(codes, 1..4)),
        reason_string,
        user_properties(v5),
    )
        .prop_map(
            |(packet_id, reasons, reason_string, user_properties)| UnsubAck {
                packet_id,
                reasons,
                reason_string,
                user_properties,
            },
        )
}

fn disconnects(v5: bool, from_client: bool) -> impl Strategy<Value = Disconnect> {
    (
        only(
            v5,
            ReasonCode::Success,
            reasons(&[0x00, 0x04, 0x80, 0x81, 0x8B, 0x8E, 0x98]),
        ),
        only(v5 && from_client, None, option::of(any::<u32>())),
        only(v5, None, option::of(texts())),
        only(v5 && !from_client, None, option::of(texts())),
        user_properties(v5),
    )
        .prop_map(
            |(reason, session_expiry, reason_string, server_reference, user_properties)| {
                Disconnect {
                    reason,
                    session_expiry,
                    reason_string,
                    server_reference,
                    user_properties,
                }
            },
        )
}

fn auths() -> impl Strategy<Value = Auth> {
    (
        reasons(&[0x00, 0x18, 0x19]),
        authentications(true),
        option::of(texts()),
        user_properties(true),
    )
        .prop_map(
            |(reason, authentication, reason_string, user_properties)| Auth {
                reason,
                authentication,
                reason_string,
                user_properties,
            },
        )
}
