//! What a scanner finds.

use tokio::process::Command;

use crate::place::Place;

#[tokio::test]
async fn a_scanner_finds_new_versions_and_strong_ciphers_only() {
    let place = Place::open();
    let output = Command::new("sslscan")
        .args(["--no-colour", "--xml=-", "--show-cipher-ids"])
        .arg(place.address.to_string())
        .output()
        .await
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let protocols: Vec<_> = elements(&report, "protocol")
        .map(|element| {
            let version = (attribute(element, "type"), attribute(element, "version"));
            (version, attribute(element, "enabled"))
        })
        .collect();
    let expected = [
        (("ssl", "2"), "0"),
        (("ssl", "3"), "0"),
        (("tls", "1.0"), "0"),
        (("tls", "1.1"), "0"),
        (("tls", "1.2"), "1"),
        (("tls", "1.3"), "1"),
    ];
    assert_eq!(protocols, expected, "{report}");
    let ciphers: Vec<&str> = elements(&report, "cipher")
        .map(|element| attribute(element, "cipher"))
        .collect();
    assert!(ciphers.len() >= 6, "{report}");
    for cipher in ciphers {
        let forward = cipher.starts_with("TLS_") || cipher.starts_with("ECDHE-");
        let whole = cipher.contains("GCM") || cipher.contains("CHACHA20");
        assert!(forward && whole, "{cipher}");
    }
    let bleeding = elements(&report, "heartbleed");
    assert!(
        bleeding
            .map(|element| attribute(element, "vulnerable"))
            .all(|vulnerable| vulnerable == "0")
    );
}

/// The start tags of all elements with this name.
fn elements<'a>(report: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("<{name} ");
    let mut found: Vec<&str> = report.split(&start).collect();
    found.remove(0);
    found
        .into_iter()
        .map(|rest| rest.split('>').next().unwrap_or_default())
}

fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let start = format!("{name}=\"");
    let value = element
        .split_once(&start)
        .unwrap_or_else(|| panic!("{element} has no {name}"))
        .1;
    value.split('"').next().unwrap_or_default()
}
