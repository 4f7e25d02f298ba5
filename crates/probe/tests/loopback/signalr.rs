//! SignalR hubs, most of them bad.

use outgate_probe::{Outcome, Trouble};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    asks::ask,
    secure::{Secure, Secured, request, rest, say},
};

const OFFER: &str = r#"{"negotiateVersion":1,"connectionId":"a","connectionToken":"t0ken",
    "availableTransports":[
        {"transport":"WebSockets","transferFormats":["Text","Binary"]},
        {"transport":"ServerSentEvents","transferFormats":["Text"]},
        {"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#;

async fn answer(stream: &mut Secured, status: &str, body: &str) {
    let length = body.len();
    say(
        stream,
        &format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
    .await;
}

/// A hub whose WebSocket is taken away on the way, and whose events are never let through: long
/// polling alone works.
async fn behind_a_bad_proxy(mut stream: Secured) {
    let mut polls = 0;
    while let Some(line) = request(&mut stream).await {
        if line.starts_with("POST /negotiate?") {
            answer(&mut stream, "200 OK", OFFER).await;
        } else if line.starts_with("POST /?id=t0ken") {
            answer(&mut stream, "200 OK", "").await;
            polls = 1;
        } else if line.starts_with("GET /?id=t0ken") && polls == 1 {
            answer(&mut stream, "200 OK", "{}\u{1e}{\"type\":6}\u{1e}").await;
        } else {
            answer(&mut stream, "200 OK", "").await;
        }
    }
}

#[tokio::test]
async fn one_transport_that_works_is_a_warning_that_says_which_do_not() {
    let server = Secure::start(behind_a_bad_proxy).await;
    let finding = server.asked(&ask("signalr")).await;
    let trouble = Some(Trouble::SignalRPartly {
        fails: "WebSockets",
        because: Box::new(Trouble::UpgradeRefused { status: 200 }),
        works: vec!["LongPolling"],
        stranded: false,
    });
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, trouble));
    let tried = finding.attempts[0].signalr.clone().unwrap().transports;
    let tried = tried
        .iter()
        .map(|it| (it.transport, it.protocol, it.outcome));
    let tried: Vec<_> = tried.collect();
    let expected = [
        ("WebSockets", "json", Outcome::Fail),
        ("ServerSentEvents", "json", Outcome::Fail),
        ("LongPolling", "json", Outcome::Pass),
        ("WebSockets", "messagepack", Outcome::Fail),
        ("LongPolling", "messagepack", Outcome::Pass),
    ];
    assert_eq!(tried, expected);
}

#[tokio::test]
async fn events_that_are_kept_on_the_way_are_told_from_a_hub_that_refuses() {
    const EVENTS: &str = r#"{"connectionToken":"t","availableTransports":[
        {"transport":"ServerSentEvents","transferFormats":["Text"]}]}"#;
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    async fn hub(mut stream: Secured, first: &str) {
        while let Some(line) = request(&mut stream).await {
            if line.starts_with("POST /negotiate?") {
                answer(&mut stream, "200 OK", EVENTS).await;
            } else if line.starts_with("POST") {
                answer(&mut stream, "200 OK", "").await;
            } else {
                say(&mut stream, &format!("{HEAD}{first}")).await;
            }
        }
    }
    let works = Secure::start(|stream| hub(stream, ":\r\ndata: {}\u{1e}\r\n\r\n")).await;
    let kept = Secure::start(|stream| hub(stream, "")).await;
    let refuses =
        Secure::start(|stream| hub(stream, "data: {\"error\":\"not here\"}\u{1e}\n\n")).await;
    let error = "not here".to_owned();
    for (server, trouble) in [
        (works, None),
        (kept, Some(Trouble::StreamBuffered)),
        (refuses, Some(Trouble::SignalRRefused { error })),
    ] {
        assert_eq!(server.asked(&ask("signalr")).await.trouble, trouble);
    }
}

#[tokio::test]
async fn a_websocket_that_is_accepted_and_closed_is_told() {
    const SOCKET: &str = r#"{"connectionToken":"t","availableTransports":[
        {"transport":"WebSockets","transferFormats":["Text"]}]}"#;
    let server = Secure::start(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = tokio::io::AsyncReadExt::read_u8(&mut stream).await else {
                return;
            };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let key = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let Some((_, key)) = key else {
            answer(&mut stream, "200 OK", SOCKET).await;
            return rest(&mut stream).await;
        };
        let accept = derive_accept_key(key.as_bytes());
        say(
            &mut stream,
            &format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ),
        )
        .await;
    })
    .await;
    let finding = server.asked(&ask("signalr")).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    let closed = matches!(
        finding.trouble,
        Some(Trouble::WebSocketClosed {
            answered: false,
            ..
        })
    );
    assert!(closed, "{:?}", finding.trouble);
}

#[tokio::test]
async fn whoever_is_no_hub_or_refuses_to_negotiate_is_told() {
    async fn saying(mut stream: Secured, status: &str, body: &str) {
        request(&mut stream).await;
        answer(&mut stream, status, body).await;
        rest(&mut stream).await;
    }
    let page = Secure::start(|stream| saying(stream, "200 OK", "<html>")).await;
    let filter = Secure::start(|stream| saying(stream, "406 Not Acceptable", "")).await;
    let login = Secure::start(|stream| saying(stream, "401 Unauthorized", "")).await;
    let elsewhere =
        Secure::start(|stream| saying(stream, "200 OK", r#"{"url":"https://b.example/h"}"#)).await;
    let bad_id = Secure::start(|stream| saying(stream, "200 OK", SNEAKY)).await;
    let host = Some("b.example".to_owned());
    for (server, outcome, trouble) in [
        (page, Outcome::Fail, Trouble::NotSignalR),
        (filter, Outcome::Warn, Trouble::HttpStatus { status: 406 }),
        (login, Outcome::Warn, Trouble::HttpStatus { status: 401 }),
        (elsewhere, Outcome::Warn, Trouble::SignalRElsewhere { host }),
        (bad_id, Outcome::Fail, Trouble::NotSignalR),
    ] {
        let finding = server.asked(&ask("signalr")).await;
        assert_eq!((finding.outcome, finding.trouble), (outcome, Some(trouble)));
    }
}

/// An id that would put a header of its own into later requests.
const SNEAKY: &str = r#"{"connectionToken":"t\r\nX: y","availableTransports":[]}"#;
