//! Every operation of the API has a command: the commands are run against a hub, and who stands
//! between notes what they ask it for.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use outgate_standin::Authority;
use serde_json::Value as Json;

use crate::administration::SSH_KEY;
use crate::device::Device;
use crate::documents::root;
use crate::hub::Hub;
use crate::support::{stderr, stdout, text};

/// A public key by which releases could be signed.
const RELEASE_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEACwyR2J/ZI3XWtO24Yl1h5vF4iY8nCPQ9KgBxv0aW9xA=
-----END PUBLIC KEY-----
";

/// Operations without a command, and why.
const WITHOUT: [(&str, &str); 6] = [
    ("get_desired", "`get_twin` has both halves"),
    (
        "take_support",
        "`support open` does, once a device allows it: `hub_process/remote_support`",
    ),
    (
        "send_support",
        "`support open` does, once a device allows it: `hub_process/remote_support`",
    ),
    ("get_alive", "for whoever supervises the process"),
    ("get_ready", "for whoever spreads load"),
    ("get_metrics", "for Prometheus"),
];

/// Methods that the document may have.
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Stands before a hub and notes the first line of each request.
struct Between {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<u8>>>,
}

impl Between {
    fn new(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // Both end with the process, as nothing tells them when the test is over.
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let hub = TcpStream::connect(hub).expect("the hub listens");
                pass(&client, &hub, Some(Arc::clone(&noted)));
                pass(&hub, &client, None);
            }
        });
        Self { address, asked }
    }

    /// The methods and paths that were asked for.
    fn asked(&self) -> BTreeSet<(String, String)> {
        let bytes = self.asked.lock().expect("not poisoned");
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(|line| {
            let (rest, target) = line.strip_suffix(" HTTP/1.1")?.rsplit_once(' ')?;
            // The body of the request before may stand in front of it, without a line's end.
            let method = rest.rsplit(|c: char| !c.is_ascii_uppercase()).next()?;
            let path = target.split('?').next()?;
            Some((method.to_ascii_lowercase(), path.to_owned()))
        });
        lines.collect()
    }
}

/// Passes on to `to` what comes from `from`, noted before it is passed on, until either ends.
fn pass(from: &TcpStream, to: &TcpStream, note: Option<Arc<Mutex<Vec<u8>>>>) {
    let mut from = from.try_clone().expect("a handle");
    let mut to = to.try_clone().expect("a handle");
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if let Some(note) = &note {
                let mut noted = note.lock().expect("not poisoned");
                noted.extend_from_slice(&buffer[..count]);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// The operations of the document: name, method, parts of the path.
fn operations() -> Vec<(String, String, Vec<String>)> {
    let document = std::fs::read(root().join("docs/openapi.json")).expect("a document");
    let document: Json = serde_json::from_slice(&document).expect("JSON");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let parts = path.split('/').map(str::to_owned).collect();
            operations.push((text(&operation["operationId"]), method.to_owned(), parts));
        }
    }
    operations
}

/// Whether a path is one that the template means.
fn fits(template: &[String], path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let same = |(wanted, part): (&String, &&str)| wanted == part || wanted.starts_with('{');
    template.len() == parts.len() && template.iter().zip(&parts).all(same)
}

#[test]
fn every_operation_of_the_api_has_a_command() {
    let hub = Hub::configured("[webhooks]\nplain-http-to = [\"127.0.0.0/8\"]\n");
    let between = Between::new(hub.plain);
    let token = hub.file("data/operator.token");
    let token = token.to_str().expect("text");
    let way = format!("http://{}", between.address);
    let entered = hub
        .command(["login", &way, "--token-file", token])
        .output()
        .expect("outgate starts");
    assert!(entered.status.success(), "{}", stderr(&entered));
    places_and_people(&hub);
    devices(&hub);
    back_ends(&hub);
    for line in ["status", "audit", "audit --verify"] {
        hub.get(line);
    }
    let asked = between.asked();
    for (name, method, template) in operations() {
        let reached = asked
            .iter()
            .any(|(by, path)| *by == method && fits(&template, path));
        let without = WITHOUT.iter().find(|(known, _)| *known == name);
        match without {
            None => assert!(reached, "no command asks for {name}: {method} {template:?}"),
            Some((_, why)) => assert!(!reached, "{name} has a command, in spite of: {why}"),
        }
    }
}

