//! What the standard says of messages and subscriptions, where no other test has it.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use outgate_mqtt::packet::{
    ConnAck, Decoder, Packet, PayloadFormat, Peer, PublishProperties, QoS, ReasonCode,
    RetainHandling, SubscribeFilter, Unsubscribe, Version, Will, encode,
};
use outgate_mqtt::topics::{TopicFilter, TopicName};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::client::{connect, packet_id, publish, text};
use crate::hub::Running;

fn filter(handling: RetainHandling, retain_as_published: bool) -> SubscribeFilter {
    SubscribeFilter {
        filter: TopicFilter::new("talk/#").unwrap(),
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published,
        retain_handling: handling,
    }
}

#[tokio::test]
async fn subscription_options_are_kept_as_they_were_asked_for() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut message = publish("talk/a", "kept", 1, 1);
    message.retain = true;
    one.publish(message.clone()).await;
    // A message without the flag leaves the retained one as it is.
    one.publish(publish("talk/a", "passing", 1, 1)).await;

    let mut never = running.connected(Version::V5, "never").await;
    let mut first = running.connected(Version::V5, "first").await;
    never
        .subscribe_with(filter(RetainHandling::Keep, true))
        .await;
    never.ping().await;
    first
        .subscribe_with(filter(RetainHandling::SendIfNew, false))
        .await;
    assert_eq!(first.take().await.1, "kept");
    first
        .subscribe_with(filter(RetainHandling::SendIfNew, false))
        .await;
    first.ping().await;
    first
        .subscribe_with(filter(RetainHandling::Send, false))
        .await;
    assert_eq!(first.take().await.1, "kept");

    one.publish(message).await;
    let (as_published, not) = (never.message().await, first.message().await);
    assert!(as_published.retain && !not.retain);
}

#[tokio::test]
async fn a_message_goes_on_with_all_that_was_said_of_it() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut two = running.connected(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    let mut message = publish("talk/a", "x", 1, 1);
    message.properties = PublishProperties {
        payload_format: Some(PayloadFormat::Utf8),
        response_topic: Some(TopicName::new("talk/answer").unwrap()),
        correlation_data: Some(Bytes::from_static(b"7")),
        content_type: Some(text("text/plain")),
        user_properties: vec![
            (text("b"), text("1")),
            (text("a"), text("2")),
            (text("b"), text("1")),
        ],
        ..PublishProperties::default()
    };
    one.publish(message.clone()).await;
    assert_eq!(two.message().await.properties, message.properties);
}

#[tokio::test]
async fn unsubscribing_ends_what_comes_anew_and_is_answered_filter_by_filter() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut two = running.connected(Version::V5, "two").await;
    two.subscribe("talk/a", 1).await;
    two.subscribe("talk/+", 1).await;
    one.publish(publish("talk/a", "begun", 1, 1)).await;
    let begun = two.message().await;
    let filters = ["talk/none", "talk/+", "talk/a"];
    let unsubscribe = Unsubscribe {
        packet_id: packet_id(7),
        filters: filters.map(|one| TopicFilter::new(one).unwrap()).into(),
        user_properties: Vec::new(),
    };
    two.say(Packet::Unsubscribe(unsubscribe)).await;
    match two.hear().await {
        Some(Packet::UnsubAck(answer)) => {
            assert_eq!(answer.packet_id, packet_id(7));
            let none = ReasonCode::NoSubscriptionExisted;
            let done = ReasonCode::Success;
            assert_eq!(answer.reasons, [none, done, done]);
        }
        other => panic!("{other:?}"),
    }
    let nobody = one.publish(publish("talk/a", "anew", 1, 1)).await;
    assert_eq!(nobody, ReasonCode::NoMatchingSubscribers);
    // What was begun is finished: its acknowledgement is taken.
    two.acknowledge(begun.delivery.packet_id().unwrap(), ReasonCode::Success)
        .await;
    two.ping().await;
}

#[tokio::test]
async fn a_will_may_be_retained_and_a_nameless_client_is_named() {
    let running = Running::start().await;
    let token = running.device("one").await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut nameless = connect(Version::V5, "one", &token);
        nameless.client_id = text("");
        nameless.will = Some(Will {
            topic: TopicName::new("talk/will").unwrap(),
            payload: Bytes::from_static(b"gone"),
            qos: QoS::AtLeastOnce,
            retain: true,
            delay: 0,
            properties: PublishProperties::default(),
        });
        let mut client = running.dial(Version::V5).await;
        let answer = client.connect(nameless).await;
        names.push((answer.assigned_client_id.unwrap(), client));
    }
    assert_ne!(names[0].0, names[1].0);
    let mut two = running.connected(Version::V5, "two").await;
    two.subscribe("talk/will", 1).await;
    drop(names);
    assert_eq!(two.take().await.1, "gone");
    assert_eq!(two.take().await.1, "gone");
    let mut three = running.connected(Version::V5, "three").await;
    three.subscribe("talk/will", 1).await;
    let kept = three.message().await;
    assert!(kept.retain);
    assert_eq!(kept.payload, "gone");
}

#[tokio::test]
async fn mqtt_over_websocket_is_binary_in_whatever_pieces_under_its_name() {
    let running = Running::start().await;
    let token = running.device("one").await;
    let address = running.hub.listening()[0].address;
    let mut request = format!("ws://{address}/mqtt")
        .into_client_request()
        .unwrap();
    let offered = "mqtt".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connecting = tokio_tungstenite::client_async(request, stream);
    let (mut socket, answer) = connecting.await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "mqtt");

    let mut bytes = BytesMut::new();
    let packet = Packet::Connect(Box::new(connect(Version::V5, "one", &token)));
    encode(&packet, Version::V5, &mut bytes).unwrap();
    encode(&Packet::PingReq, Version::V5, &mut bytes).unwrap();
    // Neither a packet a message, nor a message a packet.
    for piece in bytes.chunks(7) {
        let piece = Message::Binary(Bytes::copy_from_slice(piece));
        socket.send(piece).await.unwrap();
    }
    let decoder = Decoder {
        version: Version::V5,
        max_size: 1 << 20,
        from: Peer::Server,
    };
    let (mut inbox, mut heard) = (BytesMut::new(), Vec::new());
    while heard.len() < 2 {
        let message = socket.next().await.unwrap().unwrap();
        assert!(message.is_binary(), "{message:?}");
        inbox.extend_from_slice(&message.into_data());
        while let Some(packet) = decoder.decode(&mut inbox).unwrap() {
            heard.push(packet);
        }
    }
    let let_in = |packet: &Packet| matches!(packet, Packet::ConnAck(answer) if is_success(answer));
    assert!(let_in(&heard[0]));
    assert_eq!(heard[1], Packet::PingResp);

    socket.send(Message::text("no MQTT")).await.unwrap();
    // It is closed, in good manners or not.
    while let Some(Ok(message)) = socket.next().await {
        assert!(!matches!(message, Message::Binary(_)), "{message:?}");
    }
}

fn is_success(answer: &ConnAck) -> bool {
    answer.reason == ReasonCode::Success
}
