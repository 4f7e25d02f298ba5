//! WebSocket servers, most of them bad.

use std::{future::Future, time::Duration};

use futures_util::{SinkExt, StreamExt};
use outgate_probe::{Ask, Finding, Outcome, PhaseName, Trouble, Unit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{Message, handshake::derive_accept_key, protocol::Role};

use crate::{
    asks::{PATIENCE, ask, config_to, run},
    server::{Server, flood, read_head},
};

fn short() -> Ask {
    Ask {
        hold: Duration::from_millis(200),
        ..ask("ws")
    }
}

async fn asked(server: &Server) -> Finding {
    run(&short(), config_to(server.address)).await
}

/// Answers the handshake as it must be.
async fn accept(stream: &mut TcpStream) {
    let head = read_head(stream).await;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, value)| value)
        .expect("a key");
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes()),
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_answers_pings_and_stays_open_passes() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        let mut socket =
            tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        // Reading is what answers pings.
        while StreamExt::next(&mut socket)
            .await
            .is_some_and(|it| it.is_ok())
        {}
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let evidence = finding.attempts[0].websocket.clone().unwrap();
    assert!(evidence.pong.is_some());
    assert!(evidence.held >= Duration::from_millis(200));
    let phases: Vec<_> = finding.attempts[0]
        .phases
        .iter()
        .map(|phase| phase.name)
        .collect();
    let expected = [
        PhaseName::Connect,
        PhaseName::Upgrade,
        PhaseName::Hold,
        PhaseName::Ping,
        PhaseName::Close,
    ];
    assert_eq!(phases, expected);
    assert_eq!(finding.attempts[0].http.clone().unwrap().status, 101);
}

#[tokio::test]
async fn a_refused_handshake_is_a_warning_and_a_broken_server_a_failure() {
    for (status, text, outcome) in [
        (
            404,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            Outcome::Warn,
        ),
        (
            200,
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Outcome::Warn,
        ),
        (
            502,
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            Outcome::Fail,
        ),
        (
            407,
            "HTTP/1.1 407 Auth\r\nContent-Length: 0\r\n\r\n",
            Outcome::Fail,
        ),
    ] {
        let finding = asked(&Server::saying(text).await).await;
        let trouble = Trouble::UpgradeRefused { status };
        assert_eq!((finding.outcome, finding.trouble), (outcome, Some(trouble)));
        assert_eq!(finding.attempts[0].http.clone().unwrap().status, status);
    }
}

#[tokio::test]
async fn a_socket_that_is_accepted_and_closed_fails() {
    let server = Server::start(|mut stream| async move { accept(&mut stream).await }).await;
    let finding = asked(&server).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let closed = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed { code: None, .. })
    );
    assert!(closed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_close_code_is_quoted() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        stream.write_all(&[0x88, 2, 0x03, 0xf5]).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    let closed = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed {
            code: Some(1013),
            ..
        })
    );
    assert!(closed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_socket_that_stays_open_without_a_pong_is_a_warning() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(Trouble::EchoMissing))
    );
}

#[tokio::test]
async fn a_wrong_accept_key_is_a_broken_handshake() {
    let server = Server::saying(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    )
    .await;
    let finding = asked(&server).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let broken = matches!(finding.trouble, Some(Trouble::UpgradeBroken { .. }));
    assert!(broken, "{:?}", finding.trouble);
}

#[tokio::test]
async fn another_protocol_is_not_http() {
    let finding = asked(&Server::saying("220 mail.example ESMTP\r\n").await).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::NotHttp))
    );
}

#[tokio::test]
async fn a_silent_server_is_a_time_out() {
    let server = Server::start(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    let trouble = Trouble::TimedOut {
        phase: PhaseName::Upgrade,
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn endless_messages_and_endless_headers_are_too_much() {
    let chatter = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        flood(&mut stream, &[0x81, 1, b'x']).await;
    })
    .await;
    let giant = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        flood(
            &mut stream,
            &[0x82, 127, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        )
        .await;
    })
    .await;
    let headers = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
            .await;
        flood(&mut stream, &[b'x'; 1000]).await;
    })
    .await;
    for (server, bound, unit) in [
        (chatter, 1000, Unit::Messages),
        (giant, 65_536, Unit::MessageBytes),
        (headers, 65_536, Unit::MessageBytes),
    ] {
        let finding = asked(&server).await;
        assert_eq!(finding.outcome, Outcome::Fail);
        assert_eq!(finding.trouble, Some(Trouble::TooMuch { bound, unit }));
    }
}

