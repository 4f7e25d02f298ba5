//! Slow and silent peers, and peers that talk nonsense.

use std::time::Duration;

use outgate_door::{Limits, Listener, Phase, Refused};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::place::{Place, patient, plain, tls};

/// The time that a phase has which a test lets pass.
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn who_never_says_anything_is_dropped() {
    let limits = || Limits {
        first_byte: SHORT,
        ..patient()
    };
    check(tls(), limits(), b"", Phase::FirstByte).await;
    check(plain(), limits(), b"", Phase::FirstBytes).await;
}

#[tokio::test]
async fn who_starts_a_handshake_and_stops_is_dropped() {
    let limits = Limits {
        handshake: SHORT,
        ..patient()
    };
    // The start of a record that carries a client's hello.
    check(tls(), limits, b"\x16\x03\x01\x02\0\x01", Phase::Handshake).await;
}

#[tokio::test]
async fn who_sends_half_a_preface_is_dropped() {
    let limits = Limits {
        first_byte: SHORT,
        ..patient()
    };
    check(plain(), limits, b"PRI * HTTP", Phase::FirstBytes).await;
}

#[tokio::test]
async fn who_is_silent_after_the_handshake_is_dropped() {
    let limits = Limits {
        first_byte: Duration::from_millis(300),
        ..patient()
    };
    let mut place = Place::with(tls(), limits);
    let client = Client::trusting(&place.authority());
    let mut connection = client.connect(place.address).await.unwrap();
    // The end comes with TLS's goodbye or without.
    let _ = connection.read(&mut [0]).await;
    assert_eq!(place.refused().await, Refused::TooSlow(Phase::FirstBytes));
}

#[tokio::test]
async fn a_trusted_proxy_that_is_silent_is_dropped() {
    let listener = Listener {
        proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..tls()
    };
    let limits = Limits {
        proxy_header: SHORT,
        ..patient()
    };
    check(listener, limits, b"\r\n\r\n\0", Phase::ProxyHeader).await;
}

#[tokio::test]
async fn who_goes_away_is_forgotten() {
    let mut place = Place::open();
    drop(TcpStream::connect(place.address).await.unwrap());
    assert_eq!(place.refused().await, Refused::WentAway(Phase::FirstByte));
    place.door.emptied().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_first_bytes_break_the_door(bytes in nonsense()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for listener in [tls(), plain()] {
                let place = Place::with(listener, patient());
                let mut connection = TcpStream::connect(place.address).await.unwrap();
                // The door may hang up before it has heard all.
                let _ = connection.write_all(&bytes).await;
                let _ = connection.shutdown().await;
                let _ = connection.read_to_end(&mut Vec::new()).await;
                place.door.emptied().await;
            }
        });
    }
}

/// Bytes that may look like TLS for a while.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(&b""[..]),
        Just(&b"\x16\x03\x01"[..]),
        Just(&b"\x16\x03\x01\x00\x10\x01\x00\x00\x0c\x03\x03"[..]),
        Just(&b"\x10"[..]),
        Just(&b"PRI * HTTP/2.0\r\n"[..]),
    ];
    let rest = proptest::collection::vec(any::<u8>(), 0..200);
    (start, rest).prop_map(|(start, rest)| [start, &rest].concat())
}

/// Sends `first` and nothing more, and is dropped for it in `phase`.
async fn check(listener: Listener, limits: Limits, first: &[u8], phase: Phase) {
    let mut place = Place::with(listener, limits);
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection.write_all(first).await.unwrap();
    // The end comes in order, or with a reset when we said something unheard.
    let _ = connection.read(&mut [0]).await;
    assert_eq!(place.refused().await, Refused::TooSlow(phase));
    place.door.emptied().await;
}
