//! What back ends get, as it is set up and looked after from the command line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use outgate_core::webhooks::Letter;
use outgate_core::{Core, Settings};
use serde_json::Value as Json;

use crate::device::Device;
use crate::hub::Hub;
use crate::support::{stderr, stdout, text};

/// How long something may take that must come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub with a device that has come in.
fn with_device() -> (Hub, Device) {
    let hub = Hub::configured("[webhooks]\nplain-http-to = [\"127.0.0.0/8\"]\n");
    hub.enter();
    hub.get("site add lund");
    hub.get("device add till --site lund");
    let issued = hub.get("device credential till --token test");
    let token = text(&issued["issued"][0]["given"]["token"]);
    let device = Device::connect(hub.plain, "till", &token);
    (hub, device)
}

/// A request as a back end got it.
struct Request {
    head: String,
    body: Json,
}

/// A back end that answers each request with the next of these statuses, and the last for ever.
fn back_end(statuses: &'static [&'static str]) -> (SocketAddr, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (told, requests) = channel();
    thread::spawn(move || {
        let last = statuses.last().expect("a status");
        let mut statuses = statuses.iter().chain(std::iter::repeat(last));
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).expect("a line") > 0 {}
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().expect("a length"))
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).expect("a body");
            let body = serde_json::from_slice(&body).expect("JSON");
            let status = statuses.next().expect("never the end");
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // Told before the answer: who has seen what came of it knows of the request.
            let heard = told.send(Request { head, body }).is_ok();
            stream
                .get_mut()
                .write_all(answer.as_bytes())
                .expect("it reads");
            if !heard {
                break;
            }
        }
    });
    (address, requests)
}

/// Waits until a webhook's state is this one.
fn becomes(hub: &Hub, webhook: &str, state: &str) {
    let begun = Instant::now();
    while hub.get(&format!("webhook show {webhook}"))["webhook"]["state"] != state {
        assert!(begun.elapsed() < PATIENCE, "{webhook} is not {state}");
    }
}

#[test]
fn a_webhook_is_sent_to_until_it_is_paused_and_again_when_it_is_resumed() {
    let (hub, mut device) = with_device();
    let (address, requests) = back_end(&["204 No Content"]);
    let made = hub.run(&format!(
        "webhook add http://{address}/in --title Billing --prefix drawer/ --out billing.secret"
    ));
    assert!(made.status.success(), "{}", stderr(&made));
    let secret = std::fs::read_to_string(hub.file("billing.secret")).expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.lines().count() == 1);
    let listed = hub.get("webhook list");
    let webhook = text(&listed["webhooks"][0]["id"]);
    assert_eq!(listed["webhooks"][0]["title"], "Billing");
    assert!(!listed.to_string().contains(secret.trim()));

    device.say("till", "door/opened", "{}");
    device.say("till", "drawer/opened", r#"{"by":"anna"}"#);
    let request = requests.recv_timeout(PATIENCE).expect("a request");
    assert!(request.head.starts_with("POST /in HTTP/1.1\r\n"));
    assert!(request.head.contains("webhook-signature: v1,"));
    assert_eq!(request.body["data"]["name"], "drawer/opened");

    hub.get(&format!("webhook pause {webhook}"));
    device.say("till", "drawer/closed", "{}");
    let paused = stdout(&hub.run(&format!("webhook show {webhook}")));
    assert!(paused.contains("paused"), "{paused}");
    assert!(requests.try_recv().is_err());
    hub.get(&format!("webhook resume {webhook}"));
    let request = requests.recv_timeout(PATIENCE).expect("a request");
    assert_eq!(request.body["data"]["name"], "drawer/closed");

    let rotated = hub.get(&format!("webhook rotate {webhook} --overlap 1h"));
    assert_ne!(text(&rotated["rotated"]["secret"]), secret.trim());
    device.say("till", "drawer/opened", "{}");
    let request = requests.recv_timeout(PATIENCE).expect("a request");
    let signatures = request.head.matches("v1,").count();
    assert_eq!(signatures, 2, "{}", request.head);
}

#[test]
fn a_webhook_whose_receiver_is_gone_is_stopped_and_can_be_sent_elsewhere() {
    let (hub, mut device) = with_device();
    let (gone, _) = back_end(&["410 Gone"]);
    let made = hub.get(&format!("webhook add http://{gone}/"));
    let webhook = text(&made["made"]["webhook"]["id"]);
    device.say("till", "one", "{}");
    becomes(&hub, &webhook, "stopped");

    let (address, requests) = back_end(&["204 No Content"]);
    hub.fails(&format!("webhook change {webhook}"), 2);
    let change = format!("webhook change {webhook} --url http://{address}/");
    let said = hub.fails(&format!("{change} --if-version 1"), 3);
    assert!(said.contains("changed meanwhile"), "{said}");
    hub.get(&change);
    hub.get(&format!("webhook resume {webhook}"));
    device.say("till", "two", "{}");
    let request = requests.recv_timeout(PATIENCE).expect("a request");
    assert_eq!(request.body["data"]["name"], "two");

    let said = hub.fails(&format!("webhook remove {webhook}"), 2);
    assert!(said.contains("--yes"), "{said}");
    hub.get(&format!("webhook remove {webhook} --yes"));
    hub.fails(&format!("webhook show {webhook}"), 2);
}