/// Reads our ping, masked as a client's frames are, and answers it.
async fn pong(stream: &mut TcpStream) {
    let mut ping = [0; 14];
    stream.read_exact(&mut ping).await.unwrap();
    let mut pong = vec![0x8a, 8];
    pong.extend((0..8).map(|at| ping[6 + at] ^ ping[2 + at % 4]));
    stream.write_all(&pong).await.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_the_ping_may_go_on_talking() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        pong(&mut stream).await;
        flood(&mut stream, &[0x81, 1, b'x']).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let evidence = finding.attempts[0].websocket.clone().unwrap();
    assert_eq!(evidence.messages, 1000);
}

#[tokio::test]
async fn waiting_for_a_pong_counts_towards_the_time_out() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!(finding.trouble, Some(Trouble::EchoMissing));
    let held = finding.attempts[0].websocket.clone().unwrap().held;
    assert!(held <= PATIENCE + Duration::from_millis(250), "{held:?}");
}

#[tokio::test]
async fn a_socket_that_is_forgotten_in_a_quiet_time_fails_although_nobody_closes_it() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        pong(&mut stream).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let finding = asked(&server).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let silent = matches!(
        finding.trouble,
        Some(Trouble::WebSocketSilent { after_micros }) if after_micros >= 200_000
    );
    assert!(silent, "{:?}", finding.trouble);
}

#[tokio::test]
async fn a_socket_that_is_cut_in_a_quiet_time_says_when_and_that_it_had_worked() {
    let server = Server::start(|mut stream| async move {
        accept(&mut stream).await;
        pong(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    })
    .await;
    let long = Ask {
        hold: Duration::from_secs(60),
        ..ask("ws")
    };
    let finding = run(&long, config_to(server.address)).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let cut = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed { answered: true, after_micros, .. })
            if after_micros >= 300_000
    );
    assert!(cut, "{:?}", finding.trouble);
}

/// Asks for an echo of a server that does this with every text.
async fn echoed<F>(answer: fn(Echoing, String) -> F) -> Finding
where
    F: Future<Output = Option<Echoing>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        accept(&mut stream).await;
        let mut socket =
            tokio_tungstenite::WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                match answer(socket, text.to_string()).await {
                    Some(again) => socket = again,
                    None => return,
                }
            }
        }
    });
    let mut ask = short();
    ask.http.echo = true;
    let finding = run(&ask, config_to(address)).await;
    server.abort();
    finding
}

type Echoing = tokio_tungstenite::WebSocketStream<TcpStream>;

#[tokio::test]
async fn a_text_that_comes_back_after_a_greeting_passes() {
    let finding = echoed(|mut socket, text| async move {
        socket.send(Message::text("welcome")).await.ok()?;
        socket.send(Message::text(text)).await.ok()?;
        Some(socket)
    })
    .await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let evidence = finding.attempts[0].websocket.clone().unwrap();
    assert!(evidence.echo.is_some() && evidence.pong.is_some());
}

#[tokio::test]
async fn a_text_that_is_changed_or_comes_too_late_fails() {
    let changed = echoed(|mut socket, text| async move {
        socket
            .send(Message::text(text.to_uppercase() + "!"))
            .await
            .ok()?;
        Some(socket)
    })
    .await;
    let Some(Trouble::WebSocketAltered { came: Some(came) }) = changed.trouble else {
        panic!("{:?}", changed.trouble);
    };
    assert_eq!((changed.outcome, came.len()), (Outcome::Fail, 33));
    let late = echoed(|mut socket, text| async move {
        // Nobody waits any more when the goodbye comes.
        while !matches!(socket.next().await, Some(Ok(Message::Close(_))) | None) {}
        socket.send(Message::text(text)).await.ok()?;
        None
    })
    .await;
    let expected = Some(Trouble::WebSocketAltered { came: None });
    assert_eq!((late.outcome, late.trouble), (Outcome::Fail, expected));
}

#[tokio::test]
async fn more_than_is_taken_in_place_of_an_echo_ends_the_wait() {
    let endless = echoed(|mut socket, _| async move {
        while socket.send(Message::text("no")).await.is_ok() {}
        None
    })
    .await;
    let bound = 1000;
    let unit = Unit::Messages;
    assert_eq!(endless.trouble, Some(Trouble::TooMuch { bound, unit }));
    let long = echoed(|mut socket, _| async move {
        socket.send(Message::text("x".repeat(65_537))).await.ok()?;
        Some(socket)
    })
    .await;
    let bound = 65_536;
    let unit = Unit::MessageBytes;
    assert_eq!(long.trouble, Some(Trouble::TooMuch { bound, unit }));
    let gone = echoed(|_, _| async { None }).await;
    let closed = Some(Trouble::WebSocketClosed {
        code: None,
        after_micros: 0,
        answered: false,
    });
    let gone = gone.trouble.map(|trouble| match trouble {
        Trouble::WebSocketClosed { code, answered, .. } => Trouble::WebSocketClosed {
            code,
            after_micros: 0,
            answered,
        },
        other => other,
    });
    assert_eq!(gone, closed);
}
