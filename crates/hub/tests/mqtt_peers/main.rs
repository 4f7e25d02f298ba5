//! MQTT clients that others wrote, against a whole hub: its door, its TLS, its store.
//!
//! Needs mosquitto_pub and mosquitto_sub, and Python with paho-mqtt, aiomqtt and gmqtt; `cargo
//! xtask test` installs them.

#![cfg(test)]

mod hub;

use std::path::PathBuf;
use std::process::Stdio;

use outgate_core::events::EventFilter;
use outgate_core::identity::Scope;
use tokio::process::Command;

use self::hub::Running;

/// The longest that a peer may run: far more than any needs.
const PEER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// How a client reaches the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Tcp,
    Tls,
    Wss,
}

use Carrier::{Tcp, Tls, Wss};

/// Who is tried how, with both versions.
const MATRIX: [(&str, &[Carrier]); 3] = [
    ("paho_round.py", &[Tcp, Tls, Wss]),
    ("aiomqtt_round.py", &[Tcp, Tls, Wss]),
    ("gmqtt_round.py", &[Tcp, Tls]),
];

/// A round: the client subscribes to its commands, publishes an event with each quality of service
/// and gets a command that waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_clients_send_events_and_get_commands() {
    let running = Running::start().await;
    let mut number = 0;
    for (script, carriers) in MATRIX {
        for (carrier, version) in carriers
            .iter()
            .flat_map(|carrier| [(*carrier, "3"), (*carrier, "5")])
        {
            number += 1;
            let device = format!("d{number}");
            let token = running.device(&device).await;
            running.send_command(&device, "reboot").await;
            let before = *running.core().events.newest().borrow();
            let port = running.port(carrier == Tcp).to_string();
            let name = format!("{carrier:?}").to_lowercase();
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("tests/mqtt_peers")
                .join(script);
            let ca = running.authority();
            let ended = run(Command::new(python()).arg(path).args([
                &name,
                version,
                &port,
                ca.to_str().unwrap(),
                &device,
                &token,
            ]))
            .await;
            let what = format!("{script} {carrier:?} {version}: {ended}");
            assert!(ended.contains("command reboot now"), "{what}");
            expect_events(&running, before, &device, 3, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_clients_send_events_and_get_commands() {
    let running = Running::start().await;
    let ca = running.authority();
    for (number, (plain, version)) in [(true, "311"), (true, "5"), (false, "311"), (false, "5")]
        .into_iter()
        .enumerate()
    {
        let device = format!("m{number}");
        let token = running.device(&device).await;
        running.send_command(&device, "reboot").await;
        let before = *running.core().events.newest().borrow();
        let port = running.port(plain).to_string();
        let mut common = vec!["-h", "localhost", "-p", &port, "-V", version];
        common.extend(["-u", &device, "-P", &token]);
        if !plain {
            common.extend(["--cafile", ca.to_str().unwrap()]);
        }
        for qos in ["0", "1", "2"] {
            let topic = format!("devices/{device}/events/round/{qos}");
            let ended = run(Command::new("mosquitto_pub").args(&common).args([
                "-q",
                qos,
                "-t",
                &topic,
                "-m",
                "mosquitto",
            ]))
            .await;
            assert_eq!(ended, "", "{version}");
        }
        let filter = format!("devices/{device}/commands/#");
        let heard = run(Command::new("mosquitto_sub")
            .args(&common)
            .args(["-q", "1", "-C", "1", "-W", "30", "-t", &filter, "-v"]))
        .await;
        assert!(heard.ends_with("/reboot now\n"), "{heard}");
        expect_events(&running, before, &device, 3, version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_is_told_that_its_token_is_wrong() {
    let running = Running::start().await;
    running.device("m").await;
    let port = running.port(true).to_string();
    let ended = run(Command::new("mosquitto_pub").args([
        "-h",
        "localhost",
        "-p",
        &port,
        "-u",
        "m",
        "-P",
        "wrong",
        "-t",
        "devices/m/events",
        "-m",
        "x",
    ]))
    .await;
    assert!(
        ended.contains("not authorised") || ended.contains("bad user name"),
        "{ended}"
    );
}

/// Waits until `count` events of `device` are there; QoS 0 may take a moment.
async fn expect_events(running: &Running, before: u64, device: &str, count: usize, what: &str) {
    let mut newest = running.core().events.newest();
    let there = async {
        loop {
            let filter = EventFilter {
                scope: Scope::All,
                device: Some(device.parse().unwrap()),
                prefix: Some("round/".to_owned()),
            };
            let taken = running
                .core()
                .events
                .after(&filter, before, 100)
                .await
                .unwrap();
            if taken.events.len() >= count {
                assert_eq!(taken.events.len(), count, "{what}");
                return;
            }
            newest.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PEER_TIMEOUT, there)
        .await
        .unwrap_or_else(|_| panic!("events are missing: {what}"));
}

/// Runs a peer to its end and gives what it wrote. It is killed when the test ends first.
async fn run(command: &mut Command) -> String {
    let child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PEER_TIMEOUT, child)
        .await
        .expect("a peer does not end");
    let output = output.expect("a peer is missing; `cargo xtask test` installs it");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn python() -> PathBuf {
    let peers = std::env::var_os("OUTGATE_PEERS");
    let peers = peers.expect("OUTGATE_PEERS is not set: run `cargo xtask test`, which sets it");
    PathBuf::from(peers).join("python/bin/python")
}
