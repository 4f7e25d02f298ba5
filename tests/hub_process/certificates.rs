//! Devices that come in by certificates which OpenSSL has made or asked for, and by keys; and what
//! becomes of them when those are revoked.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::mosquitto::{Shows, is_refusal, publish, subscribe};
use crate::openssl::{
    ED25519, Kind, Leaf, P256, P384, Pair, RSA_2048, RSA_3072, authority, intermediate, leaf,
    request, self_signed, thumbprint, with_chain,
};
use crate::process::{Hub, PATIENCE};

/// The kinds of keys that devices have.
const KINDS: [Kind; 5] = [P256, P384, RSA_2048, RSA_3072, ED25519];

/// A hub with the sites `s` and `t`, and folders for it and for certificates.
struct Place {
    hub: Hub,
    certificates: TempDir,
    _data: TempDir,
}

impl Place {
    fn new() -> Self {
        let data = TempDir::new().unwrap();
        let hub = Hub::start(data.path());
        hub.site("s");
        hub.site("t");
        Self {
            hub,
            certificates: TempDir::new().unwrap(),
            _data: data,
        }
    }

    fn folder(&self) -> &Path {
        self.certificates.path()
    }

    /// Runs `outgate` with these words as an administrator, in the folder of certificates.
    fn outgate(&self, line: &str) -> Output {
        let hub = format!("https://localhost:{}", self.hub.tls_port);
        let output = Command::new(env!("CARGO_BIN_EXE_outgate"))
            .args(line.split(' '))
            .current_dir(self.folder())
            .env("OUTGATE_CONFIG", self.folder().join("contexts.toml"))
            .env("OUTGATE_HUB", hub)
            .env("OUTGATE_TOKEN_FILE", self.hub.token())
            .env("OUTGATE_CA", self.hub.authority())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        output
    }

    /// Makes a device that has shown nothing yet.
    fn device(&self, name: &str, site: &str) {
        self.hub
            .ask("POST", "devices", &json!({"id": name, "site": site}));
    }

    #[track_caller]
    fn expect_in(&self, name: &str, pair: &Pair) {
        let came = publish(&self.hub, name, &Shows::Certificate(pair.clone()));
        assert_eq!(came, Ok(()), "{name}");
    }

    #[track_caller]
    fn expect_out(&self, name: &str, pair: &Pair, why: &str) {
        let came = publish(&self.hub, name, &Shows::Certificate(pair.clone()));
        let said = came.expect_err(why);
        assert!(is_refusal(&said), "{why}: {said}");
    }
}

#[test]
fn what_openssl_asks_a_certificate_for_is_signed_and_lets_its_device_in() {
    let place = Place::new();
    place.outgate("fleet-key add --site s --ids e-* --uses 5 --out fleet.json");
    for (number, kind) in KINDS.into_iter().enumerate() {
        let (asked, enrolled) = (format!("a-{number}"), format!("e-{number}"));
        // Asked for by an operator.
        let (key, csr) = request(place.folder(), &asked, kind);
        place.device(&asked, "s");
        let csr = std::fs::read_to_string(csr).unwrap();
        let new = json!({"kind": "certificate", "request": csr});
        let made = place.hub.credential(&asked, &new);
        let chain = certificate(place.folder(), &asked, &made);
        place.expect_in(&asked, &Pair { chain, key });
        // Asked for by the device itself, with a fleet key.
        let (key, _) = request(place.folder(), &enrolled, kind);
        let enrol = "--fleet-key fleet.json --json --request";
        let output = place.outgate(&format!("device enroll {enrolled} {enrol} {enrolled}.csr"));
        let made: Json = serde_json::from_slice(&output.stdout).unwrap();
        let chain = certificate(place.folder(), &enrolled, &made["enrolled"]);
        place.expect_in(&enrolled, &Pair { chain, key });
        let events = place.hub.ask("GET", "events", &Json::Null);
        assert_eq!(events["items"].as_array().unwrap().len(), number * 2 + 2);
    }
    // It is for that device and no other.
    let of_another = Pair {
        chain: place.folder().join("a-0.pem"),
        key: place.folder().join("a-0.key"),
    };
    place.expect_out("a-1", &of_another, "another device's certificate");
}

/// Writes the chain that has been issued.
fn certificate(folder: &Path, name: &str, issued: &Json) -> std::path::PathBuf {
    let chain = folder.join(format!("{name}.pem"));
    let text = issued["given"]["certificate"].as_str();
    std::fs::write(&chain, text.unwrap_or_else(|| panic!("{issued}"))).unwrap();
    chain
}

/// What a good certificate of the device `d` says.
const GOOD: Leaf<'_> = Leaf {
    name: "d",
    kind: P256,
    usage: "clientAuth",
    clock: "-1d",
};

