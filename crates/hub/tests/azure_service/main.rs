//! Azure's own programs for back ends and for provisioning, unmodified, against a whole hub: its
//! door, its TLS, its store.
//!
//! They insist on ports 443 and 8883, so each test has a machine of its own.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

#[path = "../running/azure.rs"]
mod azure;
mod certificates;
#[path = "../running/machine.rs"]
mod machine;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::time::{Duration, SystemTime};

use outgate_azure::provisioning::device_key_text;
use outgate_core::events::EventFilter;
use outgate_core::identity::{Actor, DeviceState, Given, NewFleetKey, Scope};
use outgate_core::secret::Secret;
use outgate_standin::{Authority, Validity};
use outgate_testbed::run;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::azure::{HUB, node, python};
use crate::running::Running;

const SCOPE: &str = "0ne00ABCDEF";

const CONFIGURATION: &str = "
    [azure]
    hub-names = ['hub.example']
    site = 's'
    policies.iothubowner = ['registry-write', 'service-connect']
    policies.registryRead = ['registry-read']
    policies.service = ['service-connect']
    [azure.provisioning]
    scopes = ['0ne00ABCDEF']
    hub = 'hub.example'
    elsewhere = [{ devices = 'moved-*', hub = 'other.example' }]
    by-certificate = [{ devices = 'saw-*', site = 's' }]
";

/// The key of an enrolment group, which came with its devices.
const GROUP: &[u8] = b"the key of an enrolment group that was at Azure before";

/// Runs `test` with a hub on a machine of its own.
fn with_hub<F: Future<Output = ()>>(test: impl FnOnce(Running) -> F) {
    azure::with_hub(CONFIGURATION, test);
}

/// What a program says last, when it is given these orders.
async fn said(command: &mut Command, orders: &Value) -> String {
    let (_, said) = run(command.arg(orders.to_string())).await.unwrap();
    said
}

#[test]
fn a_back_end_of_pypi_s_azure_iot_hub_keeps_the_registry_and_a_device_talks_over_https() {
    with_hub(|hub| async move {
        let mut orders = json!({"hub": HUB, "keys": {}});
        for policy in ["iothubowner", "registryRead", "service"] {
            let (actor, identity) = (Actor::hub(), &hub.core().identity);
            let id = policy.parse().unwrap();
            let made = identity.create_service(&actor, id, Scope::All).await;
            let service = made.unwrap().0.id;
            let issued = identity.add_access_key(&actor, &service).await.unwrap();
            orders["keys"][policy] = match issued.given {
                Given::Key(key) => json!(key.to_base64().as_str()),
                other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => {
                    panic!("{other:?}")
                }
            };
        }
        let mut back_end = python(&hub, include_str!("registry.py"));
        let said = said(&mut back_end, &orders).await;
        assert!(said.lines().any(|line| line == "done"), "{said}");
        let doors: Vec<_> = events(&hub, "till-1")
            .await
            .into_iter()
            .map(|event| (event.properties["door"].clone(), event.payload))
            .collect();
        let expected = ["front", "back"].map(|door| (door.to_owned(), "open".into()));
        assert_eq!(doors, expected);
        let counted = hub.core().identity.count_devices(&Actor::hub()).await;
        assert_eq!(counted.unwrap().all, 2);
    });
}

#[test]
fn devices_of_a_group_and_devices_by_themselves_are_told_their_hub() {
    with_hub(|hub| async move {
        add_group(&hub).await;
        for (websockets, is_python) in [(false, true), (true, true), (false, false), (true, false)]
        {
            let name = format!("till-{websockets}-{is_python}").to_lowercase();
            let mut orders = symmetric(&hub, &name);
            orders["websockets"] = json!(websockets);
            orders["payload"] = json!({"shop": 7});
            let program = || {
                if is_python {
                    python(&hub, include_str!("provision.py"))
                } else {
                    node(&hub, include_str!("provision.js"))
                }
            };
            for time in ["first", "second"] {
                let told = register(&mut program(), &orders).await;
                let expected = json!({"status": "assigned", "hub": HUB, "device": name});
                assert_eq!(told, expected, "{name}, the {time} time");
            }
            let all = events(&hub, &name).await;
            assert_eq!(all.len(), 2, "{name}");
            assert_eq!(all[0].name, "provisioning/registered");
            let payload: Value = serde_json::from_slice(&all[0].payload).unwrap();
            assert_eq!(payload, json!({"shop": 7}));
        }
        let mut own = symmetric(&hub, "till-1");
        own["connect"] = json!(true);
        let told = register(&mut python(&hub, include_str!("provision.py")), &own).await;
        assert_eq!(told["connected"], true);
        let moved = symmetric(&hub, "moved-1");
        let told = register(&mut python(&hub, include_str!("provision.py")), &moved).await;
        assert_eq!(told["hub"], "other.example");
    });
}

