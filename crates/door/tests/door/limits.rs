//! How many may come in.

use std::sync::Arc;
use std::time::Duration;

use outgate_door::{Limits, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Client;
use crate::place::{Place, patient, plain, tls};

#[tokio::test]
async fn one_too_many_is_told_so_in_http() {
    let answer = second("GET / HTTP/1.1\r\nHost: x\r\n\r\n", of_source()).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    assert!(answer.ends_with("from your address.\n"), "{answer}");
}

#[tokio::test]
async fn one_too_many_is_told_so_in_mqtt() {
    let connect = "\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0";
    assert_eq!(second(connect, of_source()).await, [0x20, 3, 0, 0x97, 0]);
    assert_eq!(second(connect, in_all()).await, [0x20, 3, 0, 0x89, 0]);
}

#[tokio::test]
async fn one_too_many_is_told_so_in_http_2() {
    let answer = second("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", in_all()).await;
    assert_eq!(answer[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(answer[9 + 3], 7, "GOAWAY follows");
}

#[tokio::test]
async fn one_too_many_is_told_so_after_the_handshake() {
    let mut place = Place::with(tls(), of_source());
    let client = Client::trusting(&place.authority()).offering(&["mqtt"]);
    let _first = client.connect(place.address).await.unwrap();
    place.arrival().await;
    let mut second = client.connect(place.address).await.unwrap();
    second
        .write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\0")
        .await
        .unwrap();
    let mut answer = Vec::new();
    second.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 3]);
}

#[tokio::test]
async fn who_goes_makes_room() {
    let mut place = Place::with(plain(), of_source());
    let mut first = TcpStream::connect(place.address).await.unwrap();
    first.write_all(b"GET").await.unwrap();
    place.arrival().await;
    assert_eq!(place.door.connections(), 1);
    drop(first);
    place.door.emptied().await;
    let mut second = TcpStream::connect(place.address).await.unwrap();
    second.write_all(b"GET").await.unwrap();
    place.arrival().await;
}

#[tokio::test]
async fn while_as_many_as_may_be_are_opened_others_wait_their_turn() {
    let limits = Limits {
        opening: 1,
        ..patient()
    };
    let mut place = Place::with(plain(), limits);
    let mut silent = TcpStream::connect(place.address).await.unwrap();
    let mut second = TcpStream::connect(place.address).await.unwrap();
    second.write_all(b"GET").await.unwrap();
    silent.write_all(b"GET").await.unwrap();
    let first = place.arrival().await.1.peer;
    assert_eq!(first, silent.local_addr().unwrap());
    let next = place.arrival().await.1.peer;
    assert_eq!(next, second.local_addr().unwrap());
}

#[tokio::test]
async fn silent_connections_of_one_source_leave_the_door_open_for_others() {
    let limits = Limits {
        opening: 2,
        opening_per_source: 1,
        ..patient()
    };
    let mut place = Place::with(plain(), limits);
    let mut silent = Vec::new();
    for _ in 0..5 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        silent.push(socket.connect(place.address).await.unwrap());
    }
    let mut other = TcpStream::connect(place.address).await.unwrap();
    other.write_all(b"GET").await.unwrap();
    let arrival = tokio::time::timeout(Duration::from_secs(20), place.arrival());
    let peer = arrival.await.expect("the door is shut").1.peer;
    assert_eq!(peer, other.local_addr().unwrap());
    // Those beyond come in all the same, in their turn.
    for mut one in silent {
        one.write_all(b"GET").await.unwrap();
        assert_eq!(place.arrival().await.1.peer, one.local_addr().unwrap());
    }
}

#[tokio::test]
async fn all_phases_together_have_one_deadline() {
    let limits = Limits {
        opened_within: Duration::from_millis(300),
        ..patient()
    };
    let mut place = Place::with(tls(), limits);
    let client = Client::trusting(&place.authority());
    // On a slow machine it may be the handshake already that takes too long.
    let _silent = client.connect(place.address).await;
    let refused = tokio::time::timeout(Duration::from_secs(20), place.refused());
    let why = refused.await.expect("it may be silent for ever");
    assert!(matches!(why, Refused::TooSlow(_)), "{why:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_handshakes_passes() {
    const STORM: usize = 300;
    let mut place = Place::open();
    let client = Arc::new(Client::trusting(&place.authority()).offering(&["mqtt"]));
    let address = place.address;
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..STORM {
        let client = Arc::clone(&client);
        storm.spawn(async move { client.connect(address).await.unwrap() });
    }
    let connections = storm.join_all().await;
    for _ in 0..STORM {
        place.arrival().await;
    }
    assert_eq!(place.door.connections(), STORM);
    drop(connections);
    place.door.emptied().await;
}

/// What the second connection hears that starts with `first`.
async fn second(first: &str, limits: Limits) -> Vec<u8> {
    let mut place = Place::with(plain(), limits);
    let mut one = TcpStream::connect(place.address).await.unwrap();
    one.write_all(b"GET").await.unwrap();
    place.arrival().await;
    let mut other = TcpStream::connect(place.address).await.unwrap();
    other.write_all(first.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    other.read_to_end(&mut answer).await.unwrap();
    drop(other);
    let why = place.refused().await;
    assert!(matches!(why, Refused::Full | Refused::FullForSource));
    answer
}

fn of_source() -> Limits {
    Limits {
        connections_per_source: 1,
        ..patient()
    }
}

fn in_all() -> Limits {
    Limits {
        connections: 1,
        ..patient()
    }
}
