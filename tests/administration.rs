//! A hub of its own, administered through the command line as people and pipelines do it.

use std::io::BufRead as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::device::Device;
use crate::hub::{Hub, start};
use crate::support::{json, stderr, stdout, text};

fn is_for_its_owner_alone(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(file).expect("a file");
    metadata.permissions().mode() & 0o077 == 0
}

#[test]
fn a_login_needs_a_trusted_hub_and_a_good_token() {
    let hub = Hub::new();
    let token = hub.file("data/operator.token");
    let log_in = |token: &Path, ca: bool| {
        let mut command = hub.command(["login", &hub.address]);
        command.arg("--token-file").arg(token);
        if ca {
            command.arg("--ca").arg(hub.file("data/tls/ca.pem"));
        }
        command.output().expect("outgate starts")
    };
    let untrusted = log_in(&token, false);
    assert_eq!(untrusted.status.code(), Some(1));
    assert!(
        stderr(&untrusted).contains("--ca"),
        "{}",
        stderr(&untrusted)
    );

    let wrong = hub.file("wrong");
    std::fs::write(&wrong, "og_operator_wrong").expect("a file");
    let refused = log_in(&wrong, true);
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    assert!(!hub.file("contexts.toml").exists());

    let entered = log_in(&token, true);
    assert!(entered.status.success(), "{}", stderr(&entered));
    assert!(stderr(&entered).contains("SHA-256"), "{}", stderr(&entered));
    assert!(is_for_its_owner_alone(&hub.file("contexts.toml")));
    let secret = std::fs::read_to_string(&token).expect("a token");
    for output in [
        &entered,
        &hub.run("context show"),
        &hub.run("context list --json"),
    ] {
        let said = format!("{}{}", stdout(output), stderr(output));
        assert!(!said.contains(secret.trim()), "{said}");
    }
}

#[test]
fn a_new_hub_says_how_to_log_in() {
    let hub = Hub::new();
    let next = format!("outgate login {} --token-file", hub.address);
    let begun = Instant::now();
    while !std::fs::read_to_string(hub.file("hub.err")).is_ok_and(|said| said.contains(&next)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{next}");
    }
    let mistaken = hub.address.replace("https://", "");
    let said = hub.fails(
        &format!("login {mistaken} --token-file data/operator.token"),
        2,
    );
    assert!(said.contains("https://"), "{said}");
    let plain = hub.address.replace("https://", "http://");
    let said = hub.fails(
        &format!("login {plain} --token-file data/operator.token"),
        2,
    );
    assert!(said.contains("https://"), "{said}");
}

#[test]
fn a_device_enrols_with_a_fleet_key_and_a_known_name_waits() {
    let hub = Hub::entered();
    hub.get("site add store-12");
    let made = hub.run("fleet-key add --site store-12 --ids till-* --uses 2 --out fleet.json");
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!(stdout(&made), "");
    assert!(is_for_its_owner_alone(&hub.file("fleet.json")));
    // A file that is there is never written over.
    hub.fails("fleet-key add --site store-12 --out fleet.json", 2);

    let enrolled = hub.get("device enroll till-1 --fleet-key fleet.json");
    assert_eq!(enrolled["enrolled"]["enrolment"], "welcome");
    assert!(enrolled["enrolled"]["given"]["key"].is_string());
    hub.fails("device enroll pump-1 --fleet-key fleet.json", 3);
    let shown = hub.get("device show till-1");
    assert_eq!(shown["device"]["state"], "active");
    assert_eq!(shown["credentials"].as_array().map(Vec::len), Some(1));
    let keys = hub.get("fleet-key list");
    assert_eq!(keys["fleet_keys"][0]["used"], 1);
}

