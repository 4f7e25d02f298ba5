//! Files of devices while the hub is killed: what is there afterwards is there as a whole, and a
//! device's own transfer goes on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Instant;

use outgate_testbed::BETWEEN_LOOKS;
use ring::digest::{SHA256, digest};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::agent::Agent;
use crate::process::{Hub, PATIENCE};
use crate::relay::{Moment, Relay, Upon};

/// How many bytes a file has that is put at once, and a block.
const SIZE: usize = 3 << 20;

/// How much of a body is sent before the hub is killed.
const MOMENTS: [usize; 6] = [0, 1, 64 << 10, SIZE / 2, SIZE - 1, SIZE];

/// A hub with the device `till`.
fn furnished(folder: &Path) -> (Hub, String) {
    let hub = Hub::start(folder);
    hub.site("s");
    let token = hub.device("till");
    (hub, token)
}

/// The path of a file, with a key for that.
fn address(hub: &Hub, name: &str, verb: &str) -> String {
    let new = json!({"name": name, "verb": verb});
    let given = hub.ask("POST", "devices/till/grants", &new);
    let url = given["url"].as_str().expect("an address");
    let at = url.find("/files/").expect("a path");
    url[at..].to_owned()
}

/// Begins a request whose body has `size` bytes, of which these come, and gives the connection.
fn begun(hub: &Hub, method: &str, path: &str, body: &[u8], size: usize) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, hub.port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         x-ms-blob-type: BlockBlob\r\nContent-Length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a request");
    stream.write_all(body).expect("its body");
    stream
}

/// What is answered to a request: its status, and what is in it.
fn asked(hub: &Hub, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = begun(hub, method, path, body, body.len());
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)));
    let status = std::str::from_utf8(&answer[9..12]).expect("a status");
    (
        status.parse().expect("a status"),
        answer[end + 4..].to_vec(),
    )
}

