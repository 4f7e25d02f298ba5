//! A receiver that other people wrote: Python's HTTPS server and the `standardwebhooks` library.

use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use outgate_core::Clock;
use outgate_core::webhooks::NewWebhook;
use outgate_hub::webhooks::Settings;
use outgate_standin::{Authority, Validity};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::hub::{Hub, at};

#[tokio::test]
async fn the_reference_library_accepts_what_is_sent_over_tls_and_refuses_a_wrong_secret() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(SystemTime::now()).unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, authority.pem()).unwrap();
    let mut receiver = Receiver::start(folder.path(), &authority).await;
    let settings = Settings {
        trusted: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        authority: Some(root),
        ..Settings::default()
    };
    // The library looks at the time, too.
    let hub = Hub::with(settings, Clock::System).await;
    let webhook = NewWebhook {
        url: format!("https://localhost:{}/hook", receiver.port),
        batch: 10,
        ..at(([127, 0, 0, 1], receiver.port).into(), "/")
    };
    let (_, secret) = hub.webhook(webhook).await;
    receiver.expect(&secret).await;
    hub.say("door/Tür").await;
    let accepted = receiver.next().await;
    assert_eq!(
        accepted["verified"][0]["data"]["name"], "door/Tür",
        "{accepted}"
    );
    receiver
        .expect("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .await;
    hub.say("door").await;
    let refused = receiver.next().await;
    assert_eq!(
        refused["refused"], "No matching signature found",
        "{refused}"
    );
}

#[tokio::test]
async fn a_receiver_of_an_unknown_authority_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(SystemTime::now()).unwrap();
    let receiver = Receiver::start(folder.path(), &authority).await;
    let settings = crate::hub::trusting();
    let mut hub = Hub::with(settings, Clock::System).await;
    let webhook = NewWebhook {
        url: format!("https://127.0.0.1:{}/", receiver.port),
        ..at(([127, 0, 0, 1], receiver.port).into(), "/")
    };
    let (id, _) = hub.webhook(webhook).await;
    hub.say("one").await;
    hub.pass().await;
    let why = hub.seen(&id).await.failure.unwrap().why;
    assert!(why.contains("UnknownIssuer"), "{why}");
}

/// The receiver's process; it ends with this.
struct Receiver {
    port: u16,
    secrets: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Receiver {
    async fn start(folder: &Path, authority: &Authority) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let validity = Validity::around(SystemTime::now());
        let identity = authority.issue(&names, validity).unwrap();
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        std::fs::write(&chain, identity.chain_pem()).unwrap();
        std::fs::write(&key, identity.key_pem()).unwrap();
        let mut process = Command::new(outgate_testbed::python().unwrap())
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/webhooks/receiver.py"
            ))
            .args([chain, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = said.next_line().await.unwrap().unwrap();
        Self {
            port: port.parse().unwrap(),
            secrets: process.stdin.take().unwrap(),
            said,
            _process: process,
        }
    }

    /// Verifies with `secret` from now on.
    async fn expect(&mut self, secret: &str) {
        let line = format!("{secret}\n");
        self.secrets.write_all(line.as_bytes()).await.unwrap();
        assert_eq!(self.next().await, "ready");
    }

    async fn next(&mut self) -> Value {
        let line = self.said.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}
