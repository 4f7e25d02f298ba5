//! Firebase's own clients against a hub over TLS, which is killed and comes back meanwhile.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};

use crate::process::{Hub, PATIENCE};

/// One database, and everything of the site for its devices.
const CONFIGURATION: &str = "
[firebase]
namespaces = ['pos']
[[firebase.rules]]
path = 'sites/{site}'
read = ['device', 'service']
write = ['device', 'service']
";

/// A client that is a program: it asks for what it needs, a line each.
struct Client {
    process: Ends,
    said: mpsc::Receiver<String>,
}

impl Client {
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let output = process.stdout.take().expect("its output");
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more once the test has failed.
                let _ = tell.send(line);
            }
        });
        Self {
            process: Ends(process),
            said,
        }
    }

    /// The next that it asks for or has done.
    fn says(&mut self) -> String {
        self.said.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            let _ = self.process.0.kill();
            let mut errors = String::new();
            let output = self.process.0.stderr.take();
            let _ = output.map(|mut output| output.read_to_string(&mut errors));
            panic!("{error}: {errors}")
        })
    }

    fn go_on(&mut self) {
        let input = self.process.0.stdin.as_mut().expect("its input");
        input.write_all(b"done\n").expect("it reads");
    }
}

fn beside(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/hub_process")
        .join(script)
}

#[test]
fn npm_firebase_does_all_it_does_with_googles_and_over_a_kill_and_a_revocation() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut hub = Some(Hub::start_with(folder.path(), CONFIGURATION));
    let running = hub.as_ref().expect("it runs");
    running.site("s");
    running.site("other");
    let tokens = ["till.1", "till.2"].map(|name| running.device(name));
    let (ports, authority) = ([running.port, running.tls_port], running.authority());
    let mut client = Client::start(
        Command::new("node")
            .arg(beside("firebase.cjs"))
            .arg(ports[1].to_string())
            .args(&tokens)
            .env("NODE_EXTRA_CA_CERTS", authority),
    );
    let steps = told(&mut client, |what| match what {
        "kill" => hub.take().expect("it runs").kill(),
        "start" => hub = Some(Hub::start_at(folder.path(), CONFIGURATION, ports)),
        "revoke" => revoke(hub.as_ref().expect("it runs"), "till.2"),
        other => panic!("{other}"),
    });
    assert_eq!(
        steps,
        "values transactions large queries leaving denied killed revoked"
    );
}

#[test]
fn pypi_firebase_admin_does_over_rest_all_it_does_with_googles_until_it_is_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(folder.path(), CONFIGURATION);
    hub.site("s");
    hub.site("other");
    let till = hub.device("till.1");
    let service = hub.ask("POST", "services", &json!({"id": "bill"}));
    let service = service["issued"]["given"]["token"]
        .as_str()
        .expect("a token");
    let mut client = Client::start(
        Command::new(outgate_testbed::python().expect("Python"))
            .arg("-B")
            .arg(beside("firebase_admin_client.py"))
            .args([&hub.tls_port.to_string(), &till, service])
            .env("REQUESTS_CA_BUNDLE", hub.authority()),
    );
    let steps = told(&mut client, |what| match what {
        "revoke" => revoke(&hub, "till.1"),
        other => panic!("{other}"),
    });
    assert_eq!(steps, "values conditions queries denied listening");
}

/// Does what a client asks for to its end, and gives the steps that it has done.
fn told(client: &mut Client, mut please: impl FnMut(&str)) -> String {
    let mut done = Vec::new();
    loop {
        let line = client.says();
        if let Some(step) = line.strip_prefix("did ") {
            done.push(step.to_owned());
        } else if line == "end" {
            return done.join(" ");
        } else {
            please(&line);
            client.go_on();
        }
    }
}

fn revoke(hub: &Hub, device: &str) {
    let path = format!("devices/{device}/revoke");
    hub.ask("POST", &path, &Json::Null);
}
