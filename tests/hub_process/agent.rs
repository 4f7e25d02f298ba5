//! `outgate agent` as a process beside a hub: offline, killed, and asked by the device's own software,
//! which is curl over the agent's socket.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

#[cfg(feature = "peers")]
use crate::openssl::{P256, request};
use crate::process::Hub;

/// The longest that one may take until it listens: sixteen may be starting beside each other.
const START_MAX: Duration = Duration::from_secs(300);

/// An agent that listens.
pub(crate) struct Agent {
    process: Ends,
    socket: PathBuf,
    config: PathBuf,
}

impl Agent {
    /// Starts one in this folder, for the hub at that port, and waits until it listens.
    fn start(folder: &Path, port: u16, token: &str) -> Self {
        // What is on the machine's own networks is none of a test's business.
        Self::start_with(folder, port, token, "[names]\nmdns = false\n")
    }

    /// As [`Agent::start`], with further tables of its configuration.
    pub(crate) fn start_with(folder: &Path, port: u16, token: &str, more: &str) -> Self {
        let hub = format!("hub = 'http://127.0.0.1:{port}'\n");
        Self::start_at(folder, &hub, token, more, &[])
    }

    /// As [`Agent::start`], for a hub, with further tables and in this environment.
    pub(crate) fn start_at(
        folder: &Path,
        hub: &str,
        token: &str,
        more: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_outgate"));
        program.envs(environment.iter().copied());
        Self::start_as(program, folder, hub, token, more)
    }

    /// As [`Agent::start_at`], by a command that is this program somewhere else.
    pub(crate) fn start_as(
        program: Command,
        folder: &Path,
        hub: &str,
        token: &str,
        more: &str,
    ) -> Self {
        std::fs::write(folder.join("token"), token).unwrap();
        let token = folder.join("token");
        let lines = format!("{hub}token-file = '{}'\n", token.display());
        Self::start_by(program, folder, &lines, more)
    }

    /// Starts one that is told by these lines where the hub is, and what it shows there.
    fn start_by(mut program: Command, folder: &Path, lines: &str, more: &str) -> Self {
        let (socket, config) = (folder.join("agent.sock"), folder.join("agent.toml"));
        let text = format!(
            "{lines}data = '{0}/agent'\n\
             [proxy]\nurl = 'none'\n[local]\nsocket = '{0}/agent.sock'\n{more}",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(folder.join("agent.log")).unwrap();
        let mut process = program
            .args(["agent", "run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let process = Ends(process);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = lines.map_while(Result::ok);
            // Nobody may wait for it any more.
            let _ = tell.send(lines.any(|line| line.starts_with("listening on")));
        });
        let listens = told.recv_timeout(START_MAX).unwrap_or(false);
        let told = std::fs::read_to_string(folder.join("agent.log")).unwrap();
        assert!(listens, "the agent does not listen: {told}");
        Self {
            process,
            socket,
            config,
        }
    }

    /// Where the device's software speaks to it.
    #[cfg(feature = "namespaces")]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The file of its configuration.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Tells it to go, and waits until it has gone.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.process.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.unwrap().success());
        self.process.0.wait().unwrap()
    }

    /// What curl says of a request.
    fn curl(&self, words: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "60",
        ]);
        curl.arg("--unix-socket").arg(&self.socket).args(words);
        let answer = curl.arg(format!("http://agent{path}")).output().unwrap();
        let text = String::from_utf8(answer.stdout).unwrap();
        let error = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{path}: {text} {error}");
        text
    }

    pub(crate) fn json(&self, path: &str) -> Json {
        serde_json::from_str(&self.curl(&[], path)).unwrap()
    }

    /// Both halves of the twin when they are no longer those of that tag, and their tag.
    fn twin(&self, known: &str) -> (Json, String) {
        let known = format!("if-none-match: {known}");
        let words = ["--header", &known, "--write-out", "\n%header{etag}"];
        let answer = self.curl(&words, "/device/twin?wait=50");
        let (twin, tag) = answer.rsplit_once('\n').unwrap();
        (serde_json::from_str(twin).unwrap(), tag.to_owned())
    }

    pub(crate) fn says(&self, name: &str) {
        self.curl(&["--data", "x"], &format!("/device/events/{name}"));
    }
}

/// The names of the first events that the hub has, as soon as there are so many. Of each it is told
/// when it was said, also of what was said before anybody knew what time it was.
pub(crate) fn events(hub: &Hub, number: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), 0);
    while names.len() < number {
        let part = hub.ask("GET", &format!("events?after={after}&wait=30"), &Json::Null);
        let items = part["items"].as_array().unwrap();
        assert!(!items.is_empty(), "only {names:?}");
        let dated = items
            .iter()
            .all(|item| item["properties"]["said"].is_string());
        assert!(dated, "{items:?}");
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        after = part["next"].as_u64().unwrap();
    }
    names
}

/// Waits until the hub tells that, among what it tells as it comes.
fn hears(hub: &Hub, path: &str, text: &str) {
    let token = std::fs::read_to_string(hub.token()).unwrap();
    let curl = Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "60"])
        .args([
            "--header",
            "accept: text/event-stream",
            "--oauth2-bearer",
            token.trim(),
        ])
        .arg(format!("http://127.0.0.1:{}/api/{path}", hub.port))
        .stdout(Stdio::piped())
        .spawn();
    let mut curl = Ends(curl.unwrap());
    let mut lines = BufReader::new(curl.0.stdout.take().unwrap()).lines();
    let heard = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains(text));
    assert!(heard, "{text}");
}