#[test]
fn a_twin_is_changed_only_from_the_version_that_was_read() {
    let hub = Hub::entered();
    hub.get("site add a");
    hub.get("device add till --site a");
    let (_watch, mut lines) = hub.start("twin watch till --json");
    let mut next = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        serde_json::from_str::<Json>(&line).expect("JSON")
    };
    assert_eq!(next()["twin"]["desired"]["version"], 0);
    hub.get(r#"twin set till {"volume":3,"on":true}"#);
    let twin = next();
    assert_eq!(twin["twin"]["desired"]["document"]["volume"], 3);
    let said = hub.fails(r#"twin set till {"volume":4} --if-version 0"#, 3);
    assert!(said.contains("changed meanwhile"), "{said}");
    hub.get(r#"twin set till {"volume":null} --if-version 1"#);
    let twin = hub.get("twin get till");
    let left = serde_json::json!({"on": true});
    assert_eq!(twin["twin"]["desired"]["document"], left);
    hub.fails("twin set till [1]", 2);
}

#[test]
fn a_command_waits_for_its_device_and_a_call_does_not() {
    let hub = Hub::entered();
    hub.get("site add a");
    hub.get("device add till --site a");
    let sent = hub.get(r#"command send till display --payload {"text":"Closed"} --for 1h"#);
    assert_eq!(sent["command"]["payload"]["text"], "Closed");
    assert_eq!(sent["command"]["content_type"], "application/json");
    let id = text(&sent["command"]["id"]);
    let listed = hub.get("command list till");
    assert_eq!(listed["commands"][0]["state"], "queued");
    let cancelled = hub.get(&format!("command cancel till {id}"));
    assert_eq!(cancelled["command"]["state"], "cancelled");
    let said = hub.fails("call till ping --deadline 1s", 3);
    assert!(said.contains("not connected"), "{said}");
}

#[test]
fn a_viewer_sees_and_changes_nothing_until_revoked() {
    let hub = Hub::entered();
    hub.get("site add a");
    hub.get("device add till --site a");
    let issued = hub.get("device credential till --token test");
    let token = text(&issued["issued"][0]["given"]["token"]);
    let mut device = Device::connect(hub.plain, "till", &token);
    let made = hub.run("operator add anna --role viewer --out anna.token");
    assert!(made.status.success(), "{}", stderr(&made));
    // As in a pipeline: no login, only the environment.
    let of_anna = |line: &str| {
        let mut command = hub.command(line.split(' '));
        command
            .env("OUTGATE_HUB", &hub.address)
            .env("OUTGATE_TOKEN_FILE", hub.file("anna.token"))
            .env("OUTGATE_CA", hub.file("data/tls/ca.pem"));
        command
    };
    let as_anna = |line: &str| of_anna(line).output().expect("outgate starts");
    let seen = as_anna("site list --json");
    assert_eq!(json(&seen)["sites"][0]["id"], "a", "{}", stderr(&seen));
    assert_eq!(as_anna("site add b").status.code(), Some(3));

    device.say("till", "opened", "{}");
    let (follow, mut followed) = start(&mut of_anna("events tail --follow --after 0"));
    // Once it follows it is cut off, rather than refused when it comes.
    let mut first = String::new();
    followed.read_line(&mut first).expect("an event");
    assert!(first.contains("opened"), "{first}");
    let said = hub.fails("operator revoke anna", 2);
    assert!(said.contains("--yes"), "{said}");
    hub.get("operator revoke anna --yes");
    assert_eq!(follow.ended().unwrap().code(), Some(3));
    assert_eq!(as_anna("site list").status.code(), Some(3));
}

#[test]
fn what_was_done_is_in_the_audit_log_and_its_chain_holds() {
    let hub = Hub::entered();
    hub.get("site add a");
    hub.get("device add till --site a");
    hub.get("device revoke till --yes");
    let audit = hub.get("audit --limit 1");
    assert_eq!(audit["entries"][0]["act"], "device.revoke");
    assert_eq!(audit["entries"][0]["on"], "device/till");
    assert_eq!(hub.get("audit --verify")["verified"]["chain"], "whole");
    assert_eq!(
        hub.get("device list --state revoked")["devices"][0]["id"],
        "till"
    );
    hub.get("device restore till");
    let rows = stdout(&hub.run("device list"));
    assert!(rows.contains("till") && rows.contains("active"), "{rows}");
}

#[test]
fn without_a_hub_the_next_step_is_told() {
    let folder = TempDir::new().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .arg("status")
        .env("OUTGATE_CONFIG", folder.path().join("none.toml"))
        .env_remove("OUTGATE_HUB")
        .output()
        .expect("outgate starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("outgate login"),
        "{}",
        stderr(&output)
    );
}

/// A public key in OpenSSH's form.
pub(crate) const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

#[test]
fn a_certificate_for_ssh_is_signed_for_a_public_key_and_written_down() {
    let hub = Hub::entered();
    hub.get("site add a");
    hub.get("device add cube --site a");
    std::fs::write(hub.file("id.pub"), format!("{SSH_KEY} anna@office\n")).expect("a file");
    let sign = "device ssh-certificate cube --user technician --key id.pub";
    let signed = hub.get(&format!("{sign} --for 12h"));
    let signed = &signed["ssh-certificate"];
    let line = text(&signed["certificate"]);
    assert!(
        line.starts_with("ssh-ed25519-cert-v01@openssh.com "),
        "{line}"
    );
    let written = hub.run(&format!("{sign} --out id-cert.pub"));
    assert!(written.status.success(), "{}", stderr(&written));
    assert!(stderr(&written).contains("it counts until 20"));
    let kept = std::fs::read_to_string(hub.file("id-cert.pub")).expect("a file");
    assert!(
        kept.starts_with("ssh-ed25519-cert-v01@openssh.com AAAA"),
        "{kept}"
    );
    let audit = hub.get("audit --limit 2");
    let entry = &audit["entries"][1];
    assert_eq!(entry["act"], "device.ssh-certificate");
    assert_eq!(entry["detail"]["serial"], signed["serial"]);

    hub.fails(&format!("{sign} --for 13h"), 2);
    hub.fails("device ssh-certificate cube --user * --key id.pub", 2);
    std::fs::write(hub.file("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").expect("a file");
    let said = hub.fails("device ssh-certificate cube --user u --key id", 2);
    assert!(said.contains("FILE.pub"), "{said}");
    // A device that has said nothing of it has no switch.
    assert!(hub.get("device show cube")["device"].get("ssh").is_none());
}
