//! Requests that would lead elsewhere if anybody read them otherwise than the hub.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Whole;

/// What comes back for a request that is sent as it stands.
async fn sent(whole: &Whole, request: &str) -> String {
    let address = whole.running.hub.listening()[0].address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Who is not understood may be hung up on.
    let _ = stream.read_buf(&mut answer).await;
    // Nothing more comes than what was sent with the request.
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_leads_beyond_what_is_allowed() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    for path in [
        "/live/flow/open/../closed",
        "/live/flow/open/%2e%2e/closed",
        "/live/flow/open/..%2fclosed",
        "/live/flow/open/..%5cclosed",
        "/live/flow/open/%252e%252e/closed",
        "/live/flow/open/..;/closed",
        "/live/flow/open//closed",
        "/live/flow//open",
        "/live//flow/open",
        "/live/flow/open/%00",
        "/live/flow/open/%0d%0aHost:%20evil",
        "/live/flow/open\\..\\closed",
        "/live/../live/flow/closed",
        "/live/flow/http://127.0.0.1/",
        "/live/http://127.0.0.1/open",
        "/live/flow/@127.0.0.1/open",
        "/live/%66low/closed",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        let answer = sent(&whole, &request).await;
        assert!(["400", "404"].contains(&status(&answer)), "{path} {answer}");
    }
    assert_eq!(whole.vendor.seen.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_an_address_nor_a_host_of_the_asker_leads_anywhere() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let vendor = whole.vendor.address;
    for (target, host) in [
        ("http://evil.example/live/flow/open/a", "hub"),
        ("http://u:p@evil.example:1/live/flow/open/a", "hub"),
        ("/live/flow/open/a", "evil.example"),
        (
            "/live/flow/open/a",
            "evil.example\r\nx-forwarded-host: evil.example",
        ),
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        let answer = sent(&whole, &request).await;
        assert_eq!(status(&answer), "200", "{target} {answer}");
        assert!(answer.contains("\"uri\":\"/v1/open/a\""), "{answer}");
        assert!(answer.contains(&format!("host: {vendor}")), "{answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
    let asked = whole.vendor.seen.asked();
    for target in ["http://127.0.0.1/open/a", "127.0.0.1:80"] {
        let method = if target.starts_with("http") {
            "GET"
        } else {
            "CONNECT"
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        let answer = sent(&whole, &request).await;
        assert!(
            ["400", "404", "405"].contains(&status(&answer)),
            "{target} {answer}"
        );
    }
    assert_eq!(whole.vendor.seen.asked(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_request_hides_in_a_first() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let hidden = "GET /v1/closed HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = hidden.len();
    // Bodies whose end two servers could see at different places.
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("x: a\r\n transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: {length}\r\n\r\n{hidden}"),
    ] {
        let request = format!(
            "POST /live/flow/open/a HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n{framing}"
        );
        let before = whole.vendor.seen.asked();
        let answer = sent(&whole, &request).await;
        let asked = whole.vendor.seen.asked() - before;
        // Either it is not understood, or it is one request with all of that as its body.
        assert!(asked <= 1, "{framing}");
        assert!(
            !answer.contains("/v1/closed\",\"headers") && !answer.contains("\"uri\":\"/v1/closed"),
            "{answer}"
        );
    }
}
