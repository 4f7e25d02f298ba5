//! The process, and what is asked of it over its port without TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};

/// The longest that anything which must come may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A port without TLS and one with it, and devices as fast as they can.
const CONFIGURATION: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
[[listen]]
address = '127.0.0.1:0'
[limits]
events-a-second = 1000000
";

/// A hub that listens.
pub(crate) struct Hub {
    process: Ends,
    folder: PathBuf,
    /// Everything without TLS.
    pub(crate) port: u16,
    /// Everything with it.
    pub(crate) tls_port: u16,
}

impl Hub {
    /// Starts one in this folder and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::listening(folder, begin(folder))
    }

    /// As [`Hub::start`], with more in its configuration.
    #[cfg(feature = "peers")]
    pub(crate) fn start_with(folder: &Path, more: &str) -> Self {
        Self::start_at(folder, more, [0, 0])
    }

    /// As [`Hub::start`], at a time that is so far off, in the words of faketime.
    #[cfg(feature = "peers")]
    pub(crate) fn start_when(folder: &Path, clock: &str) -> Self {
        // What faketime would start is not its own process, and would outlive it.
        let library = Command::new("faketime")
            .args(["-f", clock, "printenv", "LD_PRELOAD"])
            .output()
            .expect("faketime is installed by `cargo xtask test`");
        let library = String::from_utf8(library.stdout).expect("a path");
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command
            .env("LD_PRELOAD", library.trim())
            .env("FAKETIME", clock);
        Self::listening(folder, begin_by(command, folder, &configuration([0, 0])))
    }

    /// As [`Hub::start`], with more in its configuration, at these ports, or with 0 at any.
    pub(crate) fn start_at(folder: &Path, more: &str, ports: [u16; 2]) -> Self {
        let listen = configuration(ports);
        Self::listening(folder, begin_with(folder, &format!("{listen}{more}")))
    }

    fn listening(folder: &Path, mut process: Ends) -> Self {
        let output = process.0.stdout.take().expect("its output");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The rest is of no interest.
                let _ = tell.send(line);
            }
        });
        let ports = [(); 2].map(|()| {
            let Ok(line) = told.recv_timeout(PATIENCE) else {
                panic!("the hub does not listen: {}", log(folder));
            };
            let port = line
                .strip_prefix("listening on 127.0.0.1:")
                .and_then(|rest| rest.split(' ').next()?.parse().ok());
            port.unwrap_or_else(|| panic!("{line}: {}", log(folder)))
        });
        Self {
            process,
            folder: folder.to_owned(),
            port: ports[0],
            tls_port: ports[1],
        }
    }

    /// Ends it without a word, as the system does when memory runs out.
    pub(crate) fn kill(mut self) {
        let ended = self.process.0.try_wait().expect("its state");
        assert!(ended.is_none(), "the hub has ended by itself: {ended:?}");
        self.process.0.kill().expect("a signal");
        self.process.0.wait().expect("its end");
    }

    /// Tells it to go, as a service manager does, and waits until it has gone.
    #[cfg(feature = "peers")]
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        let id = self.process.0.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill is on every system").success());
        self.process.0.wait().expect("its end")
    }

    /// The most memory that it has had at a time, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.0.id());
        let status = std::fs::read_to_string(path).expect("its state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.expect("a line").parse().expect("a number");
        kibibytes << 10
    }

    /// Asks the API, with a body if it is not null. What is not answered with success fails.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Json) -> Json {
        let token = std::fs::read_to_string(self.token()).expect("a token");
        let (token, port) = (token.trim(), self.port);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let length = body.len();
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = format!(
            "{method} /api/{path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The file of its first operator's token.
    pub(crate) fn token(&self) -> PathBuf {
        self.folder.join("data/operator.token")
    }

    /// What its certificate is trusted by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("data/tls/ca.pem")
    }

    /// Makes a site.
    pub(crate) fn site(&self, name: &str) {
        self.ask("POST", "sites", &json!({"id": name, "title": name}));
    }

    /// Makes a device at the site `s` and gives its token.
    pub(crate) fn device(&self, name: &str) -> String {
        self.ask("POST", "devices", &json!({"id": name, "site": "s"}));
        let made = self.credential(name, &json!({"kind": "token", "label": "test"}));
        let token = made["given"]["token"].as_str();
        token.unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// Gives a device a credential.
    pub(crate) fn credential(&self, device: &str, new: &Json) -> Json {
        let path = format!("devices/{device}/credentials");
        self.ask("POST", &path, new)["items"][0].clone()
    }
}

/// Starts a hub in this folder; its data lies in `data`, its configuration and log beside it.
pub(crate) fn begin(folder: &Path) -> Ends {
    begin_with(folder, &configuration([0, 0]))
}

/// The configuration with these ports. In the place of 0 comes one that nobody else is given, so that
/// a hub which is started anew at its old port finds it free.
fn configuration(ports: [u16; 2]) -> String {
    let mut text = CONFIGURATION.to_owned();
    for port in ports {
        let port = match port {
            0 => outgate_testbed::free().expect("a free port").port(),
            _ => port,
        };
        text = text.replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1);
    }
    text
}

fn begin_with(folder: &Path, text: &str) -> Ends {
    begin_by(Command::new(env!("CARGO_BIN_EXE_outgate")), folder, text)
}

fn begin_by(mut command: Command, folder: &Path, text: &str) -> Ends {
    let configuration = folder.join("hub.toml");
    std::fs::write(&configuration, text).expect("a configuration");
    let log = std::fs::File::create(folder.join("hub.log")).expect("a log");
    let process = command
        .args(["hub", "--config"])
        .arg(configuration)
        .arg("--data")
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the hub starts");
    Ends(process)
}

/// What it has logged since it was started last.
fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("hub.log")).unwrap_or_default()
}
