//! Files that devices put by Azure's own way, straight and as a gateway's devices.

use outgate_core::files::Place;
use outgate_core::identity::Actor;
use serde_json::{Value, json};

use crate::running::Running;
use crate::told::Client;
use crate::{How, Sdk, credentials, with_hub};

/// More than one block of either SDK's, as these are told to cut them.
const BYTES: usize = 9 << 20;

/// A device of that SDK that is connected, and trusts the hub as a store of files, too.
async fn connected(hub: &Running, sdk: Sdk, how: How, device: &str) -> Client {
    let mut order = credentials(hub, device, how).await;
    order["websockets"] = json!(false);
    order["quiet"] = json!(true);
    let mut client = Client::start(&mut sdk.command(hub));
    let connected = client.does(json!(["connect", order])).await;
    assert_eq!(connected, "connected");
    client
}

#[test]
fn both_sdks_put_files_and_back_ends_are_told() {
    with_hub(|hub| async move {
        // The SDK for Node asks for an upload past a gateway, at Azure's own name.
        for (sdk, how) in [
            (Sdk::Python, How::Key),
            (Sdk::Python, How::Thumbprint),
            (Sdk::Python, How::Gateway),
            (Sdk::Node, How::Key),
            (Sdk::Node, How::Thumbprint),
        ] {
            let device = format!("{sdk:?}-{how:?}").to_lowercase();
            let mut client = connected(&hub, sdk, how, &device).await;
            // The SDK for Node says of a body how many characters it has, not how many bytes.
            let name = match sdk {
                Sdk::Python => "logs/a b+ö.txt",
                Sdk::Node => "logs/a b+.txt",
            };
            let put = json!(["upload", {"name": name, "bytes": BYTES}]);
            assert_eq!(client.does(put).await, Value::Null, "{device}");
            let place = Place {
                device: device.parse().unwrap(),
                name: name.parse().unwrap(),
            };
            let file = hub.core().files.look(&Actor::hub(), &place).await.unwrap();
            assert_eq!(file.size, BYTES as u64);
            let event = hub.event(&device).await;
            assert_eq!(event.name, "file/uploaded");
            let said: Value = serde_json::from_slice(&event.payload).unwrap();
            assert_eq!(said["name"], name);
            assert_eq!(said["sha256"], json!(file.digest.to_string()));
            assert_eq!(
                (&said["size"], &said["status"]),
                (&json!(BYTES), &json!(201))
            );
        }
    });
}

#[test]
fn an_upload_that_failed_is_told_and_its_address_is_over() {
    with_hub(|hub| async move {
        for sdk in [Sdk::Python, Sdk::Node] {
            let device = format!("{sdk:?}").to_lowercase();
            let mut client = connected(&hub, sdk, How::Key, &device).await;
            let tried = client.does(json!(["fail", {"name": "a.txt"}])).await;
            assert_eq!(tried, 403);
            let event = hub.event(&device).await;
            assert_eq!(event.name, "file/failed");
            let said: Value = serde_json::from_slice(&event.payload).unwrap();
            let expected = json!({
                "name": "a.txt", "size": null, "sha256": null,
                "status": 500, "description": "no disk",
            });
            assert_eq!(said, expected);
        }
    });
}
