//! `outgate agent` on a machine whose clock is wrong, as libfaketime has it, beside a hub with
//! certificates: with chrony as its NTP server, and without any.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use outgate_testbed::{BETWEEN_LOOKS, PATIENCE, Program};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::agent::{Agent, events};
use crate::process::Hub;

/// An NTP question of version 4.
const QUESTION: [u8; 48] = {
    let mut question = [0; 48];
    question[0] = 0x23;
    question[47] = 1;
    question
};

/// Where Debian's packages have it.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let mut found = folders.map(|folder| {
        let folder = folder.unwrap().path();
        folder.join("faketime/libfaketime.so.1")
    });
    let found = found.find(|library| library.is_file());
    found.expect("faketime is installed by `cargo xtask test`")
}

/// A hub with certificates, a device of it, and what the device's machine takes for the time.
struct Place {
    folder: TempDir,
    hub: Hub,
    token: String,
    said: usize,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let hub = Hub::start(folder.path());
        hub.site("s");
        let token = hub.device("till");
        Self {
            folder,
            hub,
            token,
            said: 0,
        }
    }

    /// Starts the agent with a clock that stands as libfaketime has it in that file.
    fn agent(&self, clock: &str, more: &str) -> Agent {
        let stands = self.folder.path().join("clock");
        std::fs::write(&stands, clock).unwrap();
        let authority = self.hub.authority().display().to_string();
        let library = libfaketime().display().to_string();
        let port = self.hub.tls_port;
        Agent::start_at(
            self.folder.path(),
            &format!("hub = 'https://127.0.0.1:{port}'\nauthority = '{authority}'\n"),
            &self.token,
            &format!("[names]\nmdns = false\n[clock]\ndhcp = false\n{more}"),
            &[
                ("LD_PRELOAD", &library),
                ("FAKETIME_TIMESTAMP_FILE", &stands.display().to_string()),
                ("FAKETIME_NO_CACHE", "1"),
                // The clocks that nobody puts forward or back are none of those that are wrong.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ],
        )
    }

    /// The device says something, and the hub hears it; how the agent is then.
    fn heard(&mut self, agent: &Agent) -> Json {
        agent.says("here");
        self.said += 1;
        assert_eq!(events(&self.hub, self.said).len(), self.said);
        agent.json("/status")
    }

    /// Waits until the agent has logged it.
    fn logged(&self, text: &str) {
        let began = Instant::now();
        let log = self.folder.path().join("agent.log");
        loop {
            let told = std::fs::read_to_string(&log).unwrap();
            if told.contains(text) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{text}: {told}");
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// By what the hub signs what time it is.
    fn key(&self) -> String {
        let nonce = "A".repeat(43);
        let answer = Command::new("curl")
            .args(["--silent", "--fail-with-body", "--cacert"])
            .arg(self.hub.authority())
            .arg(format!(
                "https://127.0.0.1:{}/agent/time?nonce={nonce}",
                self.hub.tls_port
            ))
            .output()
            .unwrap();
        let answer: Json = serde_json::from_slice(&answer.stdout).unwrap();
        answer["key"].as_str().unwrap().to_owned()
    }
}

fn chrony(folder: &Path) -> (Program, SocketAddr) {
    let at = outgate_testbed::free().unwrap();
    let (root, port) = (folder.display(), at.port());
    let configuration = format!(
        "local stratum 3\nport {port}\nbindaddress 127.0.0.1\nallow\ncmdport 0\n\
         bindcmdaddress /\nuser root\npidfile {root}/chrony.pid\ndriftfile {root}/drift\n"
    );
    let file = folder.join("chrony.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("chronyd");
    command.args(["-x", "-d", "-U", "-f"]).arg(file);
    let program = Program::start_until(&mut command, folder, at, |at| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Duration::from_millis(100);
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.send_to(&QUESTION, at).is_ok() && socket.recv(&mut [0; 1_024]).is_ok()
    });
    (program.unwrap(), at)
}

/// The clock was named as the cause, and every certificate that was refused for its dates with it.
fn is_blamed(status: &Json) {
    let troubles = status["troubles"].as_array().unwrap();
    let of = |part: &str| {
        let part = part.to_owned();
        troubles.iter().filter(move |it| it["part"] == part)
    };
    let clock = of("clock").next().expect("the clock is shown");
    assert_eq!(clock["cause"], "clock-wrong", "{status}");
    let about_dates = of("link").filter(|it| it["text"].as_str().unwrap().contains("certificate"));
    for trouble in about_dates {
        assert_eq!(trouble["cause"], "clock-wrong", "{status}");
    }
}

/// As libfaketime has them: 1970, 2019, and five years ahead.
const CLOCKS: [&str; 3] = ["@1970-01-01 00:00:30", "@2019-06-01 12:00:00", "+5y"];

#[test]
fn a_device_whose_clock_is_wrong_connects_with_an_ntp_server() {
    for clock in CLOCKS {
        let mut place = Place::new();
        let (_chrony, at) = chrony(place.folder.path());
        let agent = place.agent(clock, &format!("servers = ['{at}']\n"));
        let status = place.heard(&agent);
        is_blamed(&status);
        let asked = &status["clock"]["asked"][0];
        assert_eq!(asked["answered"][0], at.to_string(), "{clock}: {status}");
        assert!(agent.terminate().success());
    }
}

#[test]
fn a_device_whose_clock_is_wrong_connects_without_ntp_by_the_time_that_its_hub_signs() {
    for clock in CLOCKS {
        let mut place = Place::new();
        let key = place.key();
        let agent = place.agent(clock, &format!("hub-key = '{key}'\n"));
        let status = place.heard(&agent);
        is_blamed(&status);
        let asked = &status["clock"]["asked"][0];
        assert_eq!(asked["answered"][0], "the hub", "{clock}: {status}");
        assert!(agent.terminate().success());
    }
}

#[test]
fn a_device_that_was_connected_once_comes_back_with_any_clock_and_nothing_configured() {
    let mut place = Place::new();
    let agent = place.agent("+0", "");
    let status = place.heard(&agent);
    assert_eq!(status["clock"]["source"], "hub", "{status}");
    assert!(agent.terminate().success());
    for clock in CLOCKS {
        let agent = place.agent(clock, "");
        let status = place.heard(&agent);
        is_blamed(&status);
        assert!(agent.terminate().success());
    }
}

#[test]
fn a_clock_that_jumps_while_the_agent_runs_is_shown_and_costs_no_connection() {
    let mut place = Place::new();
    let agent = place.agent("+0", "");
    place.heard(&agent);
    std::fs::write(place.folder.path().join("clock"), "+5y").unwrap();
    place.logged("was put forward by 182");
    let status = place.heard(&agent);
    is_blamed(&status);
    let offset = status["clock"]["offset_millis"].as_i64().unwrap();
    assert!(offset < -4 * 365 * 86_400_000, "{status}");
    // The hub is gone and comes back, and its certificate is judged by the right time.
    let ports = [place.hub.port, place.hub.tls_port];
    let folder = place.folder.path().to_owned();
    place.hub.kill();
    place.hub = Hub::start_at(&folder, "", ports);
    let status = place.heard(&agent);
    assert_eq!(status["link"]["state"], "connected", "{status}");
    assert!(agent.terminate().success());
}
