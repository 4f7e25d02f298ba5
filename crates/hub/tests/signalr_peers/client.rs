//! Clients of SignalR by others.

use std::path::PathBuf;

use outgate_testbed::{packages, python};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::Running;
pub(crate) use crate::told::Client;

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
}
