//! A whole hub that listens on a port of its own.

use std::net::SocketAddr;

use outgate_hub::StartError;
use outgate_mqtt::packet::{ReasonCode, Version};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, connect};
pub(crate) use crate::running::Running;
use crate::running::config;

/// Where it listens, and that every device may talk below `talk`.
pub(crate) const CONFIG: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
[mqtt.policies.own-subtree]
publish = ['talk/#', 'devices/{device}/#']
subscribe = ['talk/#', 'devices/{device}/#']
";

impl Running {
    /// A hub with the site `s` that speaks everything on one port, without TLS.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Running::start`], with `head` at the top of its configuration.
    pub(crate) async fn start_with(head: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Self::on(folder, &format!("{head}\n{CONFIG}")).await;
        running.furnish().await;
        running
    }

    /// Takes up another configuration.
    pub(crate) fn reload(&self, text: &str) -> Result<(), StartError> {
        self.hub.reload(config(self.folder.path(), text))
    }

    /// A new device that is connected.
    pub(crate) async fn connected(&self, version: Version, name: &str) -> Client {
        let token = self.device(name).await;
        let mut client = self.dial(version).await;
        let answer = client.connect(connect(version, name, &token)).await;
        assert_eq!(answer.reason, ReasonCode::Success);
        client
    }

    /// How many messages were dropped, for whatever reason.
    pub(crate) fn dropped(&self) -> u64 {
        let text = self.hub.state().metrics.text();
        let lines = text
            .lines()
            .filter(|line| line.contains("messages_dropped_total{"));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    fn address(&self) -> SocketAddr {
        self.hub.listening()[0].address
    }

    /// A connection that has said nothing yet.
    pub(crate) async fn dial(&self, version: Version) -> Client {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client::new(stream, version)
    }

    /// The body of what a GET without a login is answered.
    pub(crate) async fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The status that a GET is answered, if the connection is let in so far.
    pub(crate) async fn refused_or_answered(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n";
        // Who is turned away may find the connection gone.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        answer.strip_prefix("HTTP/1.1 200").map(str::to_owned)
    }

    /// What a POST without a login is answered: its status and its body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}
