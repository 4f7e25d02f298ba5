//! `outgate hub` as a process: how it starts, what it makes of signals, and how it ends.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::{stderr, text};

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(20);

/// A hub that serves one listener without TLS.
struct Hub {
    process: Child,
    address: SocketAddr,
    said: Receiver<String>,
    token: String,
}

impl Hub {
    /// Starts one by `hub.toml` in `folder`, with these lines beside what every one has.
    fn new(folder: &Path, more: &str) -> Self {
        write_config(folder, more);
        let mut process = command(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = lines.map(Result::unwrap).find_map(|line| {
            let rest = line.strip_prefix("listening on ")?;
            rest.split(' ').next()?.parse().ok()
        });
        let (say, said) = channel();
        let errors = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        let token = std::fs::read_to_string(folder.join("data/operator.token")).unwrap();
        Self {
            process,
            address: listening.expect("it listens"),
            said,
            token: token.trim().to_owned(),
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for a line with these words on standard error, and gives all up to it.
    fn hears(&self, words: &str) -> String {
        let mut heard = String::new();
        while !heard.contains(words) {
            let line = self.said.recv_timeout(SOON);
            let line = line.unwrap_or_else(|_| panic!("no {words:?} in {heard}"));
            heard.push_str(&line);
            heard.push('\n');
        }
        heard
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// The head of a request, without the empty line that ends it.
    fn head(&self, line: &str, body: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.token,
            body.len()
        )
    }

    /// Asks the API, and gives the status and the body.
    fn ask(&self, line: &str, body: &Json) -> (u16, Json) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = self.connect();
        let request = format!("{}\r\n{body}", self.head(line, &body));
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream)
    }

    fn make(&self, path: &str, body: &Json) -> Json {
        let (status, made) = self.ask(&format!("POST {path}"), body);
        assert_eq!(status, 201, "{path}: {made}");
        made
    }

    /// A site with a device, which has come in over MQTT.
    fn device(&self) -> Device {
        self.make("/api/sites", &json!({"id": "a", "title": "A"}));
        self.make("/api/devices", &json!({"id": "till", "site": "a"}));
        let credential = json!({"kind": "token", "label": "test"});
        let made = self.make("/api/devices/till/credentials", &credential);
        Device::enter(self.connect(), &text(&made["items"][0]["given"]["token"]))
    }

    /// Waits until it has ended.
    fn ended(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A device that speaks MQTT 3.1.1, byte by byte.
struct Device {
    stream: TcpStream,
    token: String,
}

impl Device {
    fn enter(mut stream: TcpStream, token: &str) -> Self {
        let mut body = b"\x00\x04MQTT\x04\xc2\x00\x00".to_vec();
        for field in ["test", "till", token] {
            body.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            body.extend(field.as_bytes());
        }
        stream.write_all(&packet(0x10, &body)).unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        let token = token.to_owned();
        Self { stream, token }
    }

    /// Says an event, and waits until the hub has it.
    fn say(&mut self, name: &str) {
        let topic = format!("devices/till/events/{name}");
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        body.extend([0, 1]);
        self.stream.write_all(&packet(0x32, &body)).unwrap();
        let mut puback = [0; 4];
        self.stream.read_exact(&mut puback).unwrap();
        assert_eq!(puback, [0x40, 2, 0, 1]);
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let (low, high) = (body.len() % 128, body.len() / 128);
    match u8::try_from(high).unwrap() {
        0 => packet.push(u8::try_from(low).unwrap()),
        high => packet.extend([u8::try_from(low).unwrap() | 0x80, high]),
    }
    packet.extend(body);
    packet
}

/// A receiver of webhooks that answers when the test does.
struct Webhooks {
    address: SocketAddr,
    arrived: Receiver<(Json, TcpStream)>,
}

impl Webhooks {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (arrive, arrived) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let arrive = arrive.clone();
                std::thread::spawn(move || {
                    let body = request(&stream);
                    // The test may be over.
                    let _ = arrive.send((body, stream));
                });
            }
        });
        Self { address, arrived }
    }

