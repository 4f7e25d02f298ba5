//! The local API judged by tools that read its document: schemathesis, which makes up requests and
//! holds the answers to it, and openapi-spec-validator.
//!
//! Built only with the feature `peers`, which says that these are installed.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use outgate_agent::assets::{Assets, Hub};
use outgate_agent::config;
use outgate_agent::device::Device;
use outgate_agent::inbox::Inbox;
use outgate_agent::local::{Local, TOKEN_FILE};
use outgate_agent::proof::Shown;
use outgate_agent::queue::{Limits, MachineClock, Queue};
use outgate_agent::status::Board;
use outgate_agent::twin::Twin;
use outgate_probe::PathConfig;
use outgate_signalr_client::Token;
use outgate_testbed::{free, packages, told};
use outgate_wire::agent::{Blob, Call};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};

/// How many requests are made up for each operation and way of making them up.
const EXAMPLES: &str = "8";

/// After how many seconds schemathesis makes up no more.
const AT_MOST: &str = "60";

/// So that what fails once fails again.
const SEED: &str = "20260731";

/// How requests are made up. What the document allows may still be refused for what there is and
/// is not, and while no hub is there; everything else is held to the statuses and bodies that the
/// document tells.
const RULES: &str = r#"
HEADERS
request-timeout = 30

[parameters]
"query.wait" = 0

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "4xx", 503]
negative_data_rejection.expected-statuses = ["4xx"]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
"#;

fn program(name: &str) -> PathBuf {
    packages().unwrap().join("python/bin").join(name)
}

/// A device whose hub is away, and that waits for its software to do something and to answer.
fn device(folder: &Path) -> (Device, Inbox) {
    let limits = Limits {
        bytes: 16 << 20,
        keep: Duration::from_secs(3_600),
        reserve: 0,
    };
    let clock = Arc::new(MachineClock::new().unwrap());
    let queue = Queue::open(folder, limits, clock).unwrap();
    let twin = Twin::open(folder).unwrap();
    let board = Board::new(None);
    let hub = Hub {
        at: format!("http://{}", free().unwrap()),
        way: PathConfig::default(),
        shows: Arc::new(|| Ok(Shown::Token(Token::new("nobody hears it".to_owned())))),
    };
    let assets = Assets::open(folder, 1 << 20, hub, None, board.clone()).unwrap();
    let inbox = Inbox::default();
    for (id, payload) in [
        ("a", "{\"copies\":2}"),
        ("b", "[1]"),
        ("c", "\"now\""),
        ("d", "%"),
    ] {
        // It stays without anybody who listens.
        drop(inbox.command(outgate_wire::agent::Command {
            id: id.to_owned(),
            name: "print".to_owned(),
            content_type: "application/json".to_owned(),
            properties: BTreeMap::from([("desk".to_owned(), "2".to_owned())]),
            payload: Blob(payload.as_bytes().to_vec()),
            deliveries: 1,
            expires: "2999-01-01T00:00:00Z".to_owned(),
        }));
    }
    let device = Device::new(queue, inbox.clone(), twin, board);
    (device.holding(assets), inbox)
}

/// Passes on to the socket, for who can only speak to an address.
async fn pass_on(listener: TcpListener, socket: PathBuf) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let socket = socket.clone();
        tokio::spawn(async move {
            let mut far = UnixStream::connect(socket).await.unwrap();
            // Either end may go first.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// Has requests made up for whoever listens at `address`.
async fn judged(folder: &Path, address: SocketAddr, headers: &str) {
    let mut rules = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    write!(rules, "{}", RULES.replace("HEADERS", headers)).unwrap();
    let checking = tokio::process::Command::new(program("schemathesis"))
        .arg("--config-file")
        .arg(rules.path())
        .args(["run", &format!("http://{address}/openapi.json")])
        .args(["--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--max-time", AT_MOST, "--workers", "1", "--no-color"])
        .args(["--checks", "all"])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let output = checking.await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn the_document_is_one_by_the_rules_of_openapi() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi-agent.json");
    let output = Command::new(program("openapi-spec-validator"))
        .args(["--schema", "3.1", document])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_made_up_from_the_document_is_answered_as_it_says_on_loopback_and_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (device, inbox) = device(folder.path());
    let _asked = inbox.call(Call {
        id: "1".to_owned(),
        method: "price".to_owned(),
        content_type: String::new(),
        payload: Blob(vec![0xff]),
    });
    let socket = folder.path().join("agent.sock");
    let config = config::Local {
        socket: Some(socket.clone()),
        listen: Some(([127, 0, 0, 1], 0).into()),
    };
    let local = Local::listen(&config, folder.path()).await.unwrap();
    let loopback = local.address().unwrap();
    let token = fs::read_to_string(folder.path().join(TOKEN_FILE)).unwrap();
    let bridge = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let over_socket = bridge.local_addr().unwrap();
    let headers = format!(
        "headers = {{ Authorization = \"Bearer {}\" }}",
        token.trim()
    );
    let judging = async {
        judged(folder.path(), loopback, &headers).await;
        judged(folder.path(), over_socket, "").await;
    };
    tokio::select! {
        () = judging => {}
        () = local.serve(device) => panic!("nothing serves any more"),
        () = pass_on(bridge, socket) => {}
    }
}
