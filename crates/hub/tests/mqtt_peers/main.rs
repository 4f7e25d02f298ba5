//! MQTT clients that others wrote, against a whole hub: its door, its TLS, its store; straight,
//! through squid, and through HAProxy.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod clients;
mod hub;
mod rumqttc_client;
#[path = "../running/hub.rs"]
mod running;
mod scheduled;
#[path = "../running/site.rs"]
mod site;
mod ways;

use std::path::PathBuf;
use std::sync::Arc;

use outgate_testbed::{PATIENCE, run};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::hub::{Listener, Running};
use self::ways::Carrier::{Tcp, Tls, Wss};
use self::ways::{Address, Carrier, Proxies, Way};

/// A client that somebody else wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Mosquitto,
    Rumqttc,
    Python(&'static str),
    Node(&'static str),
}

use Peer::{Mosquitto, Node, Python, Rumqttc};

/// Who is tried, what it speaks, and with which of that it asks a proxy by itself; for the rest
/// socat asks. Each goes every way that is open to it, with both versions.
const MATRIX: [(Peer, &[Carrier], &[Carrier]); 6] = [
    (Mosquitto, &[Tcp, Tls], &[]),
    (Rumqttc, &[Tcp, Tls, Wss], &[Tls, Wss]),
    (Python("paho_client.py"), &[Tcp, Tls, Wss], &[Tls, Wss]),
    (Python("aiomqtt_client.py"), &[Tcp, Tls, Wss], &[Tls, Wss]),
    (Python("gmqtt_client.py"), &[Tcp, Tls], &[]),
    (Node("mqtt_client.js"), &[Tcp, Tls, Wss], &[Wss]),
];

/// How many clients run at a time.
const AT_A_TIME: usize = 4;

/// How often a client of a round comes in at least.
const CONNECTIONS: usize = 2;

/// One round.
struct Case {
    peer: Peer,
    carrier: Carrier,
    way: Way,
    five: bool,
    address: Address,
    authority: PathBuf,
    device: String,
    token: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_makes_its_round_over_every_carrier_and_way() {
    let running = Arc::new(Running::start().await);
    let proxies = Proxies::start(&running).await;
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut rounds = JoinSet::new();
    let mut asked_squid = 0;
    for (peer, carrier, way, five) in cases() {
        let by_itself = peer.2.contains(&carrier);
        let device = format!("d{}", rounds.len());
        let case = Case {
            peer: peer.0,
            carrier,
            way,
            five,
            address: proxies.address(&running, (carrier, way), by_itself),
            authority: running.authority(),
            token: running.device(&device).await,
            device,
        };
        asked_squid += usize::from(case.address.proxy != 0);
        let (running, turns) = (Arc::clone(&running), Arc::clone(&turns));
        rounds.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            make_round(&running, &case).await
        });
    }
    let made: Vec<Result<(), String>> = rounds.join_all().await;
    let failed: Vec<String> = made.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let port = running.port(Listener::Tls);
    let tunnels = asked_squid * CONNECTIONS;
    proxies.expect_tunnels(port, tunnels).await;
}

/// A row of the matrix.
type Row = (Peer, &'static [Carrier], &'static [Carrier]);

/// Everything that is tried.
fn cases() -> impl Iterator<Item = (Row, Carrier, Way, bool)> {
    MATRIX.into_iter().flat_map(|row| {
        row.1.iter().flat_map(move |carrier| {
            let ways = carrier.ways().iter();
            ways.flat_map(move |way| [false, true].map(|five| (row, *carrier, *way, five)))
        })
    })
}

/// Lets a client make its round, and looks at what it and the API tell.
async fn make_round(running: &Running, case: &Case) -> Result<(), String> {
    running.send_command(&case.device, "reboot").await;
    let said = match case.peer {
        Mosquitto => clients::mosquitto(case).await,
        Rumqttc => tokio::time::timeout(PATIENCE, rumqttc_client::round(case))
            .await
            .unwrap_or_else(|_| "too slow".to_owned()),
        Python(script) => clients::python(script, case).await,
        Node(script) => clients::node(script, case).await,
    };
    let what = format!(
        "{:?}, {:?}, {:?}, MQTT 5: {}\n{said}",
        case.peer, case.carrier, case.way, case.five
    );
    for wanted in ["command reboot now", "state kept retained", "will gone"] {
        if said.lines().filter(|line| *line == wanted).count() == 0 {
            return Err(format!("no {wanted:?}: {what}"));
        }
    }
    let mut names = running.events(&case.device, 3).await;
    names.sort();
    if names != ["round/0", "round/1", "round/2"] {
        return Err(format!("{names:?}: {what}"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_of_a_client_that_breaks_off_are_an_event() {
    let running = Running::start().await;
    let address = Address {
        port: running.port(Listener::Plain),
        proxy: 0,
    };
    for five in [false, true] {
        for peer in [Mosquitto, Python("paho_will.py")] {
            let device = format!("w{}{}", u8::from(five), u8::from(peer == Mosquitto));
            let case = Case {
                peer,
                carrier: Tcp,
                way: Way::Direct,
                five,
                address,
                authority: running.authority(),
                token: running.device(&device).await,
                device,
            };
            let said = match peer {
                Mosquitto => clients::mosquitto_will(&case).await,
                Python(script) | Node(script) => clients::python(script, &case).await,
                Rumqttc => String::new(),
            };
            let names = running.events(&case.device, 2).await;
            assert_eq!(names, ["online", "offline"], "{peer:?} {five} {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_is_told_that_its_token_is_wrong() {
    let running = Running::start().await;
    running.device("m").await;
    let port = running.port(Listener::Plain).to_string();
    let (_, said) = run(Command::new("mosquitto_pub").args([
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
    .await
    .unwrap();
    assert!(
        said.contains("not authorised") || said.contains("bad user name"),
        "{said}"
    );
}
