//! A hub that runs for a test, and a home from which it is administered.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Output, Stdio};

use outgate_testbed::Ends;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::{json, scrape, stderr};

/// A hub that runs, and a home from which it is administered.
pub(crate) struct Hub {
    /// Where it is administered.
    pub(crate) address: String,
    /// Where it listens without TLS.
    pub(crate) plain: SocketAddr,
    /// Where it echoes SIP, if it does.
    pub(crate) echo: Option<SocketAddr>,
    folder: TempDir,
    _process: Ends,
}

impl Hub {
    /// A hub that nobody has logged in to.
    pub(crate) fn new() -> Self {
        Self::configured("")
    }

    /// A hub with `more` in its configuration.
    pub(crate) fn configured(more: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let listeners = "[[listen]]\naddress = \"127.0.0.1:0\"\n\
            [[listen]]\naddress = \"127.0.0.1:0\"\ntls = false\n";
        let config = folder.path().join("hub.toml");
        std::fs::write(&config, format!("{listeners}{more}")).expect("a file");
        Self::on(folder)
    }

    /// A hub on a folder in which `hub.toml` and perhaps `data` are.
    pub(crate) fn on(folder: TempDir) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_outgate"))
            .args(["hub", "--config", "hub.toml", "--data", "data"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("hub.err")).expect("a file"))
            .spawn()
            .expect("the hub starts");
        let said = BufReader::new(process.stdout.take().expect("its output"));
        let process = Ends(process);
        let mut listening = Vec::new();
        let mut echo = None;
        for line in said.lines() {
            let line = line.expect("text");
            let address = line.strip_prefix("listening on ");
            listening.extend(address.map(|rest| {
                let address = rest.split(' ').next().expect("an address");
                address.parse::<SocketAddr>().expect("an address")
            }));
            let address = line.strip_prefix("echoing SIP on ");
            echo = echo.or(address.map(|address| address.parse().expect("an address")));
            if line.starts_with("clients trust") {
                break;
            }
        }
        let &[tls, plain] = listening.as_slice() else {
            panic!("it listens on {listening:?}");
        };
        Self {
            address: format!("https://localhost:{}", tls.port()),
            plain,
            echo,
            folder,
            _process: process,
        }
    }

    /// What it counts, for Prometheus.
    pub(crate) fn metrics(&self) -> String {
        scrape(&self.plain.to_string(), "*/*")
    }

    /// A hub to which its first operator has logged in.
    pub(crate) fn entered() -> Self {
        let hub = Self::new();
        hub.enter();
        hub
    }

    /// Logs its first operator in.
    pub(crate) fn enter(&self) {
        let token = self.file("data/operator.token");
        let ca = self.file("data/tls/ca.pem");
        let args = ["login", &self.address, "--pin", "--name", "local"];
        let mut command = self.command(args);
        command.arg("--token-file").arg(token).arg("--ca").arg(ca);
        let entered = command.output().expect("outgate starts");
        assert!(entered.status.success(), "{}", stderr(&entered));
    }

    /// Ends it at once, and gives its folder.
    pub(crate) fn kill(self) -> TempDir {
        self.folder
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command line of whoever has logged in.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("OUTGATE_CONFIG", self.file("contexts.toml"))
            .env_remove("OUTGATE_HUB")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, its words parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line.split(' '))
            .output()
            .expect("outgate starts")
    }

    /// Runs one that must succeed, and gives its JSON.
    pub(crate) fn get(&self, line: &str) -> Json {
        let output = self.run(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        let value = json(&output);
        assert_eq!(value["version"], 1, "{line}: {value}");
        value
    }

    /// Runs one that must end with this code, and gives what it says.
    pub(crate) fn fails(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{line}: {}",
            stderr(&output)
        );
        stderr(&output)
    }

    /// Starts one that goes on until the test ends.
    pub(crate) fn start(&self, line: &str) -> (Ends, BufReader<ChildStdout>) {
        start(&mut self.command(line.split(' ')))
    }
}

/// Starts a command that goes on until the test ends.
pub(crate) fn start(command: &mut Command) -> (Ends, BufReader<ChildStdout>) {
    let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(process.stdout.take().expect("its output"));
    (Ends(process), lines)
}