    /// The name of the event of the next request, and where to answer it.
    fn next(&self) -> (String, TcpStream) {
        let (body, stream) = self.arrived.recv_timeout(SOON).unwrap();
        (text(&body["data"]["name"]), stream)
    }
}

/// Takes a request of HTTP/1.1 with a body.
fn request(stream: &TcpStream) -> Json {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn take(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
    stream.write_all(answer).unwrap();
}

/// The last answer of a connection that is closed after it.
fn answer(mut stream: TcpStream) -> (u16, Json) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Json::Null))
}

fn write_config(folder: &Path, more: &str) {
    let data = folder.join("data");
    let text = format!(
        "data = {data:?}\n[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n[webhooks]\nplain-http-to = ['127.0.0.0/8']\n{more}\n"
    );
    std::fs::write(folder.join("hub.toml"), text).unwrap();
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
    command
        .args(["hub", "--config"])
        .arg(folder.join("hub.toml"))
        .stdin(Stdio::null());
    command
}

/// Tries to start a hub that cannot, and looks that nothing has been made.
fn cannot_start(folder: &Path, text: &str) -> Output {
    let data = folder.join("data");
    std::fs::write(folder.join("hub.toml"), format!("data = {data:?}\n{text}")).unwrap();
    let output = command(folder).output().unwrap();
    assert!(!data.exists(), "{text}: {}", stderr(&output));
    output
}

#[test]
fn what_is_under_way_to_a_webhook_is_finished_before_the_hub_ends() {
    let folder = TempDir::new().unwrap();
    let webhooks = Webhooks::new();
    let hub = Hub::new(folder.path(), "");
    let mut device = hub.device();
    let url = format!("http://{}/", webhooks.address);
    hub.make("/api/webhooks", &json!({"url": url, "title": "T"}));
    device.say("first");
    let (name, stream) = webhooks.next();
    assert_eq!(name, "first");

    hub.signal("TERM");
    hub.hears("draining");
    // The device is told, while the webhook still waits for its answer.
    let mut rest = Vec::new();
    device.stream.read_to_end(&mut rest).unwrap();
    take(stream);
    assert!(hub.ended().success());

    // What was taken is not sent again, and the device was seen until the end.
    let hub = Hub::new(folder.path(), "");
    let (_, seen) = hub.ask("GET /api/devices/till", &Json::Null);
    assert!(seen["seen"].is_string(), "{seen}");
    Device::enter(hub.connect(), &device.token).say("second");
    let (name, stream) = webhooks.next();
    assert_eq!(name, "second");
    take(stream);
}

#[test]
fn a_request_that_is_under_way_gets_its_answer() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::new(folder.path(), "");
    let body = json!({"id": "late", "title": "Late"}).to_string();
    let mut stream = hub.connect();
    let head = hub.head("POST /api/sites", &body);
    write!(stream, "{head}expect: 100-continue\r\n\r\n").unwrap();
    // Who reads the body has begun.
    let mut goes_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut goes_on).unwrap();
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    // Streams do not hold the hub up.
    let mut follower = hub.connect();
    let head = hub.head("GET /api/events", "");
    write!(follower, "{head}accept: text/event-stream\r\n\r\n").unwrap();
    let mut begun = [0; 15];
    follower.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");

    hub.signal("TERM");
    hub.hears("draining");
    let mut last = String::new();
    follower.read_to_string(&mut last).unwrap();
    assert!(last.contains("event: problem"), "{last}");
    assert!(last.contains("/problems/draining"), "{last}");
    stream.write_all(body.as_bytes()).unwrap();
    let (status, made) = answer(stream);
    assert_eq!(status, 201, "{made}");
    assert!(hub.ended().success());
}