impl Place {
    /// An authority of the site `s`, one between it and devices, and the hub's name for the first.
    fn authorities(&self) -> (Pair, Pair, String) {
        let root = authority(self.folder(), "root", "Shop root");
        let shop = intermediate(self.folder(), "shop", &root);
        let pem = std::fs::read_to_string(&root.chain).unwrap();
        let new = json!({"certificate": pem});
        let made = self.hub.ask("POST", "sites/s/authorities", &new);
        (root, shop, made["id"].as_str().unwrap().to_owned())
    }
}

#[test]
fn a_chain_up_to_the_sites_authority_lets_in() {
    let place = Place::new();
    let (root, shop, _) = place.authorities();
    for (number, kind) in KINDS.into_iter().enumerate() {
        let name = &format!("k-{number}");
        place.device(name, "s");
        let says = Leaf { name, kind, ..GOOD };
        let pair = leaf(place.folder(), name, says, &shop);
        // Once it has come in with the whole chain the hub knows it by itself.
        place.expect_out(name, &pair, "without the authority between");
        place.expect_in(name, &with_chain(&pair, &shop));
    }
    place.device("d", "s");
    place.expect_in("d", &leaf(place.folder(), "direct", GOOD, &root));
}

#[test]
fn a_chain_with_anything_wrong_in_it_does_not_let_in() {
    let place = Place::new();
    let (_, shop, _) = place.authorities();
    place.device("d", "s");
    place.device("elsewhere", "t");
    let folder = place.folder();
    // Of the same name, with another key.
    let false_root = authority(folder, "false-root", "Shop root");
    let [
        mut ended,
        mut to_come,
        mut server,
        mut stranger,
        mut elsewhere,
    ] = [GOOD; 5];
    (ended.clock, to_come.clock, server.usage) = ("-20d", "+5d", "serverAuth");
    (stranger.name, elsewhere.name) = ("nobody", "elsewhere");
    for (file, says, by) in [
        ("ended", ended, &shop),
        ("to-come", to_come, &shop),
        ("server", server, &shop),
        ("stranger", stranger, &shop),
        ("elsewhere", elsewhere, &shop),
        ("false", GOOD, &false_root),
    ] {
        let chain = with_chain(&leaf(folder, file, says, by), by);
        place.expect_out(says.name, &chain, file);
    }
    let good = with_chain(&leaf(folder, "good", GOOD, &shop), &shop);
    place.expect_in("d", &good);
    // A device is no authority.
    let by_device = leaf(folder, "by-device", GOOD, &good);
    place.expect_out("d", &with_chain(&by_device, &good), "by a device");
}

#[test]
fn a_pinned_certificate_lets_in_whoever_signed_it_while_its_dates_are_good() {
    let place = Place::new();
    for (name, kind, clock, good) in [
        ("rsa", RSA_2048, "-1d", true),
        ("ec", P384, "-1d", true),
        ("ended", P256, "-20d", false),
        ("to-come", P256, "+5d", false),
    ] {
        place.device(name, "s");
        let pair = self_signed(place.folder(), name, kind, clock);
        place.expect_out(name, &pair, "before it is pinned");
        pin(&place, name, &pair);
        match good {
            true => place.expect_in(name, &pair),
            false => place.expect_out(name, &pair, name),
        }
    }
}

#[test]
fn revoking_what_a_device_showed_ends_its_connection_and_lets_it_in_no_more() {
    let place = Place::new();
    let hub = &place.hub;
    for (name, kind) in [("rsa", RSA_2048), ("ec", P256)] {
        place.device(name, "s");
        let pair = self_signed(place.folder(), name, kind, "-1d");
        let made = pin(&place, name, &pair);
        expect_revoked(&place, name, &Shows::Certificate(pair), &made);
    }
    place.device("signed", "s");
    let (key, csr) = request(place.folder(), "signed", P256);
    let csr = std::fs::read_to_string(csr).unwrap();
    let made = hub.credential("signed", &json!({"kind": "certificate", "request": csr}));
    let chain = certificate(place.folder(), "signed", &made);
    let shows = Shows::Certificate(Pair { chain, key });
    expect_revoked(&place, "signed", &shows, &of("signed", &made));
    place.device("keyed", "s");
    let made = hub.credential("keyed", &json!({"kind": "keys"}));
    let key = made["given"]["key"].as_str().unwrap().to_owned();
    expect_revoked(&place, "keyed", &Shows::Password(key), &of("keyed", &made));
    place.device("d", "s");
    let (_, shop, root) = place.authorities();
    let chain = with_chain(&leaf(place.folder(), "good", GOOD, &shop), &shop);
    let authority = format!("sites/s/authorities/{root}");
    expect_revoked(&place, "d", &Shows::Certificate(chain), &authority);
}

