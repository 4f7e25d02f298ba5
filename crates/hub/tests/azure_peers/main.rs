//! Azure's own SDKs for devices, unmodified, against a whole hub: its door, its TLS, its store.
//!
//! They insist on ports 443 and 8883, so each test has a machine of its own.
//!
//! Needs the programs and packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

#[path = "../running/azure.rs"]
mod azure;
mod back_end;
#[path = "../running/machine.rs"]
mod machine;
mod policies;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;
#[path = "../running/told.rs"]
mod told;
mod uploads;

use std::time::{Duration, SystemTime};

use outgate_azure::sas;
use outgate_core::identity::Actor;
use outgate_standin::{Authority, Validity};
use serde_json::{Value, json};

use crate::azure::{HUB, node, python};
use crate::running::Running;
use crate::told::Client;

/// What the hub is called by devices that were at Azure.
const AZURES: &str = "vendor.azure-devices.net";

const CONFIGURATION: &str = "
    [azure]
    hub-names = ['vendor.azure-devices.net']
    policies.device = ['device-connect']
    policies.service = ['service-connect']
";

/// How long a token lasts whose end is waited for: far longer than a device takes to connect.
const TOKEN_LASTS: Duration = Duration::from_secs(20);

/// An SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sdk {
    Python,
    Node,
}

/// How a device proves who it is, and whom it takes the hub for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// By a key.
    Key,
    /// By a key, through the hub as a gateway to Azure's.
    Gateway,
    /// By a certificate that the hub knows by its thumbprint.
    Thumbprint,
    /// By a certificate of an authority of its site's.
    Authority,
    /// As a module, by a key of its own.
    Module,
}

/// Runs `test` with a hub on a machine of its own.
fn with_hub<F: Future<Output = ()>>(test: impl FnOnce(Running) -> F) {
    azure::with_hub(CONFIGURATION, test);
}

impl Sdk {
    /// One that trusts the hub as it is told by its own interface alone.
    fn start(self, hub: &Running) -> Client {
        Client::start(
            self.command(hub)
                .env_remove("NODE_EXTRA_CA_CERTS")
                .env_remove("REQUESTS_CA_BUNDLE"),
        )
    }

    fn command(self, hub: &Running) -> tokio::process::Command {
        match self {
            Self::Python => python(hub, include_str!("device.py")),
            Self::Node => node(hub, include_str!("device.js")),
        }
    }
}

/// What a new device is told to connect with.
async fn credentials(hub: &Running, device: &str, how: How) -> Value {
    hub.device(device).await;
    let mut order = match how {
        How::Key => json!({"string": hub.string(device, HUB).await}),
        How::Module => {
            let module = format!("{device}~scanner");
            hub.device(&module).await;
            let key = hub.key(&module).await.to_base64();
            let key = key.as_str();
            let string = format!("HostName={HUB};DeviceId={device};ModuleId=scanner");
            json!({"string": format!("{string};SharedAccessKey={key}"), "module": true})
        }
        How::Gateway => {
            let string = hub.string(device, AZURES).await;
            json!({"string": format!("{string};GatewayHostName={HUB}")})
        }
        How::Thumbprint | How::Authority => {
            let now = SystemTime::now();
            let authority = Authority::named(&format!("Maker of {device}"), now).unwrap();
            let own = authority
                .issue_client(device, Validity::around(now))
                .unwrap();
            let (core, actor) = (hub.core(), Actor::hub());
            if how == How::Authority {
                let (site, pem) = ("s".parse().unwrap(), authority.pem());
                let added = core.identity.add_authority(&actor, &site, &pem);
                added.await.unwrap();
            } else {
                let (id, digest) = (device.parse().unwrap(), hub.thumbprint(&own.chain()[0]));
                let added = core.identity.add_thumbprint(&actor, &id, digest);
                added.await.unwrap();
            }
            let (certificate, key) = (hub.file("certificate.pem"), hub.file("key.pem"));
            std::fs::write(&certificate, own.chain_pem()).unwrap();
            std::fs::write(&key, own.key_pem()).unwrap();
            json!({
                "string": format!("HostName={HUB};DeviceId={device};x509=true"),
                "hub": HUB,
                "device": device,
                "certificate": certificate,
                "key": key,
            })
        }
    };
    order["authority"] = json!(hub.file("tls/ca.pem"));
    order
}

/// Everything that a device and its back end do with each other.
async fn round(hub: &Running, device: &str, client: &mut Client) {
    let said = json!({"data": "{\"open\":true}", "properties": {"door": "front & back"}});
    assert_eq!(client.does(json!(["send", said])).await, Value::Null);
    let event = hub.event(device).await;
    assert_eq!(event.payload, "{\"open\":true}");
    assert_eq!(event.content_type, "application/json");
    assert_eq!(event.properties["door"], "front & back");
    assert_eq!(event.properties["$.mid"], "m 1");

    for (method, payload, heard) in [
        ("greet", "{\"name\":\"you\"}", json!({"name": "you"})),
        ("empty", "", Value::Null),
    ] {
        let (status, answer) = hub.call(device, method, payload).await;
        let request = client.says("method").await;
        assert_eq!(request, json!({"name": method, "payload": heard}));
        assert_eq!((status, answer), (201, json!({"heard": heard})));
    }

    let reported = json!(["report", {"lamp": {"lit": true}}]);
    assert_eq!(client.does(reported).await, Value::Null);
    for (version, patch) in [
        (1, json!({"light": "on", "sound": 3})),
        (2, json!({"sound": null})),
    ] {
        let mut expected = patch.clone();
        expected["$version"] = json!(version);
        assert_eq!(hub.desire(device, patch).await, version);
        // One SDK says what it finds, too, when it begins to look.
        let is_it = |change: &Value| change["$version"] == version;
        assert_eq!(client.says_until("desired", is_it).await, expected);
    }
    let twin = client.does(json!(["twin", null])).await;
    let expected = json!({
        "desired": {"light": "on", "$version": 2},
        "reported": {"lamp": {"lit": true}, "$version": 1},
    });
    assert_eq!(twin, expected);
}

