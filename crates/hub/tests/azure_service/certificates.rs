//! Enrolment groups by certificate: devices that nobody has made, of an authority of a site.

use std::time::SystemTime;

use outgate_core::Refusal;
use outgate_core::identity::{Actor, Device};
use outgate_standin::{Authority, Validity};
use serde_json::{Value, json};

use crate::azure::{HUB, node, python};
use crate::running::Running;
use crate::{SCOPE, events, register, with_hub};

/// An authority of the hub's site.
async fn authority(hub: &Running) -> Authority {
    let made = Authority::named("Maker of saws", SystemTime::now()).unwrap();
    let (actor, site) = (Actor::hub(), "s".parse().unwrap());
    let identity = &hub.core().identity;
    let added = identity.add_authority(&actor, &site, &made.pem()).await;
    added.unwrap();
    made
}

/// The orders of a device with a certificate of that authority.
fn orders(hub: &Running, authority: &Authority, name: &str) -> Value {
    let own = authority.issue_client(name, Validity::around(SystemTime::now()));
    let (own, folder) = (own.unwrap(), hub.folder.path());
    let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
    std::fs::write(&certificate, own.chain_pem()).unwrap();
    std::fs::write(&key, own.key_pem()).unwrap();
    json!({
        "host": HUB, "scope": SCOPE, "registration": name, "websockets": false,
        "authority": folder.join("tls/ca.pem"), "certificate": certificate, "key_file": key,
    })
}

async fn device(hub: &Running, name: &str) -> Result<Device, Refusal> {
    let (actor, id) = (Actor::hub(), name.parse().unwrap());
    hub.core().identity.device(&actor, &id).await
}

#[test]
fn devices_of_a_group_s_authority_are_taken_up_over_mqtt_and_https() {
    with_hub(|hub| async move {
        let authority = authority(&hub).await;
        for (name, websockets, script) in [
            ("saw-python", false, "python"),
            ("saw-python-ws", true, "python"),
            ("saw-node", false, "node"),
            ("saw-node-ws", true, "node"),
            ("saw-https", false, "https"),
        ] {
            let mut orders = orders(&hub, &authority, name);
            orders["websockets"] = json!(websockets);
            orders["connect"] = json!(script == "python");
            let program = || match script {
                "python" => python(&hub, include_str!("provision.py")),
                "node" => node(&hub, include_str!("provision.js")),
                _ => python(&hub, include_str!("provision_https.py")),
            };
            // The second time it is known.
            for _ in 0..2 {
                let told = register(&mut program(), &orders).await;
                assert_eq!(told["status"], "assigned", "{name} {told}");
                assert_eq!((&told["hub"], &told["device"]), (&json!(HUB), &json!(name)));
            }
            let device = device(&hub, name).await.unwrap();
            assert_eq!(device.site.as_str(), "s");
            if script == "python" {
                assert_eq!(events(&hub, name).await.len(), 2, "{name}");
            }
        }
    });
}

#[test]
fn no_other_name_and_no_other_authority_makes_a_device() {
    with_hub(|hub| async move {
        let ours = authority(&hub).await;
        let theirs = Authority::named("Maker of saws", SystemTime::now()).unwrap();
        for (authority, name) in [(&ours, "drill-1"), (&theirs, "saw-1")] {
            let orders = orders(&hub, authority, name);
            let mut program = python(&hub, include_str!("provision.py"));
            let told = register(&mut program, &orders).await;
            assert_eq!(told["error"], "CredentialError", "{name}");
            let found = device(&hub, name).await;
            assert!(matches!(found, Err(Refusal::NotFound { .. })));
        }
        let mut orders = orders(&hub, &ours, "saw-1");
        orders["registration"] = json!("saw-2");
        let mut program = python(&hub, include_str!("provision.py"));
        let told = register(&mut program, &orders).await;
        assert_eq!(told["error"], "CredentialError");
    });
}
