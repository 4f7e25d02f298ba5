//! A client in Node that does what it is told, line by line.

use std::path::PathBuf;
use std::process::Stdio;

use outgate_testbed::{PATIENCE, packages};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::running::Running;

/// The client.
pub(crate) struct Node {
    _child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// What it has said while something else was waited for.
    before: Vec<Value>,
}

/// Each transport with each protocol that it carries.
pub(crate) const WAYS: [(&str, &str); 5] = [
    ("WebSockets", "json"),
    ("WebSockets", "messagepack"),
    ("ServerSentEvents", "json"),
    ("LongPolling", "json"),
    ("LongPolling", "messagepack"),
];

impl Running {
    /// A hub with the SignalR hub `pos`, also to be found at `/devices`, and what else `more` says.
    pub(crate) async fn with_pos(more: &str) -> Self {
        let text = format!(
            "[[listen]]\naddress = '127.0.0.1:0'\n\
             [[signalr.hubs]]\nname = 'pos'\npath = '/devices'\n{more}"
        );
        let running = Self::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        running
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let port = self.hub.listening()[0].address.port();
        format!("https://localhost:{port}")
    }

    /// What its certificate is trusted by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("tls/ca.pem")
    }
}

impl Node {
    /// Starts one that has not connected yet.
    pub(crate) fn start(running: &Running) -> Self {
        let modules = packages().unwrap().join("node/node_modules");
        let mut child = Command::new("node")
            .arg("-e")
            .arg(include_str!("client.js"))
            .arg(modules)
            .env("NODE_EXTRA_CA_CERTS", running.authority())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
            before: Vec::new(),
        }
    }

    /// One that has connected.
    pub(crate) async fn connected(
        running: &Running,
        path: &str,
        token: &str,
        (transport, protocol): (&str, &str),
    ) -> Self {
        let mut node = Self::start(running);
        let url = format!("{}{path}", running.url());
        let order = json!(["start", url, token, transport, protocol]);
        assert_eq!(node.does(order).await, json!("started"));
        node
    }

    /// Has it do something and gives what comes of it.
    pub(crate) async fn does(&mut self, order: Value) -> Value {
        self.told(&order).await;
        self.says("done").await
    }

    /// Tells it what to do.
    pub(crate) async fn told(&mut self, order: &Value) {
        let line = format!("{order}\n");
        self.to.write_all(line.as_bytes()).await.unwrap();
    }

    /// Waits until it says something of that kind; what else it says before is kept.
    pub(crate) async fn says(&mut self, kind: &str) -> Value {
        if let Some(at) = self.before.iter().position(|said| said[0] == kind) {
            return self.before.remove(at)[1].take();
        }
        let said = async {
            loop {
                let line = self.from.next_line().await.unwrap();
                let line = line.expect("the client has ended");
                let mut said: Value = serde_json::from_str(&line).unwrap();
                if said[0] == kind {
                    return said[1].take();
                }
                self.before.push(said);
            }
        };
        let said = tokio::time::timeout(PATIENCE, said).await;
        said.unwrap_or_else(|_| panic!("it says no {kind}"))
    }
}
