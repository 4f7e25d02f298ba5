//! A hub that runs for one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::NewCommand;
use outgate_core::identity::Actor;
use outgate_testbed::run;
use serde_json::Value;
use tokio::process::Command;

pub(crate) use crate::running::Running;

/// The hub's listeners, in the order of its configuration.
#[derive(Clone, Copy)]
pub(crate) enum Listener {
    /// Everything over TLS.
    Tls,
    /// MQTT without.
    Plain,
    /// Everything over TLS, from behind a proxy.
    BehindTls,
    /// Everything without TLS, from behind a proxy.
    BehindHttp,
}

const CONFIGURATION: &str = "
    [[listen]]
    address = '127.0.0.1:0'
    [[listen]]
    address = '127.0.0.1:0'
    carries = 'mqtt'
    tls = false
    [[listen]]
    address = '127.0.0.1:0'
    proxy-protocol-from = ['127.0.0.1/32']
    [[listen]]
    address = '127.0.0.1:0'
    tls = false
    proxy-protocol-from = ['127.0.0.1/32']
";

impl Running {
    /// A hub with a listener of each kind.
    pub(crate) async fn start() -> Self {
        let running = Self::on(tempfile::tempdir().unwrap(), CONFIGURATION).await;
        running.furnish().await;
        running
    }

    pub(crate) fn port(&self, listener: Listener) -> u16 {
        self.hub.listening()[listener as usize].address.port()
    }

    /// What its certificate is trusted by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("tls/ca.pem")
    }

    /// Its certificate and key.
    pub(crate) fn server_pem(&self) -> PathBuf {
        self.folder.path().join("tls/server.pem")
    }

    pub(crate) async fn send_command(&self, device: &str, name: &str) {
        let command = NewCommand {
            name: name.to_owned(),
            content_type: String::new(),
            properties: BTreeMap::new(),
            payload: Bytes::from_static(b"now"),
            lasts: Duration::from_secs(3_600),
        };
        let id = device.parse().unwrap();
        self.core()
            .commands
            .send(&Actor::hub(), &id, command)
            .await
            .unwrap();
    }

    /// Waits until the API tells of `count` events of `device`, and gives their names. It is asked
    /// by curl.
    pub(crate) async fn events(&self, device: &str, count: usize) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), 0);
        while names.len() < count {
            let path = format!("events?device={device}&after={after}&wait=20");
            let list = self.ask(&path).await;
            let items = list["items"].as_array().unwrap();
            assert!(!items.is_empty(), "{names:?} and nothing more of {device}");
            names.extend(
                items
                    .iter()
                    .map(|item| item["name"].as_str().unwrap().to_owned()),
            );
            after = list["next"].as_u64().unwrap();
        }
        names
    }

    async fn ask(&self, path: &str) -> Value {
        let token = std::fs::read_to_string(self.folder.path().join("operator.token")).unwrap();
        let port = self.port(Listener::Tls);
        let (_, said) = run(Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(self.authority())
            .args(["--oauth2-bearer", token.trim()])
            .arg(format!("https://localhost:{port}/api/{path}")))
        .await
        .unwrap();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}