/// Pins a certificate and gives the path of that credential.
fn pin(place: &Place, device: &str, pair: &Pair) -> String {
    let digits = thumbprint(place.folder(), pair);
    let new = json!({"kind": "thumbprint", "thumbprint": digits});
    of(device, &place.hub.credential(device, &new))
}

/// The path of a credential that was issued.
fn of(device: &str, issued: &Json) -> String {
    let id = issued["credential"]["id"].as_str().unwrap();
    format!("devices/{device}/credentials/{id}")
}

/// Revokes what lies at this path of the API while a device is connected with it.
fn expect_revoked(place: &Place, name: &str, shows: &Shows, path: &str) {
    assert_eq!(publish(&place.hub, name, shows), Ok(()), "{name}");
    let subscribed = subscribe(&place.hub, name, shows);
    place
        .hub
        .ask("POST", &format!("{path}/revoke"), &Json::Null);
    // 0x98, administrative action (MQTT 5, section 3.14.2.1).
    subscribed.expect("Received DISCONNECT (152)");
    subscribed.expect_end();
    let said = publish(&place.hub, name, shows).expect_err(name);
    assert!(is_refusal(&said), "{name}: {said}");
}

#[test]
fn a_tls_session_that_is_resumed_with_a_revoked_certificate_gets_nowhere() {
    let place = Place::new();
    place.device("d", "s");
    let pair = self_signed(place.folder(), "d", P256, "-1d");
    let pinned = pin(&place, "d", &pair);
    let versions = ["-tls1_3", "-tls1_2"];
    let ways = [Way::Mqtt, Way::WebSocket].map(|way| versions.map(|version| (way, version)));
    for (way, version) in ways.concat() {
        let file = format!("session-{way:?}{version}");
        let first = resume(&place, &pair, way, &[version, "-sess_out", &file]);
        assert!(first.contains("New, TLS") && first.contains(IN), "{first}");
        let again = resume(&place, &pair, way, &[version, "-sess_in", &file]);
        assert!(
            again.contains("Reused, TLS") && again.contains(IN),
            "{again}"
        );
    }
    let revoke = format!("{pinned}/revoke");
    place.hub.ask("POST", &revoke, &Json::Null);
    for (way, version) in ways.concat() {
        let file = format!("session-{way:?}{version}");
        let after = resume(&place, &pair, way, &[version, "-sess_in", &file]);
        assert!(after.contains("Reused, TLS"), "{after}");
        assert!(after.contains(OUT) && !after.contains(IN), "{after}");
    }
}

/// Where a certificate lets a device in.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// MQTT itself.
    Mqtt,
    /// HTTPS, by MQTT over WebSocket.
    WebSocket,
}

impl Way {
    /// What TLS agrees on (ALPN), and what is sent to come in with MQTT 3.1.1.
    fn said(self) -> (&'static str, Vec<u8>) {
        let connect = b"\x10\x10\0\x04MQTT\x04\x82\0\x3c\0\x01d\0\x01d";
        match self {
            Self::Mqtt => ("mqtt", connect.to_vec()),
            Self::WebSocket => {
                let upgrade = b"GET /mqtt HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    sec-websocket-protocol: mqtt\r\n\r\n";
                // A binary frame (RFC 6455, section 5.2) whose mask changes nothing.
                let frame = [0x82, 0x80 | 18, 0, 0, 0, 0];
                ("http/1.1", [&upgrade[..], &frame, connect].concat())
            }
        }
    }
}

/// CONNACK of MQTT 3.1.1: in, and not authorized (section 3.2).
const IN: &str = "\u{20}\u{2}\0\0";
const OUT: &str = "\u{20}\u{2}\0\u{5}";

/// Connects with `openssl s_client`, and with MQTT through it; gives all that it wrote up to the
/// CONNACK.
fn resume(place: &Place, pair: &Pair, way: Way, options: &[&str]) -> String {
    let (alpn, connect) = way.said();
    let mut process = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-alpn", alpn, "-connect"])
        .arg(format!("localhost:{}", place.hub.tls_port))
        .arg("-CAfile")
        .arg(place.hub.authority())
        .arg("-cert")
        .arg(&pair.chain)
        .arg("-key")
        .arg(&pair.key)
        .args(options)
        .current_dir(place.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    process.stdin.as_mut().unwrap().write_all(&connect).unwrap();
    let mut output = process.stdout.take().unwrap();
    let _process = Ends(process);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(length @ 1..) = output.read(&mut bytes) {
            // Who has seen enough listens no longer.
            let _ = tell.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
    });
    let mut said = String::new();
    while !said.contains(IN) && !said.contains(OUT) {
        match told.recv_timeout(PATIENCE) {
            Ok(more) => said += &more,
            Err(_) => return said,
        }
    }
    said
}