/// Sets messages aside in the store of a hub that does not run: until a hub does so itself a
/// receiver has to turn a message down for many hours.
fn set_aside(data: &Path, webhook: &str, bodies: &[&'static str]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let core = Core::open(&Settings::new(data)).expect("the store");
        for (place, body) in (1..).zip(bodies) {
            let letter = Letter {
                seq: 0,
                message: format!("msg_{place}"),
                first_place: place,
                last_place: place,
                body: body.as_bytes().into(),
                at: core.clock.now(),
                attempts: 15,
                why: "HTTP 500".to_owned(),
                again: false,
            };
            let webhook = webhook.parse().expect("a name");
            core.webhooks
                .set_aside(&webhook, letter)
                .await
                .expect("kept");
        }
    });
}

#[test]
fn dead_letters_are_shown_sent_again_and_forgotten() {
    let (hub, mut device) = with_device();
    let (address, requests) = back_end(&["204 No Content"]);
    let made = hub.get(&format!("webhook add http://{address}/"));
    let webhook = text(&made["made"]["webhook"]["id"]);
    hub.get(&format!("webhook pause {webhook}"));
    for name in ["one", "two", "three"] {
        device.say("till", name, "{}");
    }
    let folder = hub.kill();
    let bodies = [r#"{"data":1}"#, r#"{"data":2}"#, r#"{"data":3}"#];
    set_aside(&folder.path().join("data"), &webhook, &bodies);
    let hub = Hub::on(folder);
    hub.enter();
    hub.get(&format!("webhook resume {webhook}"));

    let shown = stdout(&hub.run(&format!("webhook dead-letters {webhook}")));
    assert!(
        shown.contains("HTTP 500") && shown.contains(bodies[1]),
        "{shown}"
    );
    let listed = hub.get(&format!("webhook dead-letters {webhook}"));
    let second = listed["letters"][1]["seq"].clone();
    let told = hub.get(&format!("webhook discard {webhook} {second} --yes"));
    assert_eq!(told["discarded"], serde_json::json!([second]));
    let told = hub.get(&format!("webhook redeliver {webhook} --all"));
    assert_eq!(told["redelivered"].as_array().map(Vec::len), Some(2));
    for data in [1, 3] {
        let request = requests.recv_timeout(PATIENCE).expect("a request");
        assert_eq!(request.body["data"], data);
    }
    let begun = Instant::now();
    while hub.get(&format!("webhook show {webhook}"))["webhook"]["letters"] != 0 {
        assert!(begun.elapsed() < PATIENCE, "what was taken is forgotten");
    }
    assert!(
        hub.run(&format!("webhook redeliver {webhook} --all"))
            .status
            .success()
    );
}

#[test]
fn what_a_consumer_takes_is_given_again_until_it_moves_on() {
    let (hub, mut device) = with_device();
    hub.get("consumer add billing");
    device.say("till", "one", "{}");
    device.say("till", "two", "{}");
    let names = |line: &str| -> Vec<String> {
        let output = hub.run(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        let lines = stdout(&output);
        let events = lines.lines().map(|line| {
            let event: Json = serde_json::from_str(line).expect("JSON");
            text(&event["event"]["name"])
        });
        events.collect()
    };
    assert_eq!(names("consumer take billing --limit 1"), ["one"]);
    assert_eq!(names("consumer take billing --limit 1 --advance"), ["one"]);
    assert_eq!(names("consumer take billing"), ["two"]);
    let listed = hub.get("consumer list");
    assert_eq!(listed["consumers"][0]["behind"], 1);
    let place = listed["consumers"][0]["place"].as_u64().expect("a place");
    hub.get(&format!("consumer advance billing {}", place + 1));
    assert!(names("consumer take billing").is_empty());
    hub.get("consumer remove billing --yes");
    let said = hub.fails("consumer take billing", 2);
    assert!(said.contains("consumer"), "{said}");
}

#[test]
fn a_session_is_dismissed_and_a_policy_moves_the_device() {
    let (hub, device) = with_device();
    let listed = hub.get("session list till");
    assert_eq!(listed["sessions"][0]["via"], "mqtt");
    let session = text(&listed["sessions"][0]["id"]);
    let told = hub.get(&format!("session dismiss till {session}"));
    assert_eq!(told["dismissed"]["ended"], 1);
    device.wait_until_cut_off();
    hub.fails(&format!("session dismiss till {session}"), 2);
    assert!(hub.get("session list till")["sessions"] == serde_json::json!([]));

    assert_eq!(stdout(&hub.run("device policy till")), "own-subtree\n");
    let version = hub.get("device show till")["device"]["version"].clone();
    let said = hub.fails("device policy till own-subtree --if-version 77", 3);
    assert!(said.contains("changed meanwhile"), "{said}");
    hub.get(&format!(
        "device policy till own-subtree --if-version {version}"
    ));
    hub.get("site rename lund Lund");
    let shown = stdout(&hub.run("site show lund"));
    assert!(shown.contains("Lund"), "{shown}");
}
