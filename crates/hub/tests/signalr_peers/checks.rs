//! The end for checks, with Microsoft's client: a handshake and pings for whoever asks, and nothing
//! else.

use outgate_core::id::DeviceId;
use outgate_testbed::PATIENCE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, WAYS};
use crate::devices::{command, events};
use crate::running::Running;

/// A hub with an end for checks, of which more is said.
async fn with_checks(more: &str) -> Running {
    Running::with_pos(&format!("[echo]\nsignalr = '/checks'\n{more}")).await
}

impl Running {
    /// A client that asks there and shows a token, or none; and what comes of it.
    async fn checked(&self, token: &str, way: (&str, &str)) -> (Client, Value) {
        let mut node = Client::microsoft(self);
        let url = format!("{}/checks", self.url());
        let started = node.starts(&url, token, way).await;
        (node, started)
    }

    fn counts(&self, line: &str) -> bool {
        self.hub.state().metrics.text().contains(line)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_is_greeted_over_every_transport_and_turned_out_when_they_call() {
    let running = with_checks("").await;
    let token = running.device("till").await;
    let id: DeviceId = "till".parse().unwrap();
    command(&running, &id, "print/receipt", "1").await;
    // A device that shows its token is not one here.
    for token in ["", token.as_str()] {
        for way in WAYS {
            let (mut node, started) = running.checked(token, way).await;
            assert_eq!(started, json!("started"), "{way:?}");
            assert_eq!(running.core().sessions.count(), 0);
            let called = node.does(json!(["invoke", "sale/closed", 1])).await;
            assert!(called["error"].is_string(), "{way:?} {called}");
            let why = node.says("closed").await;
            let why = why.as_str().unwrap();
            assert!(why.contains("nothing can be called here"), "{why}");
        }
    }
    assert!(events(&running, &id).await.is_empty());
    assert!(running.counts("outgate_echoes_total{service=\"signalr\",outcome=\"answered\"}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_in_the_configuration_nobody_is_greeted() {
    let running = Running::with_pos("").await;
    let (_node, started) = running.checked("", WAYS[0]).await;
    let refused = started["error"].as_str().unwrap();
    assert!(refused.contains("404"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_has_so_many_connections_and_gets_another_when_one_ends() {
    let running = with_checks("signalr-connections-a-source = 2").await;
    let (mut first, _) = running.checked("", WAYS[0]).await;
    let (_second, _) = running.checked("", WAYS[3]).await;
    let (_third, refused) = running.checked("", WAYS[0]).await;
    let why = refused["error"].as_str().unwrap();
    assert!(why.contains("as many checks as there may be"), "{why}");
    assert!(running.counts("outgate_echoes_total{service=\"signalr\",outcome=\"limited\"} 1"));
    first.does(json!(["stop"])).await;
    let again = async {
        // Its place is given back once the hub has let go of it.
        loop {
            let (_node, started) = running.checked("", WAYS[0]).await;
            if started == json!("started") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lasts_no_longer_than_it_may() {
    let running = with_checks("signalr-seconds = 1").await;
    for way in WAYS {
        let (mut node, started) = running.checked("", way).await;
        assert_eq!(started, json!("started"), "{way:?}");
        let why = node.says("closed").await;
        let why = why.as_str().unwrap();
        assert!(why.contains("a check lasts no longer"), "{way:?} {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_too_often_is_told_when_to_come_again() {
    let more = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false";
    let running = with_checks(&format!("signalr-connections = 10000\n{more}")).await;
    let address = running.hub.listening()[1].address;
    let negotiate = "POST /checks/negotiate?negotiateVersion=1 HTTP/1.1\r\n\
        host: hub.test\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let told = async {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(negotiate.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            if !answer.starts_with("HTTP/1.1 200 ") {
                return answer.to_lowercase();
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(told.starts_with("http/1.1 429 "), "{told}");
    assert!(told.contains("\r\nretry-after: 1\r\n"), "{told}");
}
