//! The stand-ins as their clients see them, over real sockets, with clients in this process.

#![cfg(test)]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use outgate_standin::{
    Answers, Authority, DnsFault, HttpFault, MAX_MESSAGE, NtpFault, Place, Stage, StatusCode,
    SystemClock, TcpFault, TlsFault,
};
use outgate_wire::{
    ntp::Request,
    tls_hello::{ClientHello, ServerFirst, Version},
};

/// Longer than any limit that a stand-in keeps; only ever waited for in paused time.
const FOR_EVER: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn one_port_serves_many_names_each_with_its_certificate() {
    let mut stage = stage();
    let names = names(&["a.example", "*.b.example"]);
    let address = stage
        .https(Place::v4(), &names, TlsFault::None)
        .await
        .unwrap();
    for name in ["a.example", "x.b.example"] {
        let stream = tls(&stage, address, name).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        assert_eq!(chain.len(), 2);
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = get(stream, name).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.ends_with(&format!("outgate stand-in for {name}: /where\n")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn other_names_are_refused_with_an_alert() {
    let mut stage = stage();
    let address = stage
        .https(Place::v4(), &names(&["a.example"]), TlsFault::None)
        .await
        .unwrap();
    let error = tls(&stage, address, "b.example").await.unwrap_err();
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
}

#[tokio::test]
async fn each_bad_certificate_is_refused_for_its_own_reason() {
    for (fault, reason) in [
        (TlsFault::OtherAuthority, "UnknownIssuer"),
        (TlsFault::LeafOnly, "UnknownIssuer"),
        (TlsFault::Expired, "certificate expired"),
        (TlsFault::NotYetValid, "certificate not valid yet"),
        (TlsFault::WrongName, "certificate not valid for name"),
        (TlsFault::OldVersions, "ProtocolVersion"),
        (TlsFault::CloseAtOnce, "eof"),
    ] {
        let mut stage = stage();
        let names = names(&["a.example"]);
        let address = stage.https(Place::v4(), &names, fault).await.unwrap();
        let error = tls(&stage, address, "a.example").await.unwrap_err();
        assert!(error.to_string().contains(reason), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn an_old_server_tells_its_version_to_who_offers_it() {
    let mut stage = stage();
    let address = stage
        .https(Place::v4(), &names(&["a.example"]), TlsFault::OldVersions)
        .await
        .unwrap();
    for (newest, expected) in [
        (Version::Tls12, Ok(Version::Tls11)),
        (Version::Tls11, Ok(Version::Tls11)),
        (Version::Tls10, Err(70)),
    ] {
        let hello = ClientHello::new(newest, Some("a.example"), [1; 32]).unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello.encode()).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        let answer = match ServerFirst::read(&heard).unwrap().unwrap() {
            ServerFirst::Hello { version, .. } => Ok(version),
            ServerFirst::Alert { description, .. } => Err(description),
        };
        assert_eq!(answer, expected, "{newest:?}");
    }
}

#[tokio::test]
async fn a_websocket_sends_back_what_it_gets_with_tls_and_without() {
    let mut stage = stage();
    let secure = stage
        .https(Place::v4(), &names(&["a.example"]), TlsFault::None)
        .await
        .unwrap();
    let plain = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    echoes(tls(&stage, secure, "a.example").await.unwrap()).await;
    echoes(TcpStream::connect(plain).await.unwrap()).await;
}

#[tokio::test]
async fn a_message_too_long_closes_the_websocket_with_1009() {
    let mut stage = stage();
    let address = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://a.example/", stream)
        .await
        .unwrap();
    let long = Message::binary(vec![0; MAX_MESSAGE + 1]);
    socket.send(long).await.unwrap();
    let Some(Ok(Message::Close(Some(close)))) = socket.next().await else {
        panic!("no close");
    };
    assert_eq!(close.code, CloseCode::Size);
}

#[tokio::test]
async fn a_dropped_websocket_is_accepted_first() {
    let mut stage = stage();
    let address = stage
        .http(Place::v4(), HttpFault::WebSocketDropped)
        .await
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async("ws://a.example/", stream)
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
    assert!(matches!(socket.next().await, Some(Err(_))));
}

#[tokio::test]
async fn a_status_on_purpose_is_for_every_request() {
    let mut stage = stage();
    let fault = HttpFault::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let address = stage.http(Place::v4(), fault).await.unwrap();
    let answer = get(TcpStream::connect(address).await.unwrap(), "a.example").await;
    assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
    let stream = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async("ws://a.example/", stream).await;
    assert!(refused.unwrap_err().to_string().contains("407"));
}

#[tokio::test]
async fn the_date_is_the_stages() {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let mut stage = Stage::new(Authority::new(moment).unwrap(), move || moment);
    let address = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    let answer = get(TcpStream::connect(address).await.unwrap(), "a.example").await;
    assert!(
        answer.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let mut stage = stage();
    let address = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(64 * 1024));
    // The server may have closed before the last byte.
    let _sent = stream.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
}

#[tokio::test]
async fn the_clock_is_as_wrong_as_wanted() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut stage = Stage::new(Authority::new(now).unwrap(), move || now);
    for place in [Place::v4(), Place::v6()] {
        for offset in [time::Duration::ZERO, -time::Duration::DAY] {
            let address = stage.ntp(place, offset, NtpFault::None).await.unwrap();
            let request = Request::new(7);
            let datagram = ask(address, &request.encode()).await;
            let reply = request.read_reply(&datagram).unwrap();
            let seen = reply.reading(now, Duration::ZERO).offset_nanos;
            assert_eq!(i128::from(seen), offset.whole_nanoseconds());
        }
    }
}

#[tokio::test]
async fn names_are_answered_over_udp_and_tcp_at_one_port() {
    let mut stage = stage();
    let answers = Answers::new()
        .address("a.example", [192, 0, 2, 7].into())
        .unwrap();
    let address = stage
        .dns(Place::v4(), answers, DnsFault::None)
        .await
        .unwrap();
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
        \x01a\x07example\x00\x00\x01\x00\x01";

    let over_udp = ask(address, question).await;
    assert!(over_udp.ends_with(&[0, 4, 192, 0, 2, 7]));

    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        let length = u16::try_from(question.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(question).await.unwrap();
        let mut over_tcp = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut over_tcp).await.unwrap();
        assert_eq!(over_tcp, over_udp);
    }
}

#[tokio::test]
async fn a_stopped_stage_closes_its_connections_and_listens_no_more() {
    let mut stage = stage();
    let address = stage.tcp(Place::v4(), TcpFault::None).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x');

    stage.stop().await;
    assert!(stream.read_u8().await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_place_that_is_taken_is_an_error_that_names_it() {
    let mut stage = stage();
    let address = stage.tcp(Place::v4(), TcpFault::None).await.unwrap();
    let place = Place::v4().port(address.port());
    let error = stage.http(place, HttpFault::None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to listen at {address}"));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_cut_off() {
    let mut stage = stage();
    let names = names(&["a.example"]);
    let servers = [
        stage.https(Place::v4(), &names, TlsFault::None).await,
        stage.http(Place::v4(), HttpFault::None).await,
        stage.tcp(Place::v4(), TcpFault::Silent).await,
        stage.dns(Place::v4(), Answers::new(), DnsFault::None).await,
    ];
    for address in servers {
        let mut stream = TcpStream::connect(address.unwrap()).await.unwrap();
        let mut heard = Vec::new();
        let cut_off = timeout(FOR_EVER, stream.read_to_end(&mut heard)).await;
        assert!(cut_off.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_never_answered_is_the_clients_to_give_up() {
    let mut stage = stage();
    let names = names(&["a.example"]);
    let address = stage
        .https(Place::v4(), &names, TlsFault::Silent)
        .await
        .unwrap();
    let handshake = tls(&stage, address, "a.example");
    assert!(timeout(Duration::from_secs(60), handshake).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let mut stage = stage();
    let address = stage.tcp(Place::v4(), TcpFault::None).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_u8().await.unwrap();
        taken.push(stream);
    }
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(b"y").await.unwrap();
    let early = timeout(Duration::from_secs(1), waiting.read_u8()).await;
    assert!(early.is_err());

    taken.pop();
    assert_eq!(waiting.read_u8().await.unwrap(), b'y');
}

fn stage() -> Stage {
    Stage::new(Authority::new(SystemTime::now()).unwrap(), SystemClock)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A handshake with a client that trusts the stage's authority.
async fn tls(
    stage: &Stage,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let root: CertificateDer<'static> = stage.authority().certificate().clone();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The whole answer to one request.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> String {
    let request = format!("GET /where HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn echoes(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut socket, _) = tokio_tungstenite::client_async("ws://a.example/any", stream)
        .await
        .unwrap();
    for message in [
        Message::text("hello"),
        Message::binary(vec![7; MAX_MESSAGE]),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("now".into())).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong("now".into()));
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none());
}

/// One datagram there, one back.
async fn ask(address: SocketAddr, question: &[u8]) -> Vec<u8> {
    let own = if address.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(own).await.unwrap();
    socket.send_to(question, address).await.unwrap();
    let mut answer = vec![0; 2048];
    let length = socket.recv(&mut answer).await.unwrap();
    answer.truncate(length);
    answer
}