/// Sites, their authorities, operators.
fn places_and_people(hub: &Hub) {
    let authority = Authority::new(SystemTime::now()).expect("an authority");
    std::fs::write(hub.file("factory.pem"), authority.pem()).expect("a file");
    hub.get("site add lund");
    hub.get("site rename lund Lund");
    hub.get("site show lund");
    hub.get("site list");
    let added = hub.get("site authority add lund --certificate factory.pem");
    let id = text(&added["authority"]["id"]);
    hub.get("site authority list lund");
    hub.get("site roster lund");
    hub.get(&format!("site authority revoke lund {id} --yes"));
    spaces(hub);
    hub.get("site revoke lund --yes");
    hub.get("site restore lund");
    hub.get("operator me");
    hub.get("operator add anna --role viewer");
    hub.get("operator list");
    hub.get("operator token anna --label phone");
    let tokens = hub.get("operator tokens anna");
    let phone = text(&tokens["tokens"][1]["id"]);
    hub.get(&format!("operator revoke anna --token {phone} --yes"));
    hub.get("operator revoke anna --yes");
}

/// What users may do in a site's spaces.
fn spaces(hub: &Hub) {
    let set = "space set lund sales --title Sales --role viewer=read --role editor=read,reload";
    assert_eq!(
        hub.get(set)["space"]["roles"]["editor"],
        serde_json::json!(["read", "reload"])
    );
    let twice = "space set lund sales --title Sales --role viewer=read --role viewer=reload";
    assert!(hub.fails(twice, 2).contains("twice"));
    assert_eq!(hub.get("space list lund")["spaces"][0]["id"], "sales");
    let granted = hub.get("space grant lund sales ann@example.com editor");
    assert_eq!(granted["grant"]["user"], "ann@example.com");
    let shown = hub.get("space show lund sales");
    assert_eq!(shown["space"]["grants"][0]["role"], "editor");
    hub.get("space revoke lund sales ann@example.com editor");
    hub.fails("space revoke lund sales ann@example.com", 2);
    hub.get("space remove lund sales --yes");
}

