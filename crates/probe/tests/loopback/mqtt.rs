//! MQTT servers, most of them bad.

use outgate_probe::{Finding, Outcome, PhaseName, Trouble, Unit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    asks::{ask, config_to, run},
    server::{Server, flood},
};

const PHASE: PhaseName = PhaseName::MqttConnect;

async fn asked(server: &Server) -> Finding {
    run(&ask("mqtt"), config_to(server.address)).await
}

/// Reads a CONNECT and returns its protocol level.
async fn level(stream: &mut TcpStream) -> Option<u8> {
    let mut packet = [0; 128];
    let read = stream.read(&mut packet).await.unwrap_or(0);
    packet.get(..read).and_then(|packet| packet.get(8)).copied()
}

/// Reads until the other side hangs up, and returns what came.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

#[tokio::test]
async fn a_server_that_lets_us_in_passes_and_hears_a_goodbye() {
    let server = Server::start(|mut stream| async move {
        assert_eq!(level(&mut stream).await, Some(5));
        stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
        assert_eq!(rest(&mut stream).await, [0xe0, 0]);
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let mqtt = finding.attempts[0].mqtt.clone().unwrap();
    assert_eq!((mqtt.version, mqtt.code), ("5.0", 0));
    assert!(!mqtt.login_wanted);
    let phases: Vec<_> = finding.attempts[0]
        .phases
        .iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(phases, [PhaseName::Connect, PHASE, PhaseName::Close]);
}

#[tokio::test]
async fn a_server_that_asks_for_a_login_has_shown_that_it_speaks_mqtt() {
    let server = Server::start(|mut stream| async move {
        level(&mut stream).await;
        // Not authorised, with the reason string `who?`.
        let answer = [0x20, 10, 0, 0x87, 7, 0x1f, 0, 4, b'w', b'h', b'o', b'?'];
        stream.write_all(&answer).await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let mqtt = finding.attempts[0].mqtt.clone().unwrap();
    assert!(mqtt.login_wanted);
    assert_eq!((mqtt.code, mqtt.words.as_deref()), (0x87, Some("who?")));
}

#[tokio::test]
async fn a_server_of_3_1_1_is_asked_again_in_3_1_1_whether_it_says_so_or_hangs_up() {
    async fn saying(mut stream: TcpStream, refusal: &'static [u8]) {
        if level(&mut stream).await == Some(5) {
            stream.write_all(refusal).await.unwrap();
            return;
        }
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        rest(&mut stream).await;
    }
    for server in [
        Server::start(|stream| saying(stream, &[0x20, 2, 0, 1])).await,
        Server::start(|stream| saying(stream, &[0x20, 3, 0, 0x84, 0])).await,
        Server::start(|stream| saying(stream, &[])).await,
    ] {
        let finding = asked(&server).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        assert_eq!(finding.attempts[0].mqtt.clone().unwrap().version, "3.1.1");
    }
}

#[tokio::test]
async fn a_server_that_refuses_for_its_own_reasons_fails_and_is_quoted() {
    let server = Server::start(|mut stream| async move {
        level(&mut stream).await;
        stream.write_all(&[0x20, 3, 0, 0x88, 0]).await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let finding = asked(&server).await;
    let trouble = Trouble::MqttRefused {
        code: 0x88,
        reason: "ServerUnavailable (0x88)".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn whoever_hangs_up_says_nothing_or_something_else_fails() {
    let hangs_up = Server::start(|mut stream| async move {
        level(&mut stream).await;
    })
    .await;
    let silent = Server::start(|mut stream| async move {
        rest(&mut stream).await;
    })
    .await;
    let web = Server::start(|mut stream| async move {
        level(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        rest(&mut stream).await;
    })
    .await;
    for (server, trouble) in [
        (hangs_up, Trouble::Closed { phase: PHASE }),
        (silent, Trouble::TimedOut { phase: PHASE }),
        (web, Trouble::NotMqtt),
    ] {
        let finding = asked(&server).await;
        assert_eq!(
            (finding.outcome, finding.trouble),
            (Outcome::Fail, Some(trouble))
        );
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_or_makes_no_sense_is_given_up() {
    let endless = Server::start(|mut stream| async move {
        level(&mut stream).await;
        stream
            .write_all(&[0x20, 0xff, 0xff, 0xff, 0x7f])
            .await
            .unwrap();
        flood(&mut stream, &[0; 4096]).await;
    })
    .await;
    let trouble = Trouble::TooMuch {
        bound: 16_384,
        unit: Unit::MessageBytes,
    };
    let finding = asked(&endless).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
    // One byte at a time, and never a whole packet: also the number of pieces is bounded.
    let dripping = Server::start(|mut stream| async move {
        level(&mut stream).await;
        stream.write_all(&[0x20, 0xf0, 0x70]).await.unwrap();
        while stream.write_all(&[0]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(asked(&dripping).await.outcome, Outcome::Fail);
    let nonsense = Server::start(|mut stream| async move {
        level(&mut stream).await;
        stream.write_all(&[0x20, 4, 0, 0, 1, 0xff]).await.unwrap();
        rest(&mut stream).await;
    })
    .await;
    let finding = asked(&nonsense).await;
    assert!(
        matches!(finding.trouble, Some(Trouble::Malformed { .. })),
        "{:?}",
        finding.trouble
    );
}
