//! What is spoken, by ALPN and first bytes.

use outgate_door::{At, Carries, Listener, Protocol, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::place::{Place, patient, plain, tls};

#[tokio::test]
async fn alpn_says_what_is_spoken() {
    for (name, protocol) in [
        ("h2", Protocol::Http2),
        ("http/1.1", Protocol::Http1),
        ("mqtt", Protocol::Mqtt),
        ("x-amzn-mqtt-ca", Protocol::Mqtt),
    ] {
        let mut place = Place::open();
        let client = Client::trusting(&place.authority()).offering(&[name]);
        let _connection = client.connect(place.address).await.unwrap();
        let (arrived, facts) = place.arrival().await;
        assert_eq!(arrived, protocol, "{name}");
        assert_eq!(facts.tls.unwrap().alpn.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn without_alpn_the_first_bytes_say_so() {
    for (first, protocol) in [
        ("GET / HTTP/1.1\r\n", Protocol::Http1),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
        ("\x10\x0c", Protocol::Mqtt),
    ] {
        let mut place = Place::open();
        let client = Client::trusting(&place.authority());
        let mut connection = client.connect(place.address).await.unwrap();
        connection.write_all(first.as_bytes()).await.unwrap();
        assert_eq!(place.arrival().await.0, protocol, "{first}");
        assert_eq!(echoed(&mut connection, first.len()).await, first);
    }
}

#[tokio::test]
async fn a_plain_listener_tells_by_the_first_bytes_too() {
    let mut place = Place::with(plain(), patient());
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    // A byte at a time, as from a slow network.
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore" {
        connection.write_all(&[*byte]).await.unwrap();
    }
    let (protocol, facts) = place.arrival().await;
    assert_eq!(protocol, Protocol::Http2);
    assert!(facts.tls.is_none());
    assert_eq!(facts.peer, connection.local_addr().unwrap());
    let all = echoed(&mut connection, 28).await;
    assert_eq!(all, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore");
}

#[tokio::test]
async fn a_protocol_that_nobody_knows_is_refused_as_alpn_demands() {
    let mut place = Place::open();
    let client = Client::trusting(&place.authority()).offering(&["imap"]);
    let error = client.connect(place.address).await.unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
    assert_eq!(place.refused().await, Refused::BadHandshake);
}

#[tokio::test]
async fn other_first_bytes_are_told_goodbye() {
    let mut place = Place::open();
    let client = Client::trusting(&place.authority());
    let mut connection = client.connect(place.address).await.unwrap();
    connection.write_all(b"\0\0garbage").await.unwrap();
    let mut rest = Vec::new();
    // Without TLS's goodbye this would be an error.
    connection.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    drop(connection);
    assert_eq!(place.refused().await, Refused::UnknownProtocol);
}

#[tokio::test]
async fn plain_http_on_a_port_with_tls_is_told_to_use_https() {
    let mut place = Place::open();
    let mut connection = TcpStream::connect(place.address).await.unwrap();
    connection
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    drop(connection);
    assert_eq!(place.refused().await, Refused::NotTls);
}

#[tokio::test]
async fn a_listener_for_mqtt_refuses_http() {
    let listener = || Listener {
        carries: Carries::Mqtt,
        ..tls()
    };
    let mut place = Place::with(listener(), patient());
    let offering = Client::trusting(&place.authority()).offering(&["h2", "http/1.1"]);
    offering.connect(place.address).await.unwrap_err();
    assert_eq!(place.refused().await, Refused::BadHandshake);
    let client = Client::trusting(&place.authority());
    let mut connection = client.connect(place.address).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    drop(connection);
    assert_eq!(place.refused().await, Refused::UnknownProtocol);
}

#[tokio::test]
async fn a_listener_on_all_addresses_takes_both_families_and_tells_ipv4_as_such() {
    let listener = Listener {
        at: At::Address("[::]:0".parse().unwrap()),
        ..plain()
    };
    let mut place = Place::with(listener, patient());
    let port = place.address.port();
    for address in ["127.0.0.1", "::1"] {
        let address = std::net::SocketAddr::new(address.parse().unwrap(), port);
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(b"GET").await.unwrap();
        let facts = place.arrival().await.1;
        assert_eq!(facts.peer, connection.local_addr().unwrap());
        assert_eq!(facts.local, address);
    }
}

/// The next `length` bytes.
async fn echoed(connection: &mut (impl tokio::io::AsyncRead + Unpin), length: usize) -> String {
    let mut bytes = vec![0; length];
    connection.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}