/// A message from the cloud, which modules do not get.
async fn told(hub: &Running, device: &str, client: &mut Client) {
    let sent = hub.send(device, [("colour", "light blue")]).await;
    let message = client.says("message").await;
    let expected = json!({
        "data": "hello",
        "id": sent.as_str(),
        "type": "text/plain",
        "properties": {"colour": "light blue", "outgate-command": "show"},
    });
    assert_eq!(message, expected);
    hub.completed(device, &sent).await;
}

/// Each way that there is for a device to come in.
async fn rounds(hub: Running, sdk: Sdk) {
    let ways = [
        How::Key,
        How::Gateway,
        How::Thumbprint,
        How::Authority,
        How::Module,
    ];
    for how in ways {
        for websockets in [false, true] {
            let device = format!("{how:?}-{websockets}").to_lowercase();
            println!("{sdk:?} {how:?}, WebSockets: {websockets}");
            let mut order = credentials(&hub, &device, how).await;
            order["websockets"] = json!(websockets);
            let mut client = sdk.start(&hub);
            assert_eq!(client.does(json!(["connect", order])).await, "connected");
            if how == How::Module {
                let module = format!("{device}~scanner");
                round(&hub, &module, &mut client).await;
            } else {
                round(&hub, &device, &mut client).await;
                told(&hub, &device, &mut client).await;
            }
            assert_eq!(client.does(json!(["close", null])).await, Value::Null);
        }
    }
}

#[test]
fn a_device_of_the_sdk_for_python_makes_its_round_by_every_way() {
    with_hub(|hub| rounds(hub, Sdk::Python));
}

#[test]
fn a_device_of_the_sdk_for_node_makes_its_round_by_every_way() {
    with_hub(|hub| rounds(hub, Sdk::Node));
}

#[test]
fn a_revoked_device_is_cut_off_and_stays_out() {
    with_hub(|hub| async move {
        for (sdk, websockets) in [(Sdk::Python, false), (Sdk::Node, true)] {
            let device = format!("{sdk:?}").to_lowercase();
            let mut order = credentials(&hub, &device, How::Key).await;
            order["websockets"] = json!(websockets);
            let mut client = sdk.start(&hub);
            assert_eq!(client.does(json!(["connect", order])).await, "connected");
            let (actor, id) = (Actor::hub(), device.parse().unwrap());
            let revoked = hub.core().identity.revoke_device(&actor, &id);
            assert_eq!(revoked.await.unwrap().connections.ended, 1);
            client.says_until("connected", |is| is == false).await;
            let mut again = sdk.start(&hub);
            let refused = again.does(json!(["connect", order])).await;
            assert_eq!(refused["error"], unauthorized(sdk), "{refused}");
        }
    });
}

#[test]
fn who_shows_a_token_of_another_key_is_told_so() {
    with_hub(|hub| async move {
        for sdk in [Sdk::Python, Sdk::Node] {
            let device = format!("{sdk:?}").to_lowercase();
            let mut order = credentials(&hub, &device, How::Key).await;
            let another = format!("another-than-{device}");
            hub.device(&another).await;
            let other = hub.string(&another, HUB).await;
            let (_, key) = other.split_once("SharedAccessKey=").unwrap();
            order["string"] = json!(format!(
                "HostName={HUB};DeviceId={device};SharedAccessKey={key}"
            ));
            order["websockets"] = json!(false);
            let mut client = sdk.start(&hub);
            let refused = client.does(json!(["connect", order])).await;
            assert_eq!(refused["error"], unauthorized(sdk), "{refused}");
        }
    });
}

#[test]
fn a_connection_ends_with_its_token() {
    with_hub(|hub| async move {
        for sdk in [Sdk::Python, Sdk::Node] {
            let device = format!("{sdk:?}").to_lowercase();
            hub.device(&device).await;
            let key = hub.key(&device).await;
            let mut client = sdk.start(&hub);
            // How long an SDK takes to load is none of its token's time.
            client.says("ready").await;
            let end = SystemTime::now() + TOKEN_LASTS;
            let end = end
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            let token = sas::sign(&format!("{HUB}/devices/{device}"), end, key.expose(), None);
            let order = json!({
                "token": token,
                "websockets": false,
                "authority": hub.file("tls/ca.pem"),
                "quiet": true,
            });
            assert_eq!(client.does(json!(["connect", order])).await, "connected");
            client.says_until("connected", |is| is == false).await;
        }
    });
}

/// What an SDK calls a login that was refused.
fn unauthorized(sdk: Sdk) -> &'static str {
    match sdk {
        Sdk::Python => "CredentialError",
        Sdk::Node => "UnauthorizedError",
    }
}
