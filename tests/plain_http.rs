//! A device that keeps no connection: its twin, events and commands by curl.

use std::process::Stdio;
use std::time::{Duration, Instant};

use outgate_testbed::Ends;
use serde_json::{Value as Json, json};

use crate::shop::{Got, Shop};
use crate::support::text;

/// What must come comes within this.
const SOON: Duration = Duration::from_secs(20);

impl Got {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

impl Shop {
    /// The names of the commands that a device is told, with how often they have been.
    fn commands(&self, token: &str) -> Vec<(String, u64)> {
        let told = self.fetch(token, "/device/commands", &[]);
        assert_eq!(told.status, 200, "{}", told.body);
        let told = told.json();
        let commands = told["commands"].as_array().expect("a list").iter();
        let of = |one: &Json| {
            let deliveries = one["deliveries"].as_u64().expect("a number");
            (text(&one["name"]), deliveries)
        };
        commands.map(of).collect()
    }

    fn post(&self, token: &str, path: &str) -> u32 {
        self.fetch(token, path, &["--request", "POST"]).status
    }

    /// A poll that hangs: it is told that the device is there.
    fn hanging(&self, name: &str, token: &str, path: &str, more: &[&str]) -> Ends {
        let mut curl = self.fetching(token, path, more);
        let child = curl.stdout(Stdio::piped()).spawn().expect("curl starts");
        let child = Ends(child);
        let patience = Instant::now() + SOON;
        let there = || {
            let sessions = self.hub.get(&format!("session list {name}"));
            sessions["sessions"].as_array().map_or(0, Vec::len)
        };
        while there() == 0 {
            assert!(Instant::now() < patience, "nobody asks");
        }
        child
    }
}

/// What a poll got in the end.
fn got(mut poll: Ends) -> Got {
    use std::io::Read as _;
    let mut stdout = Vec::new();
    let mut from = poll.0.stdout.take().expect("its output");
    from.read_to_end(&mut stdout).expect("its output");
    let status = poll.0.wait().expect("it ends");
    Got::of(std::process::Output {
        status,
        stdout,
        stderr: Vec::new(),
    })
}

#[test]
fn a_device_reads_its_twin_when_it_has_changed_and_says_what_it_is() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    shop.hub.get(r#"twin set till-1 {"vat":25}"#);
    let first = shop.fetch(&token, "/device/twin", &[]);
    assert_eq!(first.status, 200, "{}", first.body);
    let desired = json!({"version": 1, "document": {"vat": 25}});
    let reported = json!({"version": 0, "document": {}});
    let expected = json!({"desired": desired, "reported": reported});
    assert_eq!(first.json(), expected);
    let known = format!("If-None-Match: {}", first.header("etag"));
    let again = shop.fetch(&token, "/device/twin", &["-H", &known]);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header("etag"), first.header("etag"));
    let patch = ["--request", "PATCH", "--data", r#"{"vat":25}"#];
    let kind = ["-H", "Content-Type: application/merge-patch+json"];
    let report = |more: &[&str]| shop.fetch(&token, "/device/twin/reported", more);
    let said = report(&[&patch[..], &kind].concat());
    assert_eq!(said.json(), json!({"version": 1}), "{}", said.status);
    assert_eq!(report(&patch).status, 415);
    let twin = shop.hub.get("twin get till-1");
    assert_eq!(twin["twin"]["reported"]["document"], json!({"vat": 25}));
    let changed = shop.fetch(&token, "/device/twin", &["-H", &known]);
    assert_eq!(changed.json()["reported"]["version"], 1);
}

#[test]
fn a_poll_of_the_twin_ends_with_a_change() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let first = shop.fetch(&token, "/device/twin", &[]);
    let known = format!("If-None-Match: {}", first.header("etag"));
    let path = "/device/twin?wait=50";
    let poll = shop.hanging("till-1", &token, path, &["-H", &known]);
    shop.hub.get(r#"twin set till-1 {"vat":12}"#);
    let told = got(poll);
    assert_eq!(told.status, 200);
    assert_eq!(told.json()["desired"]["document"], json!({"vat": 12}));
    let known = format!("If-None-Match: {}", told.header("etag"));
    let none = shop.fetch(&token, "/device/twin?wait=1", &["-H", &known]);
    assert_eq!(none.status, 304);
}

#[test]
fn an_event_is_kept_with_its_type_and_properties_by_the_time_it_is_answered() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let sale = [
        "--data",
        r#"{"cents":250}"#,
        "-H",
        "Content-Type: application/json",
    ];
    let path = "/device/events/sale/closed?cashier=anna&desk=2";
    let said = shop.fetch(&token, path, &sale);
    assert_eq!((said.status, said.body.as_str()), (204, ""));
    shop.hub.get("consumer add billing --after 0");
    let event = shop.hub.get("consumer take billing --advance")["event"].clone();
    assert_eq!(event["device"], "till-1");
    assert_eq!(event["name"], "sale/closed");
    assert_eq!(event["payload"], json!({"cents": 250}));
    assert_eq!(event["properties"], json!({"cashier": "anna", "desk": "2"}));
    let large = shop.hub.file("large");
    std::fs::write(&large, vec![b'x'; 256 * 1_024 + 1]).expect("a file");
    let large = format!("@{}", large.display());
    let refused = shop.fetch(&token, "/device/events/x", &["--data-binary", &large]);
    assert_eq!(refused.status, 413);
    let long = format!("/device/events/{}", "x".repeat(257));
    let refused = shop.fetch(&token, &long, &["--data", "x"]);
    assert_eq!(refused.status, 413, "{}", refused.body);
}

