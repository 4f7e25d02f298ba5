//! The agent out of the package, as systemd would run it, beside a hub.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::process::{Hub, PATIENCE};
use crate::{Unpacked, said};

/// The most memory of an agent with nothing to do, in KiB.
const MAX_IDLE: u64 = 20 * 1024;

/// How often systemd wants to hear that it is alive, in microseconds.
const WATCHDOG: &str = "1000000";

/// A hub with one device, and what its agent needs.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    _hub: Hub,
    config: PathBuf,
    /// Where systemd would listen.
    notify: UnixDatagram,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let hub = Hub::start(folder.path());
        hub.site("s");
        let place = folder.path().display();
        std::fs::write(folder.path().join("token"), hub.device("till")).unwrap();
        std::fs::copy(hub.authority(), folder.path().join("ca.pem")).unwrap();
        let notify = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let text = format!(
            "hub = 'https://localhost:{}'\nauthority = '{place}/ca.pem'\ntoken-file = '{place}/token'\n\
             data = '{place}/agent'\n[proxy]\nurl = 'none'\n[clock]\ndhcp = false\n\
             [names]\nmdns = false\n\
             [product]\nprofile = 'homag-cube'\n[page]\nlisten = ['127.0.0.1:0']\n\
             connector-listen = []\n\
             [local]\nsocket = '{place}/agent.sock'\nlisten = '127.0.0.1:0'\n",
            hub.tls_port,
        );
        let config = folder.path().join("agent.toml");
        std::fs::write(&config, text).unwrap();
        Self {
            folder,
            _hub: hub,
            config,
            notify,
        }
    }

    /// What curl says of an answer of the agent to the device's software.
    pub(crate) fn curl(&self, words: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "60",
        ]);
        curl.arg("--unix-socket")
            .arg(self.folder.path().join("agent.sock"));
        said(curl.args(words).arg(format!("http://agent{path}")))
    }
}

/// An agent that systemd runs, as far as it can tell.
pub(crate) struct Agent<'a> {
    process: Ends,
    notify: &'a UnixDatagram,
    log: PathBuf,
}

impl<'a> Agent<'a> {
    /// Starts `command`, which gets the words of an agent's command line.
    pub(crate) fn start(mut command: Command, site: &'a Site) -> Self {
        let folder = site.folder.path();
        let log = folder.join("agent.log");
        let written = std::fs::File::create(&log).unwrap();
        let process = command
            .args(["agent", "run", "--config"])
            .arg(&site.config)
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .env("WATCHDOG_USEC", WATCHDOG)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .spawn()
            .unwrap();
        Self {
            process: Ends(process),
            notify: &site.notify,
            log,
        }
    }

    /// The next that systemd hears.
    fn hears(&self) -> String {
        let mut message = [0; 1024];
        let length = self.notify.recv(&mut message).unwrap_or_else(|error| {
            panic!("systemd hears nothing more: {error}; {}", self.log());
        });
        let text = String::from_utf8_lossy(&message[..length]);
        text.trim_end().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until systemd has heard something that begins so.
    pub(crate) fn says(&self, beginning: &str) {
        let give_up = Instant::now() + PATIENCE;
        while !self.hears().starts_with(beginning) {
            assert!(Instant::now() < give_up, "{beginning}: {}", self.log());
        }
    }

    /// Tells it to go, and waits until it has gone.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.process.0.id().to_string();
        said(Command::new("kill").args(["-TERM", &id]));
        self.says("STOPPING=1");
        self.process.0.wait().unwrap()
    }
}

/// How much memory a process has, in KiB, what it shares with others included.
fn resident(process: u32) -> u64 {
    let path = Path::new("/proc")
        .join(process.to_string())
        .join("smaps_rollup");
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse().ok()).expect(&text)
}

#[test]
fn systemd_hears_how_the_agent_is_and_its_memory_is_small() {
    let unpacked = Unpacked::new();
    let site = Site::new();
    let agent = Agent::start(Command::new(unpacked.program()), &site);
    assert_eq!(agent.hears(), "READY=1");
    agent.says("STATUS=connected: https://localhost:");
    let status = said(
        Command::new(unpacked.program())
            .args(["agent", "status", "--json", "--config"])
            .arg(&site.config),
    );
    let status: Json = serde_json::from_str(&status).unwrap();
    assert_eq!(status["agent"]["link"]["state"], json!("connected"));
    let page = &status["agent"]["page"]["places"][0]["address"];
    let page = format!("http://{}/", page.as_str().unwrap());
    let shown = said(Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", &page]));
    assert!(shown.contains("homag-cube"), "{shown}");
    site.curl(&["--data", "x"], "/device/events/sale");
    for _ in 0..4 {
        agent.says("WATCHDOG=1");
    }
    let idle = resident(agent.process.0.id());
    println!("an idle agent has {idle} KiB");
    assert!(idle <= MAX_IDLE, "{idle} KiB");
    assert!(agent.terminate().success());
}