#[test]
fn a_second_signal_ends_the_hub_at_once() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::new(folder.path(), "");
    let mut stream = hub.connect();
    let head = hub.head("POST /api/sites", "{}");
    write!(stream, "{head}expect: 100-continue\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 25]).unwrap();
    hub.signal("INT");
    hub.hears("draining");
    hub.signal("TERM");
    hub.hears("ended before everybody had gone");
    assert!(hub.ended().success());
}

#[test]
fn a_configuration_that_needs_a_new_start_is_refused_with_its_keys() {
    let folder = TempDir::new().unwrap();
    let hub = Hub::new(folder.path(), "");
    let metrics = |hub: &Hub| {
        let mut stream = hub.connect();
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        answer(stream).0
    };
    assert_eq!(metrics(&hub), 200);

    // Nothing of it is taken up: that the log tells of it shows that its filter is not, either.
    let more = "server-reference = 'b:1'\n";
    let text = std::fs::read_to_string(folder.path().join("hub.toml")).unwrap();
    let changed = format!(
        "{more}{text}[metrics]\nopen-to = []\n[limits]\nconnections = 1\n[tls]\nnames = ['a']\n[logs]\nfilter = 'off'\nformat = 'json'\n"
    );
    std::fs::write(folder.path().join("hub.toml"), changed).unwrap();
    hub.signal("HUP");
    let heard = hub.hears("goes on as it was");
    let keys = "tls.names, logs.format";
    let told = heard.lines().filter(|line| line.contains(keys)).count();
    assert_eq!(told, 2, "{heard}");
    assert_eq!(metrics(&hub), 200);

    // What may change does.
    write_config(folder.path(), "[metrics]\nopen-to = []\n");
    hub.signal("HUP");
    hub.hears("read again");
    assert_eq!(metrics(&hub), 401);

    // What is no configuration changes nothing.
    write_config(folder.path(), "[logs]\nfilter = 'a=b=c'\n");
    hub.signal("HUP");
    hub.hears("logs.filter");
    assert_eq!(metrics(&hub), 401);
    hub.signal("TERM");
    assert!(hub.ended().success());
}

#[test]
fn what_is_wrong_is_told_before_anything_is_made() {
    let folder = TempDir::new().unwrap();
    let nowhere: PathBuf = folder.path().join("nowhere.pem");
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "no certificate\n").unwrap();
    let listen = "[[listen]]\naddress = '127.0.0.1:0'\n";
    for (text, said) in [
        (
            format!("{listen}[mqtt.policies.p]\npublish = ['a#']\n"),
            "mqtt.policies.p",
        ),
        (
            format!("{listen}[tls]\ncertificate = {nowhere:?}\nkey = {nowhere:?}\n"),
            "nowhere.pem",
        ),
        (
            format!("{listen}[tls]\ncertificate = {broken:?}\nkey = {broken:?}\n"),
            "broken.pem",
        ),
        (
            format!("{listen}[webhooks]\nauthority = {nowhere:?}\n"),
            "nowhere.pem",
        ),
        (
            format!(
                "{listen}[device-logs.forward]\nendpoint = 'http://127.0.0.1:1'\n\
                 headers = {nowhere:?}\n"
            ),
            "nowhere.pem",
        ),
        (format!("{listen}[logs]\nfilter = 'a=b=c'\n"), "logs.filter"),
    ] {
        let output = cannot_start(folder.path(), &text);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }

    // An address that is taken is no mistake of the configuration, but nothing is made either.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let text = format!("[[listen]]\naddress = '{}'\n", taken.local_addr().unwrap());
    let output = cannot_start(folder.path(), &text);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}

/// A collector of traces, judged by OpenTelemetry's own messages.
#[cfg(feature = "peers")]
struct Collector {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

#[cfg(feature = "peers")]
impl Collector {
    fn start() -> Self {
        let mut process = Command::new(outgate_testbed::python().unwrap())
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/collector.py"
            ))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn next(&mut self) -> String {
        self.lines
            .next()
            .expect("the collector says nothing")
            .unwrap()
    }