/// Something else for each number.
fn content(number: usize) -> Vec<u8> {
    let first = u8::try_from(number).expect("a small number");
    (0..SIZE)
        .map(|at| first.wrapping_add((at % 251) as u8))
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The digests of the device's files, by name.
fn listed(hub: &Hub) -> BTreeMap<String, String> {
    let list = hub.ask("GET", "devices/till/files", &Json::Null);
    let text = |file: &Json, member: &str| file[member].as_str().expect("a text").to_owned();
    let files = list["items"].as_array().expect("a list").iter();
    files
        .map(|file| (text(file, "name"), text(file, "sha256")))
        .collect()
}

/// How many bytes lie on the disk for files, once what a killed hub left behind has gone.
fn swept_to(folder: &Path, wanted: u64) {
    fn bytes(folder: &Path) -> u64 {
        // What is looked at may be going.
        let Ok(entries) = fs::read_dir(folder) else {
            return 0;
        };
        let sizes = entries.flatten().map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        });
        sizes.sum()
    }
    let files = folder.join("data/files");
    let begun = Instant::now();
    while bytes(&files) != wanted {
        let left = bytes(&files);
        assert!(
            begun.elapsed() < PATIENCE,
            "{left} bytes stay, not {wanted}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_file_whose_hub_is_killed_while_it_comes_is_there_as_it_was_or_as_a_whole() {
    let folder = TempDir::new().unwrap();
    let (mut hub, _) = furnished(folder.path());
    let write = address(&hub, "a", "write");
    let read = address(&hub, "a", "read");
    let mut there = content(0);
    assert_eq!(asked(&hub, "PUT", &write, &there).0, 201);
    for (number, sent) in MOMENTS.into_iter().enumerate() {
        let next = content(number + 1);
        let _begun = begun(&hub, "PUT", &write, &next[..sent], SIZE);
        hub.kill();
        hub = Hub::start(folder.path());
        let (status, got) = asked(&hub, "GET", &read, b"");
        assert_eq!(status, 200);
        // Only what had come as a whole can have taken its place.
        if sent == SIZE && got == next {
            there = next;
        }
        assert!(got == there, "{sent} bytes were sent");
        assert_eq!(listed(&hub)["a"], sha256(&there));
        swept_to(folder.path(), SIZE as u64);
    }
    let last = content(99);
    assert_eq!(asked(&hub, "PUT", &write, &last).0, 201);
    assert_eq!(listed(&hub)["a"], sha256(&last));
}

#[test]
fn blocks_that_a_killed_hub_has_acknowledged_are_there_and_become_a_whole_file() {
    let folder = TempDir::new().unwrap();
    let (mut hub, _) = furnished(folder.path());
    let write = address(&hub, "a", "write");
    let block = |number: usize| format!("{write}&comp=block&blockid=000{number}");
    let staged = format!("{write}&comp=blocklist&blocklisttype=uncommitted");
    let list = format!("{write}&comp=blocklist");
    for (number, sent) in MOMENTS.into_iter().enumerate() {
        let bytes = content(number);
        let _begun = begun(&hub, "PUT", &block(number), &bytes[..sent], SIZE);
        hub.kill();
        hub = Hub::start(folder.path());
        let (_, there) = asked(&hub, "GET", &staged, b"");
        let there = String::from_utf8_lossy(&there).into_owned();
        let name = format!("<Name>000{number}</Name>");
        assert!(sent == SIZE || !there.contains(&name), "{sent}: {there}");
        // Once it is acknowledged it is there.
        assert_eq!(asked(&hub, "PUT", &block(number), &bytes).0, 201);
        swept_to(folder.path(), (SIZE * (number + 1)) as u64);
    }
    assert!(listed(&hub).is_empty());
    let names: Vec<String> = (0..MOMENTS.len())
        .map(|number| format!("000{number}"))
        .collect();
    let whole: Vec<u8> = (0..MOMENTS.len()).flat_map(content).collect();
    let latest: String = names
        .iter()
        .map(|name| format!("<Latest>{name}</Latest>"))
        .collect();
    let wanted = format!("<BlockList>{latest}</BlockList>");
    // Killed before the list has come, and as soon as it has.
    for sent in [wanted.len() / 2, wanted.len() - 1, wanted.len()] {
        let _begun = begun(&hub, "PUT", &list, &wanted.as_bytes()[..sent], wanted.len());
        hub.kill();
        hub = Hub::start(folder.path());
        let there = listed(&hub);
        let is_whole = there
            .get("a")
            .is_some_and(|digest| *digest == sha256(&whole));
        assert!(
            there.is_empty() || (is_whole && sent == wanted.len()),
            "{sent}: {there:?}"
        );
        swept_to(folder.path(), whole.len() as u64);
    }
    if listed(&hub).is_empty() {
        assert_eq!(asked(&hub, "PUT", &list, wanted.as_bytes()).0, 201);
    }
    assert_eq!(listed(&hub)["a"], sha256(&whole));
    let read = address(&hub, "a", "read");
    assert!(asked(&hub, "GET", &read, b"") == (200, whole));
}

/// An agent that fetches and sends files, through a relay before its hub.
fn agent(folder: &Path, relay: &Relay, token: &str) -> Agent {
    for name in ["in", "out"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let at = folder.display();
    let more = format!("[names]\nmdns = false\n[files]\nin = '{at}/in'\nout = '{at}/out'\n");
    Agent::start_with(folder, relay.port(), token, &more)
}

/// Tells the device what to do by a grant, kills the hub at each of the relay's moments, and starts it
/// again; gives it once the device says that it is done.
fn done_by(mut hub: Hub, folder: &Path, relay: &Relay, grant: &Json) -> Hub {
    let granted = hub.ask("POST", "devices/till/grants", grant);
    while relay.waits() {
        hub.kill();
        hub = Hub::start(folder);
        relay.go_on(hub.port);
    }
    let id = granted["command"].as_str().expect("a command");
    let path = format!("devices/till/commands/{id}");
    let begun = Instant::now();
    loop {
        let state = hub.ask("GET", &path, &Json::Null)["state"].clone();
        if state == "completed" {
            return hub;
        }
        let is_open = state == "queued" || state == "delivered";
        assert!(is_open && begun.elapsed() < 4 * PATIENCE, "it is {state}");
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

#[test]
fn an_agent_goes_on_sending_and_fetching_when_its_hub_is_killed_again_and_again() {
    let folder = TempDir::new().unwrap();
    let (hub, token) = furnished(folder.path());
    let relay = Relay::before(hub.port);
    let agent = agent(folder.path(), &relay, &token);
    let out: Vec<u8> = (1..=3).flat_map(content).collect();
    fs::write(folder.path().join("out/log.txt"), &out).unwrap();
    let (block, list) = ("&comp=block&", "&comp=blocklist HTTP");
    relay.hold(vec![
        // In the middle of the third block, in the list of all of them, and when that is answered.
        Moment::new(block, 3, Upon::Sent(300 << 10)),
        Moment::new(list, 1, Upon::Sent(20)),
        Moment::new(list, 1, Upon::Answered(0)),
    ]);
    let upload = json!({"name": "log.txt", "verb": "write", "deliver": true});
    let hub = done_by(hub, folder.path(), &relay, &upload);
    assert_eq!(listed(&hub)["log.txt"], sha256(&out));
    // Of nine blocks seven were left after the first cut and none after the second; the third was
    // of an answer, without which all of it goes once more.
    assert_eq!(relay.asked(block), 3 + 7 + 9);
    swept_to(folder.path(), out.len() as u64);

    let fetch = "GET /files/till/log.txt";
    relay.hold(vec![
        Moment::new(fetch, 1, Upon::Answered(4 << 20)),
        Moment::new(fetch, 1, Upon::Answered(3 << 20)),
    ]);
    let download = json!({"name": "log.txt", "verb": "read", "deliver": true});
    let _hub = done_by(hub, folder.path(), &relay, &download);
    assert!(fs::read(folder.path().join("in/log.txt")).unwrap() == out);
    agent.kill();
}

/// Puts so many mebibytes into a file at once, or in blocks of eight, and gets them again.
fn there_and_back(hub: &Hub, mebibytes: usize, in_blocks: bool) {
    let (write, read) = (address(hub, "a", "write"), address(hub, "a", "read"));
    let part = content(mebibytes % 7)[..1 << 20].to_vec();
    let put = |path: &str, parts: usize| {
        let mut stream = begun(hub, "PUT", path, &[], parts << 20);
        for _ in 0..parts {
            stream.write_all(&part).expect("its body");
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    };
    if in_blocks {
        let names: Vec<String> = (0..mebibytes / 8).map(|it| format!("{it:04}")).collect();
        for name in &names {
            put(&format!("{write}&comp=block&blockid={name}"), 8);
        }
        let latest = names.iter().map(|name| format!("<Latest>{name}</Latest>"));
        let list = format!("<BlockList>{}</BlockList>", latest.collect::<String>());
        let path = format!("{write}&comp=blocklist");
        assert_eq!(asked(hub, "PUT", &path, list.as_bytes()).0, 201);
    } else {
        put(&write, mebibytes);
    }
    let mut stream = begun(hub, "GET", &read, &[], 0);
    let (mut come, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        match stream.read(&mut buffer).expect("its bytes") {
            0 => break,
            read => come += read,
        }
    }
    assert!((1..4 << 10).contains(&(come - (mebibytes << 20))), "{come}");
}

#[test]
fn a_hub_needs_no_more_memory_for_a_large_file_than_for_a_small_one() {
    let folder = TempDir::new().unwrap();
    let (hub, _) = furnished(folder.path());
    for in_blocks in [false, true] {
        there_and_back(&hub, 16, in_blocks);
        let before = hub.most_memory();
        there_and_back(&hub, 256, in_blocks);
        let grown = hub.most_memory() - before;
        assert!(grown < 16 << 20, "{before} bytes, then {grown} more");
    }
}