/// Devices, how they come in, and what they are to do.
fn devices(hub: &Hub) {
    let made = hub.run("fleet-key add --site lund --uses 2 --out fleet.json");
    assert!(made.status.success(), "{}", stderr(&made));
    let keys = hub.get("fleet-key list");
    hub.get("device add till-1 --site lund");
    hub.get("device credential till-1 --keys");
    hub.get("device enroll till-1 --fleet-key fleet.json");
    hub.get("device approve till-1");
    let key = text(&keys["fleet_keys"][0]["id"]);
    hub.get(&format!("fleet-key revoke {key} --yes"));
    hub.get("device add till-2 --site lund");
    hub.get("device list");
    assert!(hub.run("logs till-2 --since 1h").status.success());
    hub.get("device policy till-2 own-subtree");
    hub.get("device authority");
    std::fs::write(hub.file("id.pub"), SSH_KEY).expect("a file");
    hub.get("device ssh-certificate till-2 --user service --key id.pub");
    let issued = hub.get("device credential till-2 --token test");
    let credential = text(&issued["issued"][0]["credential"]["id"]);
    let token = text(&issued["issued"][0]["given"]["token"]);
    let mut device = Device::connect(hub.plain, "till-2", &token);
    device.say("till-2", "drawer/opened", "{}");
    let sessions = hub.get("session list till-2");
    let session = text(&sessions["sessions"][0]["id"]);
    hub.get(&format!("session dismiss till-2 {session}"));
    device.wait_until_cut_off();
    hub.get(&format!("device rotate till-2 {credential}"));
    hub.get(&format!(
        "device revoke till-2 --credential {credential} --yes"
    ));
    let shown = stdout(&hub.run("device show till-2"));
    assert!(shown.contains("logs       0 records\n"), "{shown}");
    let sent = hub.get("command send till-2 restart");
    let command = text(&sent["command"]["id"]);
    hub.get("command list till-2");
    let shown = hub.get(&format!("command show till-2 {command}"));
    assert_eq!(shown["command"]["name"], "restart");
    hub.get(&format!("command cancel till-2 {command}"));
    hub.fails("call till-2 ping --deadline 1s", 3);
    hub.get("push list till-2");
    let refused = hub.fails("push send till-2 --title Hello", 2);
    assert!(refused.contains("[push.fcm]"), "{refused}");
    schedules(hub);
    support(hub);
    hub.get("twin get till-2");
    hub.get(r#"twin set till-2 {"volume":3}"#);
    files(hub);
    releases(hub);
    hub.get("device revoke till-2 --yes");
    hub.get("device restore till-2 --keep-credentials");
    hub.get("device revoke till-2 --yes");
    let keys = hub.get("device restore till-2");
    assert_eq!(keys["issued"][1]["credential"]["label"], "secondary");
    std::fs::write(hub.file("cards.csv"), "card,hours\n17,3\n").expect("a file");
    hub.get("live load cards cards.csv --key card --site lund");
    assert_eq!(hub.get("live list")["tables"][0]["rows"], 1);
    hub.get("live drop cards --site lund --yes");
}

/// What a device is to do at times that are written down once.
fn schedules(hub: &Hub) {
    std::fs::write(hub.file("reload.json"), r#"{"app":"sales"}"#).expect("a file");
    let add = "schedule add reload --cron @daily --tz Europe/Stockholm --to till-2 \
               --command reload --body reload.json --missed once --spread 10m";
    assert_eq!(hub.get(add)["schedule"]["payload"]["app"], "sales");
    let refused = hub.fails(
        "schedule add no --cron @never --to till-2 --command reload",
        2,
    );
    assert!(refused.contains("five fields"), "{refused}");
    assert_eq!(hub.get("schedule list")["schedules"][0]["name"], "reload");
    assert_eq!(hub.get("schedule devices reload")["devices"][0], "till-2");
    let next = hub.get("schedule next reload --count 3");
    assert_eq!(next["next"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        hub.get("schedule history reload")["firings"],
        serde_json::json!([])
    );
    hub.fails(
        "schedule history reload --firing fi-0123456789abcdefghjk",
        2,
    );
    hub.get("schedule pause reload");
    assert!(hub.get("schedule show reload")["schedule"]["next"].is_null());
    hub.get("schedule resume reload");
    hub.get("schedule remove reload --yes");
}

/// Remote support of a device that is away.
fn support(hub: &Hub) {
    let refused = hub.fails("support open till-2 --reason slow --service pos", 3);
    assert!(refused.contains("not connected"), "{refused}");
    let listed = hub.get("support list --device till-2");
    let session = text(&listed["sessions"][0]["id"]);
    let shown = hub.get(&format!("support show {session}"));
    assert_eq!(shown["session"]["state"], "refused");
    hub.fails(&format!("support end {session}"), 2);
    hub.fails(&format!("support recording {session}"), 2);
}

/// What devices are updated to. That a release which is right is taken and reaches devices is shown
/// where Mender's own tool makes one.
fn releases(hub: &Hub) {
    std::fs::write(hub.file("signing.pub"), RELEASE_KEY).expect("a file");
    let added = hub.get("release trust signing.pub --label ours");
    let key = text(&added["key"]["id"]);
    assert_eq!(hub.get("release keys")["keys"][0]["label"], "ours");
    std::fs::write(hub.file("wrong.mender"), "no artifact").expect("a file");
    let refused = hub.fails("release add wrong.mender", 2);
    assert!(refused.contains("artifact"), "{refused}");
    assert_eq!(hub.get("release list")["releases"], serde_json::json!([]));
    hub.fails("release retire fort-1 --yes", 2);
    hub.get(&format!("release distrust {key} --yes"));
    hub.fails("deploy fort-1 --to till-2", 2);
    assert_eq!(
        hub.get("deployment list")["deployments"],
        serde_json::json!([])
    );
    let none = "dp-0123456789abcdefghjk";
    hub.fails(&format!("deployment show {none}"), 2);
    hub.fails(&format!("deployment devices {none}"), 2);
    hub.fails(&format!("deployment log {none} till-2"), 2);
    for act in ["watch", "pause", "resume", "advance", "abort --yes"] {
        hub.fails(&format!("deployment {act} {none}"), 2);
    }
    tags(hub);
}

/// What operators find devices by.
fn tags(hub: &Hub) {
    let tagged = hub.get("device tag till-2 canary ring=first place.town=Lund");
    let tags = serde_json::json!(["canary", "ring=first", "place.town=Lund"]);
    assert_eq!(tagged["tags"]["tags"], tags);
    let listed = hub.get("device list --tag ring=first");
    assert_eq!(listed["devices"][0]["id"], "till-2");
    let listed = hub.get("device list --tag ring=second");
    assert_eq!(listed["devices"], serde_json::json!([]));
    hub.get("device tag till-2 --remove canary --remove place");
    let shown = hub.get("device tag till-2");
    assert_eq!(shown["tags"]["tags"], serde_json::json!(["ring=first"]));
    hub.fails("deploy fort-1 --tag ring=first --phases 10%,5%,100%", 2);
    let window = "--window 25:00-01:00 --zone UTC";
    hub.fails(&format!("deploy fort-1 --tag ring=first {window}"), 2);
}

/// What devices hold a copy of, and their drop folders.
fn files(hub: &Hub) {
    std::fs::write(hub.file("logo.png"), "a logo").expect("a file");
    hub.get("asset add logo.png --name images/logo.png --site lund");
    let listed = hub.get("asset list");
    assert_eq!(listed["assets"][0]["content_type"], "image/png");
    hub.get("asset remove images/logo.png --site lund --yes");
    let sent = hub.get("file send till-2 logo.png --name pictures/logo.png --for 1h");
    let grant = sent["file"]["grant"]["id"].as_str().expect("a name");
    let command = sent["file"]["command"].as_str().expect("a name");
    let told = hub.get(&format!("command show till-2 {command}"));
    // What is in it is for the device alone.
    assert_eq!(told["command"]["name"], "file.download");
    assert!(!told.to_string().contains("sig="));
    let listed = hub.get("file list till-2");
    assert_eq!(listed["files"][0]["name"], "pictures/logo.png");
    hub.get("file get till-2 pictures/logo.png --to got.png");
    let got = std::fs::read_to_string(hub.file("got.png"));
    assert_eq!(got.expect("a file"), "a logo");
    hub.get(&format!("file revoke till-2 {grant}"));
    hub.get("file request till-2 logs/today.txt");
    let granted = hub.get("file grant till-2 logs/today.txt write --for 1h");
    let url = granted["file"]["url"].as_str().expect("an address");
    assert!(url.contains("/files/till-2/logs/today.txt?"), "{url}");
    let refused = hub.fails("file grant till-2 logs/today.txt write --for 31d", 2);
    assert!(refused.contains("30 days"), "{refused}");
    let grants = hub.get("file grants till-2");
    assert_eq!(grants["grants"].as_array().map(Vec::len), Some(3));
    hub.get("file delete till-2 pictures/logo.png --yes");
}

/// Who gets events, and in which way.
fn back_ends(hub: &Hub) {
    assert!(hub.run("events tail").status.success());
    hub.get("consumer add billing --after 0");
    hub.get("consumer list");
    let taken = hub.get("consumer take billing --advance");
    assert_eq!(taken["event"]["name"], "drawer/opened");
    hub.get("consumer remove billing --yes");
    hub.get("service add ledger");
    hub.get("service list");
    let issued = hub.get("service key ledger");
    let key = text(&issued["issued"]["credential"]["id"]);
    let keys = hub.get("service keys ledger");
    assert_eq!(keys["keys"][0]["state"], "active");
    hub.get(&format!("service revoke ledger --key {key} --yes"));
    hub.get("service revoke ledger --yes");
    // Nobody is sent to: there are no more events.
    let made = hub.get("webhook add http://127.0.0.1:1/");
    let webhook = text(&made["made"]["webhook"]["id"]);
    hub.get("webhook list");
    hub.get(&format!("webhook show {webhook}"));
    hub.get(&format!("webhook change {webhook} --title Billing"));
    hub.get(&format!("webhook rotate {webhook}"));
    hub.get(&format!("webhook dead-letters {webhook}"));
    for act in ["redeliver", "discard --yes"] {
        let said = hub.fails(&format!("webhook {act} {webhook} 1"), 2);
        assert!(said.contains("letter"), "{said}");
    }
    hub.get(&format!("webhook remove {webhook} --yes"));
}
