//! Google's two endpoints as a program, and a hub's push that is pointed at them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use outgate_core::registrations::Registration;
use outgate_core::secret::Secret;
use outgate_core::{Clock, Timestamp};
use outgate_hub::config::Fcm;
use outgate_hub::metrics::Metrics;
use outgate_hub::push::{Message, Outcome, Push};
use outgate_hub::webhooks::{Timer, Wait};
use outgate_standin::{Authority, Validity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// The program; it ends with this.
pub(crate) struct Google {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    plans: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Google {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(SystemTime::now()).unwrap();
        let file = |name: &str| -> PathBuf { folder.path().join(name) };
        std::fs::write(file("root.pem"), authority.pem()).unwrap();
        let names = ["localhost".to_owned()];
        let identity = authority.issue(&names, Validity::around(SystemTime::now()));
        let identity = identity.unwrap();
        std::fs::write(file("chain.pem"), identity.chain_pem()).unwrap();
        std::fs::write(file("key.pem"), identity.key_pem()).unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/push_peers/two_endpoints.py"
        );
        let mut process = Command::new(outgate_testbed::python().unwrap())
            .arg(script)
            .args(["chain.pem", "key.pem", "account.json"].map(file))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut google = Self {
            port: 0,
            plans: process.stdin.take().unwrap(),
            said: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
            folder,
        };
        google.port = google.next().await["port"]
            .as_u64()
            .unwrap()
            .try_into()
            .unwrap();
        google
    }

    /// The configuration that points a hub here.
    pub(crate) fn fcm(&self) -> Fcm {
        Fcm {
            account: self.folder.path().join("account.json"),
            endpoint: format!("https://localhost:{}", self.port),
            token_endpoint: None,
            authority: Some(self.folder.path().join("root.pem")),
        }
    }

    /// What it says next.
    pub(crate) async fn next(&mut self) -> Value {
        let line = self.said.next_line().await.unwrap().expect("it runs");
        serde_json::from_str(&line).unwrap()
    }

    /// Passes over the question for a token, and the message that follows.
    pub(crate) async fn pass_over_two(&mut self) {
        for at in ["token", "send"] {
            assert_eq!(self.next().await["at"], at);
        }
    }

    /// What was sent to it next, where no token is asked for.
    pub(crate) async fn message(&mut self) -> Value {
        let told = self.next().await;
        assert_eq!(told["at"], "send", "{told}");
        told
    }

    /// Has it do something with what comes next.
    pub(crate) async fn plan(&mut self, plan: &Value) {
        self.plans
            .write_all(format!("{plan}\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(self.next().await, "ready");
    }

    /// Has it answer the next message in this way, with a code of FCM's.
    pub(crate) async fn refuse(&mut self, status: u16, code: &str, headers: Value) {
        let details = [json!({
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "errorCode": code,
        })];
        let body = json!({"error": {"code": status, "message": "no", "details": details}});
        let plan = json!({"at": "send", "status": status, "headers": headers, "body": body});
        self.plan(&plan).await;
    }
}

/// Push that is pointed at Google's endpoints, with time in the test's hand.
pub(crate) struct Pushing {
    pub(crate) google: Google,
    pub(crate) push: Push,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) waits: mpsc::UnboundedReceiver<Wait>,
}

impl Pushing {
    pub(crate) async fn new() -> Self {
        let google = Google::start().await;
        let (held, waits) = mpsc::unbounded_channel();
        let metrics = Metrics::default();
        // Google's library looks at the time: far enough back that an hour can pass.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        let clock = Clock::held(Timestamp::from_millis(now - 59 * 60_000));
        let timer = Timer::Held(held);
        let push = Push::new(Some(&google.fcm()), metrics.clone(), clock.clone(), timer).unwrap();
        Self {
            google,
            push,
            clock,
            metrics,
            waits,
        }
    }

    /// Pushes to one registration with half an hour's time.
    pub(crate) async fn send(&self) -> Outcome {
        self.send_within(Duration::from_secs(1_800)).await
    }

    pub(crate) async fn send_within(&self, deadline: Duration) -> Outcome {
        let sent = self
            .push
            .send(&message(), &[registration("a")], deadline)
            .await;
        assert_eq!(sent.len(), 1);
        sent.into_iter().next().unwrap()
    }

    /// The length of the next wait, which is over at once.
    pub(crate) async fn pass(waits: &mut mpsc::UnboundedReceiver<Wait>) -> Duration {
        let wait = waits.recv().await.unwrap();
        wait.over.send(()).unwrap();
        wait.length
    }
}

pub(crate) fn message() -> Message {
    Message {
        title: Some("Order".to_owned()),
        ..Message::default()
    }
}

pub(crate) fn registration(token: &str) -> Registration {
    Registration {
        token: Secret::new(token.as_bytes().to_vec()),
        since: Timestamp::from_millis(0),
    }
}
