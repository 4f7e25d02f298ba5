//! Clients by others that do what they are told, line by line.

use std::path::PathBuf;
use std::process::Stdio;

use outgate_testbed::{PATIENCE, packages, python};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::running::Running;

/// A client.
pub(crate) struct Client {
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

impl Client {
    /// Microsoft's, in Node, which has not connected yet.
    pub(crate) fn microsoft(running: &Running) -> Self {
        let modules = packages().unwrap().join("node/node_modules");
        let mut node = Command::new("node");
        node.arg("-e")
            .arg(include_str!("microsoft.js"))
            .arg(modules);
        Self::start(node.env("NODE_EXTRA_CA_CERTS", running.authority()))
    }

    /// One in Python, which has not connected yet.
    pub(crate) fn python(running: &Running, script: &str) -> Self {
        let mut command = Command::new(python().unwrap());
        // Libraries that other peers bring along are not those that this Python was built with.
        command.env_remove("LD_LIBRARY_PATH");
        Self::start(
            command
                .args(["-u", "-c", script])
                .env("SSL_CERT_FILE", running.authority()),
        )
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command
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

    /// Microsoft's that has connected.
    pub(crate) async fn connected(
        running: &Running,
        path: &str,
        token: &str,
        way: (&str, &str),
    ) -> Self {
        let mut node = Self::microsoft(running);
        let url = format!("{}{path}", running.url());
        assert_eq!(node.starts(&url, token, way).await, json!("started"));
        node
    }

    /// Has it connect and gives what comes of it.
    pub(crate) async fn starts(
        &mut self,
        url: &str,
        token: &str,
        (transport, protocol): (&str, &str),
    ) -> Value {
        self.does(json!(["start", url, token, transport, protocol]))
            .await
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