#[test]
fn commands_are_told_in_order_until_each_is_settled() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let send = |name: &str| {
        let sent = shop.hub.get(&format!("command send till-1 {name}"));
        text(&sent["command"]["id"])
    };
    assert!(shop.commands(&token).is_empty());
    let ids = ["first", "second", "third"].map(send);
    let named = |names: &[(&str, u64)]| -> Vec<(String, u64)> {
        let owned = names
            .iter()
            .map(|(name, times)| ((*name).to_owned(), *times));
        owned.collect()
    };
    let all = named(&[("first", 1), ("second", 1), ("third", 1)]);
    assert_eq!(shop.commands(&token), all);
    let settle = |id: &str, how: &str| shop.post(&token, &format!("/device/commands/{id}/{how}"));
    assert_eq!(settle(&ids[0], "complete"), 204);
    assert_eq!(settle(&ids[0], "complete"), 204, "as before");
    assert_eq!(settle(&ids[0], "reject"), 409, "it is done");
    assert_eq!(settle(&ids[1], "reject"), 204);
    assert_eq!(shop.commands(&token), named(&[("third", 2)]));
    assert_eq!(settle(&ids[2], "abandon"), 204);
    assert_eq!(shop.commands(&token), named(&[("third", 3)]));
    assert_eq!(settle(&ids[2], "complete"), 204);
    assert_eq!(settle(&ids[2], "forget"), 404);
    assert!(shop.commands(&token).is_empty());
    let states = ids.map(|id| {
        let shown = shop.hub.get(&format!("command show till-1 {id}"));
        text(&shown["command"]["state"])
    });
    assert_eq!(states, ["completed", "rejected", "completed"]);
}

#[test]
fn a_poll_for_commands_ends_with_the_first_and_takes_no_calls_meanwhile() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let path = "/device/commands?wait=50";
    let poll = shop.hanging("till-1", &token, path, &[]);
    let said = shop.hub.fails("call till-1 price --deadline 20s", 3);
    assert!(said.contains("takes no calls"), "{said}");
    shop.hub.get("command send till-1 reboot");
    let told = got(poll);
    assert_eq!(told.json()["commands"][0]["name"], "reboot");
    assert_eq!(told.header("cache-control"), "no-store");
}

#[test]
fn who_is_revoked_is_let_in_no_more_and_a_poll_that_hangs_ends() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    for protocol in ["--http1.1", "--http2"] {
        let path = "/device/commands?wait=50";
        let poll = shop.hanging("till-1", &token, path, &[protocol]);
        shop.hub.get("device revoke till-1 --yes");
        assert_eq!(got(poll).status, 401, "{protocol}");
        assert_eq!(shop.fetch(&token, "/device/twin", &[]).status, 401);
        let event = shop.fetch(&token, "/device/events/x", &["--data", "x"]);
        assert_eq!(event.status, 401);
        shop.hub.get("device restore till-1 --keep-credentials");
    }
}

#[test]
fn nobody_but_the_device_itself_comes_in() {
    let shop = Shop::new();
    let (token, other) = (shop.device("till-1", "lund"), shop.device("till-2", "lund"));
    let sent = shop.hub.get("command send till-1 reboot");
    let id = text(&sent["command"]["id"]);
    assert_eq!(shop.commands(&token).len(), 1);
    let settle = format!("/device/commands/{id}/complete");
    assert_eq!(shop.post(&other, &settle), 404, "another's command");
    let service = shop.hub.get("service add ledger");
    let service = text(&service["made"]["issued"]["given"]["token"]);
    let operator = std::fs::read_to_string(shop.hub.file("data/operator.token")).expect("a token");
    let post = ["--request", "POST"];
    // Who is refused over HTTP/2 has the stream closed before all is sent (RFC 9113 §8.1), and curl
    // 7.88 may then lose the answer.
    let patch = ["--http1.1", "--request", "PATCH", "--data", "{}"];
    let asked: [(&str, &[&str]); 5] = [
        ("/device/twin", &[]),
        ("/device/twin/reported", &patch),
        ("/device/events/x", &post),
        ("/device/commands", &[]),
        (&settle, &post),
    ];
    for (path, more) in asked {
        let none = shop
            .curl(&[], path, &[more, &["--include"]].concat())
            .output();
        assert_eq!(Got::of(none.expect("curl starts")).status, 401, "{path}");
        assert_eq!(shop.fetch("og_de_wrong", path, more).status, 401, "{path}");
        assert_eq!(
            shop.fetch(operator.trim(), path, more).status,
            403,
            "{path}"
        );
        assert_eq!(shop.fetch(&service, path, more).status, 403, "{path}");
    }
}

#[test]
fn a_device_polls_only_so_long_and_so_often_at_a_time() {
    let shop = Shop::new();
    let token = shop.device("till-1", "lund");
    let long = shop.fetch(&token, "/device/commands?wait=56", &[]);
    assert_eq!(long.status, 422, "{}", long.body);
    assert_eq!(
        shop.fetch(&token, "/device/commands?wit=5", &[]).status,
        400
    );
    let path = "/device/commands?wait=50";
    let polls: Vec<Ends> = (0..4)
        .map(|_| shop.hanging("till-1", &token, path, &[]))
        .collect();
    let sessions = || {
        let sessions = shop.hub.get("session list till-1");
        sessions["sessions"].as_array().map_or(0, Vec::len)
    };
    let patience = Instant::now() + SOON;
    while sessions() < 4 {
        assert!(Instant::now() < patience, "four poll");
    }
    let fifth = shop.fetch(&token, path, &[]);
    assert_eq!(fifth.status, 429, "{}", fifth.body);
    assert!(!fifth.header("retry-after").is_empty());
    assert_eq!(shop.fetch(&token, "/device/twin", &[]).status, 200);
    drop(polls);
}