#[test]
fn a_device_with_a_certificate_is_told_its_hub_and_connects_to_it() {
    with_hub(|hub| async move {
        let now = SystemTime::now();
        let authority = Authority::named("Maker of tills", now).unwrap();
        let own = authority
            .issue_client("till-1", Validity::around(now))
            .unwrap();
        hub.device("till-1").await;
        let thumbprint = Secret::new(own.chain()[0].to_vec()).digest();
        let (actor, id) = (Actor::hub(), "till-1".parse().unwrap());
        let added = hub.core().identity.add_thumbprint(&actor, &id, thumbprint);
        added.await.unwrap();
        let folder = hub.folder.path();
        std::fs::write(folder.join("own.pem"), own.chain_pem()).unwrap();
        std::fs::write(folder.join("own.key"), own.key_pem()).unwrap();
        let orders = json!({
            "host": HUB, "scope": SCOPE, "registration": "till-1", "websockets": false,
            "authority": folder.join("tls/ca.pem"),
            "certificate": folder.join("own.pem"), "key_file": folder.join("own.key"),
            "connect": true,
        });
        let told = register(&mut python(&hub, include_str!("provision.py")), &orders).await;
        assert_eq!(told["status"], "assigned");
        assert_eq!(told["connected"], true);
        assert_eq!(events(&hub, "till-1").await[0].payload, "here");
        let mut other = orders.clone();
        other["registration"] = json!("till-2");
        let told = register(&mut python(&hub, include_str!("provision.py")), &other).await;
        assert_eq!(told["error"], "CredentialError");
    });
}

#[test]
fn who_is_of_no_group_or_revoked_is_told_nothing() {
    with_hub(|hub| async move {
        add_group(&hub).await;
        let mut wrong = symmetric(&hub, "till-1");
        wrong["key"] = json!(device_key_text(b"another group's key", "till-1"));
        let mut elsewhere = symmetric(&hub, "till-1");
        elsewhere["scope"] = json!("0ne00OTHER");
        let right = symmetric(&hub, "till-1");
        let program = || python(&hub, include_str!("provision.py"));
        for orders in [&wrong, &elsewhere] {
            let told = register(&mut program(), orders).await;
            assert_eq!(told["error"], "CredentialError", "{orders}");
        }
        let told = register(&mut program(), &right).await;
        assert_eq!(told["status"], "assigned");
        let (actor, id) = (Actor::hub(), "till-1".parse().unwrap());
        hub.core()
            .identity
            .revoke_device(&actor, &id)
            .await
            .unwrap();
        let told = register(&mut program(), &right).await;
        assert_eq!(told["error"], "CredentialError");
        let device = hub.core().identity.device(&actor, &id).await.unwrap();
        assert_eq!(device.state, DeviceState::Revoked);
    });
}

/// A fleet key that devices know already.
async fn add_group(hub: &Running) {
    let new = NewFleetKey {
        site: "s".parse().unwrap(),
        ids: "*".to_owned(),
        uses: 100,
        lasts: Duration::from_secs(3_600),
        from: Vec::new(),
        key: Some(Secret::new(GROUP.to_vec())),
    };
    let (actor, identity) = (Actor::hub(), &hub.core().identity);
    identity.create_fleet_key(&actor, new).await.unwrap();
}

/// The orders of a device of the group.
fn symmetric(hub: &Running, name: &str) -> Value {
    json!({
        "host": HUB, "scope": SCOPE, "registration": name, "websockets": false,
        "authority": hub.folder.path().join("tls/ca.pem"),
        "key": device_key_text(GROUP, name),
    })
}

/// What a device is told.
async fn register(program: &mut Command, orders: &Value) -> Value {
    let said = said(program, orders).await;
    // The library's threads may have something to say after the script, also what begins with `{}`.
    let told = said.lines().rev().find(|line| line.starts_with("{\""));
    let told = serde_json::from_str(told.unwrap_or(&said));
    told.unwrap_or_else(|error| panic!("{error}: {said}"))
}

async fn events(hub: &Running, device: &str) -> Vec<outgate_core::events::Event> {
    let filter = EventFilter {
        scope: Scope::All,
        device: Some(device.parse().unwrap()),
        prefix: None,
    };
    hub.core()
        .events
        .after(&filter, 0, 10)
        .await
        .unwrap()
        .events
}
