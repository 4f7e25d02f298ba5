//! mosquitto_pub and mosquitto_sub, as devices that show a certificate or a key.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use outgate_testbed::Ends;

use crate::openssl::Pair;
use crate::process::{Hub, PATIENCE};

/// What a device shows.
#[derive(Clone)]
pub(crate) enum Shows {
    Certificate(Pair),
    /// A password: a token, or a key in base 64.
    Password(String),
}

/// The arguments by which a device of this name comes in.
fn arguments(hub: &Hub, name: &str, shows: &Shows) -> Vec<String> {
    let (port, ca) = (hub.tls_port.to_string(), hub.authority());
    let mut all = vec!["-h", "localhost", "-p", &port, "-i", name];
    all.extend([
        "--cafile",
        ca.to_str().expect("UTF-8"),
        "-V",
        "5",
        "-u",
        name,
    ]);
    match shows {
        Shows::Certificate(pair) => {
            let [chain, key] = [&pair.chain, &pair.key].map(|path| path.to_str().expect("UTF-8"));
            all.extend(["--cert", chain, "--key", key]);
        }
        Shows::Password(password) => all.extend(["-P", password]),
    }
    all.into_iter().map(str::to_owned).collect()
}

/// Whether a client says that it was not let in, in the words of either version.
pub(crate) fn is_refusal(said: &str) -> bool {
    [
        "Not authorized",
        "not authorised",
        "Bad User Name or Password",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// Publishes an event, and says whether it was acknowledged.
pub(crate) fn publish(hub: &Hub, name: &str, shows: &Shows) -> Result<(), String> {
    let topic = format!("devices/{name}/events/here");
    let output: Output = Command::new("mosquitto_pub")
        .env("LC_ALL", "C")
        .args(arguments(hub, name, shows))
        .args(["-q", "1", "-t", &topic, "-m", "x"])
        .stdin(Stdio::null())
        .output()
        .expect("mosquitto_pub is installed by `cargo xtask test`");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() && said.is_empty() {
        true => Ok(()),
        false => Err(said),
    }
}

/// A client that stays connected.
pub(crate) struct Subscribed {
    process: Ends,
    lines: Receiver<String>,
}

/// Subscribes to a device's commands, and waits until that is acknowledged.
pub(crate) fn subscribe(hub: &Hub, name: &str, shows: &Shows) -> Subscribed {
    let topic = format!("devices/{name}/commands/#");
    // By itself it tells of its packets only when it has told of many.
    let process = Command::new("stdbuf")
        .args(["-oL", "mosquitto_sub"])
        .env("LC_ALL", "C")
        .args(arguments(hub, name, shows))
        .args(["-d", "-q", "1", "-t", &topic])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mosquitto_sub is installed by `cargo xtask test`");
    let subscribed = Subscribed::of(Ends(process));
    subscribed.expect("Subscribed (mid: 1): 1");
    subscribed
}

fn forward(from: impl std::io::Read, to: &mpsc::Sender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        // The rest is of no interest.
        let _ = to.send(line);
    }
}

impl Subscribed {
    /// A client whose output and errors are piped.
    pub(crate) fn of(mut process: Ends) -> Self {
        let (tell, lines) = mpsc::channel();
        let (output, errors) = (process.0.stdout.take(), process.0.stderr.take());
        let told = tell.clone();
        std::thread::spawn(move || forward(output.expect("its output"), &told));
        std::thread::spawn(move || forward(errors.expect("its errors"), &tell));
        Self { process, lines }
    }

    /// Waits for a line with this text.
    pub(crate) fn expect(&self, text: &str) {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return,
                Ok(line) => said.push(line),
                Err(_) => panic!("no {text:?}: {said:?}"),
            }
        }
    }

    /// Waits until it has given up.
    pub(crate) fn expect_end(mut self) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not give up"),
            }
        }
        self.process.0.wait().expect("its end");
    }
}