#[test]
fn what_is_said_without_a_hub_comes_in_order_and_once_also_from_an_agent_that_was_killed() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start(folder.path());
    hub.site("s");
    let (token, port) = (hub.device("till"), hub.port);
    hub.kill();
    let mut expected = Vec::new();
    for round in 0..5 {
        let agent = Agent::start(folder.path(), port, &token);
        for number in 0..10 {
            let name = format!("sale/{round}/{number}");
            agent.says(&name);
            expected.push(name);
        }
        agent.kill();
    }
    let agent = Agent::start(folder.path(), port, &token);
    let hub = Hub::start_at(folder.path(), "", [port, 0]);
    assert_eq!(events(&hub, expected.len()), expected);
    agent.says("last");
    expected.push("last".to_owned());
    assert_eq!(events(&hub, expected.len()), expected);
    assert!(agent.terminate().success());
}

#[test]
fn the_devices_software_does_commands_answers_calls_and_reports_through_the_agent() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start(folder.path());
    hub.site("s");
    let token = hub.device("till");
    let send = json!({"name": "print", "payload": {"copies": 2}});
    let sent = hub.ask("POST", "devices/till/commands", &send);
    let agent = Agent::start(folder.path(), hub.port, &token);
    let told = agent.json("/device/commands?wait=50");
    let command = &told["commands"][0];
    assert_eq!(
        (&command["id"], &command["payload"]),
        (&sent["id"], &send["payload"])
    );
    let id = command["id"].as_str().unwrap();
    agent.curl(
        &["--request", "POST"],
        &format!("/device/commands/{id}/complete"),
    );

    let asked = json!({"payload": "coffee"});
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| hub.ask("POST", "devices/till/calls/price", &asked));
        let told = agent.json("/device/calls?wait=50");
        let id = told["calls"][0]["id"].as_str().unwrap();
        let json = ["--header", "content-type: application/json", "--data", "25"];
        agent.curl(&json, &format!("/device/calls/{id}/answer"));
        assert_eq!(calling.join().unwrap()["payload"], 25);
    });

    let patch = [
        "--request",
        "PATCH",
        "--header",
        "content-type: application/merge-patch+json",
        "--data",
        "{\"firmware\":7}",
    ];
    agent.curl(&patch, "/device/twin/reported");
    let wanted = json!({"price": 25});
    hub.ask("PATCH", "devices/till/twin/desired", &wanted);
    // The hub's version of what is reported is known once the hub has heard it.
    let (mut twin, mut tag) = agent.twin("");
    while twin["desired"]["version"] != 1 || twin["reported"]["version"] != 1 {
        (twin, tag) = agent.twin(&tag);
    }
    assert_eq!(twin["desired"]["document"], wanted);
    assert!(agent.terminate().success());
}

#[test]
fn what_is_logged_comes_through_the_agent_and_its_status_says_that_it_is_connected() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::start(folder.path());
    hub.site("s");
    let agent = Agent::start(folder.path(), hub.port, &hub.device("till"));
    let logs = [
        "--header",
        "content-type: application/json",
        "--data",
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"paper is out\"}}]}]}]}",
    ];
    agent.curl(&logs, "/v1/logs");
    hears(&hub, "devices/till/logs?after=0", "paper is out");
    let status = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["agent", "status", "--json", "--config"])
        .arg(agent.config())
        .output()
        .unwrap();
    let shown: Json = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(
        (status.status.code(), &shown["agent"]["link"]["state"]),
        (Some(0), &json!("connected"))
    );
    assert!(agent.terminate().success());
}

#[cfg(feature = "peers")]
#[test]
fn a_device_whose_certificate_ended_while_it_was_away_comes_back_by_its_key() {
    let folder = TempDir::new().unwrap();
    // A hub of forty days ago, which gives a certificate for thirty.
    let hub = Hub::start_when(folder.path(), "-40d");
    hub.site("s");
    hub.ask("POST", "devices", &json!({"id": "till", "site": "s"}));
    let (key, request) = request(folder.path(), "till", P256);
    let request = std::fs::read_to_string(request).unwrap();
    let new = json!({"kind": "certificate", "request": request, "lasts": 30 * 86_400});
    let made = hub.credential("till", &new);
    let chain = folder.path().join("till.pem");
    std::fs::write(&chain, made["given"]["certificate"].as_str().unwrap()).unwrap();
    assert!(hub.terminate().success());

    let hub = Hub::start_at(folder.path(), "", [0, 0]);
    let lines = format!(
        "hub = 'https://localhost:{}'\nauthority = '{}'\n\
         certificate-file = '{}'\nkey-file = '{}'\n",
        hub.tls_port,
        hub.authority().display(),
        chain.display(),
        key.display(),
    );
    for name in ["first", "second"] {
        let program = Command::new(env!("CARGO_BIN_EXE_outgate"));
        let agent = Agent::start_by(program, folder.path(), &lines, "[names]\nmdns = false\n");
        agent.says(name);
        let number = if name == "first" { 1 } else { 2 };
        assert_eq!(events(&hub, number).last().unwrap(), name);
        assert!(agent.terminate().success());
    }
    // One was enough.
    let kept = hub.ask("GET", "devices/till/credentials", &Json::Null);
    let kept = kept["items"].as_array().unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(kept[1]["state"], "active");
}
