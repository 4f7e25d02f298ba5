//! `outgate check` in set-ups of the way, beside curl, `openssl s_client` and `mosquitto_pub` in the
//! same set-up: on a machine of the test's own, with the ports and the configuration files that
//! real ones have.

mod clients;
mod site;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use outgate_testbed::on_own_machine;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::documents::root;
use crate::set_ups::clients::{Client, Way, functions, hosts_and_ports};
use crate::set_ups::site::Site;
use crate::support::{json, text};

/// Where the set-ups stand, as data.
const TABLE: &str = "tests/set_ups/table.toml";

/// How it ends when nothing is wrong.
const WORKS: &str = "works";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Table {
    set_up: Vec<SetUp>,
}

/// A way to go, and how that ends; what its fields mean stands in the table.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct SetUp {
    name: String,
    to: String,
    end: String,
    tls: String,
    rules: String,
    environment: BTreeMap<String, String>,
    proxy: Option<String>,
    script: Option<String>,
    source: Option<String>,
    resolver: Option<String>,
    netns: Option<String>,
    user: Option<String>,
    ca: Option<String>,
    trust: Option<String>,
    outgate: Vec<String>,
    curl: Vec<String>,
    openssl: Vec<String>,
    mosquitto: Vec<String>,
    without: Vec<String>,
}

/// One flow of this protocol to this host and port.
fn manifest(set_up: &SetUp) -> String {
    let (scheme, host, port) = hosts_and_ports(&set_up.to);
    let tls = match set_up.tls.as_str() {
        "" => String::new(),
        tls => format!("\n    tls: {{ {tls} }}"),
    };
    format!(
        "manifest: 1
product: {{ id: box, name: Box, vendor: Boxes }}
source: {{ document: box.html, language: en }}
parties: {{ device: {{ at: site, name: {{ en: the Box }} }} }}
flows:
  cloud:
    from: device
    to: [{host}]
    speaks: {{ {scheme}: {port} }}{tls}
    need: required
    why: {{ en: report }}
"
    )
}

/// What the check makes of a set-up.
fn checked(set_up: &SetUp, folder: &Path) -> (String, Json) {
    std::fs::write(folder.join("box.yaml"), manifest(set_up)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
    command.args(["check", "box.yaml", "--json", "--timeout=3"]);
    let options = [
        ("--proxy", &set_up.proxy),
        ("--source", &set_up.source),
        ("--resolver", &set_up.resolver),
        ("--netns", &set_up.netns),
        ("--user", &set_up.user),
        ("--ca", &set_up.ca),
        ("--trust", &set_up.trust),
    ];
    for (option, value) in options {
        command.args(value.iter().map(|value| format!("{option}={value}")));
    }
    if let Some(body) = &set_up.script {
        std::fs::write(folder.join("proxy.pac"), functions(body)).unwrap();
        command.arg("--proxy-script=proxy.pac");
    }
    Way::new(set_up, folder).furnish(&mut command);
    let output = command.args(&set_up.outgate).output().unwrap();
    let report = json(&output);
    let end = ended(&report);
    let fits = match end.as_str() {
        WORKS => report["verdict"] == "pass" && output.status.code() == Some(0),
        "client-certificate-wanted" => output.status.code() == Some(4),
        _ => report["verdict"] == "fail" && output.status.code() == Some(3),
    };
    let end = if fits {
        end
    } else {
        format!("{end}, but {}", report["verdict"])
    };
    (end, report)
}

/// In a word: that it works, the kind of its first cause, or else what happened.
fn ended(report: &Json) -> String {
    let lane = &report["lanes"][0];
    let cause = lane["causes"][0]
        .as_u64()
        .and_then(|at| usize::try_from(at).ok());
    match (lane["outcome"].as_str(), cause) {
        (Some("pass"), _) => WORKS.to_owned(),
        // It is reached, and shown to be so: its cause is one for all that TLS may refuse.
        (Some("warn"), _) => text(&lane["trouble"]["kind"]),
        (_, Some(at)) => text(&report["causes"][at]["kind"]),
        (_, None) => text(&lane["trouble"]["kind"]),
    }
}

/// Goes one way with everybody, and says what is not as it should be.
fn wrong(set_up: &SetUp, site: &Site<'_>) -> Option<String> {
    site.filter(&set_up.rules);
    let (end, report) = checked(set_up, site.folder());
    let mut said = String::new();
    if end != set_up.end {
        let reason = &report["lanes"][0]["reason"];
        writeln!(said, "  outgate: {end}: {reason}").unwrap();
    }
    let clients = Client::of(set_up);
    assert!(
        !clients.is_empty(),
        "{}: nobody else goes this way",
        set_up.name
    );
    for client in clients {
        let (end, told) = client.goes(set_up, site.folder());
        if end != set_up.end {
            writeln!(said, "  {client:?}: {end}: {told}").unwrap();
        }
    }
    let name = &set_up.name;
    (!said.is_empty()).then(|| format!("{name}: not {}\n{said}", set_up.end))
}

#[test]
fn in_every_set_up_the_check_ends_as_curl_openssl_and_mosquitto_do() {
    on_own_machine(|machine| {
        let site = Site::new(machine);
        let table = std::fs::read_to_string(root().join(TABLE)).unwrap();
        let table: Table = toml::from_str(&table).unwrap();
        let wrong: Vec<String> = table
            .set_up
            .iter()
            .filter_map(|set_up| wrong(set_up, &site))
            .collect();
        assert!(table.set_up.len() >= 60, "{} set-ups", table.set_up.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .unwrap();
}
