//! The administration API judged by tools that read its document: schemathesis, which makes up
//! requests and holds the answers to it, and openapi-spec-validator.
//!
//! Built only with the feature `peers`, which says that these are installed.

#![cfg(test)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use outgate_core::id::SiteId;
use outgate_core::identity::{Actor, Role, Scope};
use outgate_hub::Hub;
use outgate_hub::config::{Config, Overrides};
use outgate_testbed::{packages, told};

/// How many requests are made up for each operation and way of making them up.
const EXAMPLES: &str = "8";

/// After how many seconds schemathesis makes up no more.
const AT_MOST: &str = "90";

/// So that what fails once fails again.
const SEED: &str = "20260731";

/// How requests are made up. What the document allows may still be refused for what there is and
/// is not, so only trouble of the hub's own is wrong for sure: everything else is held to the
/// statuses and bodies that the document tells.
const RULES: &str = r#"
headers = { Authorization = "Bearer TOKEN" }
request-timeout = 30

[parameters]
"query.wait" = 0
"query.deadline" = 1

[checks]
enabled = true
positive_data_acceptance.expected-statuses = ["2xx", "4xx", 504]
negative_data_rejection.expected-statuses = ["4xx"]

# Bodies of any bytes cannot be wrong, and it makes up wrong ones for them all the same.
[[operations]]
include-path = ["/api/devices/{device}/files/{file}", "/api/tables/{table}"]

[operations.checks]
negative_data_rejection.enabled = false
"#;

/// Makes the things that the document's examples name.
async fn furnish(hub: &Hub) {
    let identity = &hub.state().core.identity;
    let actor = Actor::hub();
    let site: SiteId = "store-12".parse().unwrap();
    let title = "Kiruna".to_owned();
    identity
        .create_site(&actor, site.clone(), title)
        .await
        .unwrap();
    let device = "till-7".parse().unwrap();
    identity
        .create_device(&actor, device, site, None)
        .await
        .unwrap();
    identity
        .create_operator(&actor, "anna".parse().unwrap(), Role::Viewer, Scope::All)
        .await
        .unwrap();
    identity
        .create_service(&actor, "billing".parse().unwrap(), Scope::All)
        .await
        .unwrap();
}

fn program(name: &str) -> PathBuf {
    packages().unwrap().join("python/bin").join(name)
}

#[test]
fn the_documents_are_such_by_the_rules_of_openapi() {
    for document in ["openapi.json", "openapi-device.json"] {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
        let output = Command::new(program("openapi-spec-validator"))
            .args(["--schema", "3.1"])
            .arg(format!("{docs}/{document}"))
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_made_up_from_the_document_is_answered_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = false\n";
    let overrides = Overrides {
        data: Some(folder.path().join("data")),
        listen: Vec::new(),
    };
    let config = Config::new(settings, overrides).unwrap();
    let hub = Hub::start(config).await.unwrap();
    let address = hub.listening()[0].address;
    let token = std::fs::read_to_string(hub.first_token().unwrap()).unwrap();
    furnish(&hub).await;
    let mut rules = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let token = token.trim();
    write!(rules, "{}", RULES.replace("TOKEN", token)).unwrap();
    let checking = tokio::process::Command::new(program("schemathesis"))
        .arg("--config-file")
        .arg(rules.path())
        .args(["run", &format!("http://{address}/api/openapi.json")])
        .args(["--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--max-time", AT_MOST, "--workers", "1", "--no-color"])
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output();
    let output = tokio::select! {
        output = checking => output.unwrap(),
        () = hub.serve() => panic!("the hub stopped serving"),
    };
    assert!(output.status.success(), "{}", told(&output));
}
