//! A hub that goes down.

use bytes::BytesMut;
use outgate_mqtt::packet::{ConnAck, Connect, Packet, ReasonCode, Version, encode};

use crate::client::{Client, connect};
use crate::hub::Running;

#[tokio::test]
async fn a_hub_that_goes_down_sends_its_clients_to_where_it_is_told_to() {
    let running = Running::start_with("server-reference = 'other.example:8883'").await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut old = running.connected(Version::V3_1_1, "old").await;
    running.hub.drain();
    match one.hear().await {
        Some(Packet::Disconnect(why)) => {
            assert_eq!(why.reason, ReasonCode::UseAnotherServer);
            assert_eq!(why.server_reference.as_deref(), Some("other.example:8883"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);
    // Whoever cannot be told is closed.
    assert_eq!(old.hear().await, None);
}

#[tokio::test]
async fn a_hub_that_knows_no_other_says_only_that_it_goes_down() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    running.hub.drain();
    match one.hear().await {
        Some(Packet::Disconnect(why)) => {
            assert_eq!(why.reason, ReasonCode::ServerShuttingDown);
            assert_eq!(why.server_reference, None);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);
}

#[tokio::test]
async fn who_comes_to_a_hub_that_goes_down_is_sent_to_where_it_is_told_to() {
    let other = "other.example:8883";
    for (head, reason, reference) in [
        (
            "server-reference = 'other.example:8883'",
            ReasonCode::UseAnotherServer,
            Some(other),
        ),
        ("", ReasonCode::ServerUnavailable, None),
    ] {
        let running = Running::start_with(head).await;
        let token = running.device("one").await;
        let mut coming = Vec::new();
        for version in [Version::V5, Version::V3_1_1] {
            coming.push(begin(&running, connect(version, "one", &token)).await);
        }
        let mut stranger = begin(&running, connect(Version::V5, "one", "wrong")).await;
        running.hub.drain();
        let [five, old] = coming.as_mut_slice() else {
            panic!("{}", coming.len());
        };
        let answer = five.go_on().await;
        assert_eq!(answer.reason, reason);
        assert_eq!(answer.server_reference.as_deref(), reference);
        // Return code 3 says no more.
        let answer = old.go_on().await;
        assert_eq!(answer.reason, ReasonCode::ServerUnavailable);
        // Who has not proved who it is learns nothing.
        let answer = stranger.go_on().await;
        assert_eq!(answer.reason, ReasonCode::BadUserNameOrPassword);
        assert_eq!(answer.server_reference, None);
    }
}

/// A client in the midst of its CONNECT.
struct Coming {
    client: Client,
    left: BytesMut,
}

/// Says the first half of a CONNECT, and waits until it has been let in at the door.
async fn begin(running: &Running, connect: Connect) -> Coming {
    let before = live(running);
    let version = connect.version;
    let mut bytes = BytesMut::new();
    encode(&Packet::Connect(Box::new(connect)), version, &mut bytes).unwrap();
    let left = bytes.split_off(bytes.len() / 2);
    let mut client = running.dial(version).await;
    client.say_raw(&bytes).await;
    let coming = async {
        while live(running) == before {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, coming).await.unwrap();
    Coming { client, left }
}

impl Coming {
    /// Says the rest.
    async fn go_on(&mut self) -> Box<ConnAck> {
        self.client.say_raw(&self.left).await;
        match self.client.hear().await {
            Some(Packet::ConnAck(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }
}

/// How many connections speak MQTT.
fn live(running: &Running) -> u64 {
    let text = running.hub.state().metrics.text();
    let is_live =
        |line: &&str| line.starts_with("outgate_connections{") && line.contains("\"mqtt\"");
    text.lines()
        .find(is_live)
        .map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}