    /// All that it has been told.
    fn told(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let lines = self.lines.by_ref();
        lines.map(Result::unwrap).collect()
    }
}

#[cfg(feature = "peers")]
impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A trace that a caller is in, and their span.
#[cfg(feature = "peers")]
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
#[cfg(feature = "peers")]
const PARENT: &str = "00f067aa0ba902b7";

/// Asks within a trace: as somebody who has logged in, as that says too that it is not told of, as
/// a stranger, and with what names no trace.
#[cfg(feature = "peers")]
fn follow_traces(hub: &Hub) {
    let ask = |path: &str, headers: &str| {
        let mut stream = hub.connect();
        let head = hub.head(&format!("GET {path}"), "");
        write!(stream, "{head}{headers}\r\n").unwrap();
        answer(stream).0
    };
    let header = |flags: &str| format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n");
    assert_eq!(ask("/api/status", &header("01")), 200);
    assert_eq!(ask("/api/status", &header("00")), 200);
    // A second token is nobody's.
    let stranger = format!("{}authorization: Bearer x\r\n", header("01"));
    assert_eq!(ask("/api/sites/a", &stranger), 401);
    for wrong in [
        format!("traceparent: 00-{TRACE}-{PARENT}\r\n"),
        format!("traceparent: ff-{TRACE}-{PARENT}-01\r\n"),
        format!("traceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32)),
        format!(
            "traceparent: 01-{TRACE}-{PARENT}-01-{}\r\n",
            "0".repeat(128)
        ),
        format!("{0}{0}", header("01")),
    ] {
        assert_eq!(ask("/api/devices", &wrong), 200);
    }
}

#[test]
#[cfg(feature = "peers")]
fn traces_of_requests_messages_and_commits_reach_a_collector_without_secrets() {
    let mut collector = Collector::start();
    let port = collector.next();
    let folder = TempDir::new().unwrap();
    let traces = format!("[traces]\nendpoint = 'http://127.0.0.1:{port}'\n");
    let hub = Hub::new(folder.path(), &traces);
    let mut device = hub.device();
    device.say("opened");
    follow_traces(&hub);
    let secrets = [hub.token.clone(), device.token.clone()];
    hub.signal("TERM");
    // What waits is sent before it ends.
    assert!(hub.ended().success());
    let told = collector.told();
    let spans: Vec<Json> = told.iter().map(|line| line.parse().unwrap()).collect();
    let named = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} among {told:?}"))
    };
    let made = named("POST /api/sites");
    assert_eq!(made["service"], "outgate-hub");
    assert_eq!(made["kind"], 2, "of a server");
    assert_eq!(made["attributes"]["http.response.status_code"], 201);
    for name in ["connect", "publish", "commit"] {
        assert!(named(name)["took"].as_u64().unwrap() > 0, "{name}");
    }
    let all = |name: &str| {
        let found = spans.iter().filter(|span| span["name"] == name);
        found.collect::<Vec<_>>()
    };
    let goes_on = |span: &&&Json| span["trace"] == TRACE && span["parent"] == PARENT;
    let [followed] = all("GET /api/status")[..] else {
        panic!("only the caller that wants to be told of is: {told:?}");
    };
    assert!(goes_on(&&followed), "{followed}");
    for (name, count) in [("GET /api/devices", 5), ("GET /api/sites/{site}", 1)] {
        let spans = all(name);
        assert_eq!(spans.iter().filter(goes_on).count(), 0, "{name}");
        let begun = spans.iter().filter(|span| span["parent"] == "");
        assert_eq!(begun.count(), count, "{name}: {told:?}");
    }
    for secret in &secrets {
        assert!(!told.iter().any(|line| line.contains(secret.as_str())));
    }
}
