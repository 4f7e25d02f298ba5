//! Devices that come in by a shared access policy's token.

use std::time::{Duration, SystemTime};

use outgate_azure::sas;
use outgate_core::identity::{Actor, Given, Scope};
use outgate_core::secret::Secret;
use serde_json::{Value, json};

use crate::azure::HUB;
use crate::running::Running;
use crate::{Sdk, round, told, unauthorized, with_hub};

/// An access key of a new policy.
async fn policy(hub: &Running, name: &str) -> Secret {
    let (actor, identity) = (Actor::hub(), &hub.core().identity);
    let service = identity.create_service(&actor, name.parse().unwrap(), Scope::All);
    let id = service.await.unwrap().0.id;
    let issued = identity.add_access_key(&actor, &id).await.unwrap();
    match issued.given {
        Given::Key(key) => key,
        other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
    }
}

/// What a device is told to connect with, by a token that `key` has signed.
fn order(hub: &Running, device: &str, key: &Secret, policy: &str, websockets: bool) -> Value {
    let end = SystemTime::now() + Duration::from_secs(3_600);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let resource = format!("{HUB}/devices/{device}");
    let token = sas::sign(&resource, end.as_secs(), key.expose(), Some(policy));
    json!({
        "token": token, "websockets": websockets, "authority": hub.file("tls/ca.pem"),
    })
}

#[test]
fn a_policy_s_token_does_what_a_device_s_does_until_the_key_is_revoked() {
    with_hub(|hub| async move {
        let key = policy(&hub, "device").await;
        let mut clients = Vec::new();
        for (sdk, websockets) in [(Sdk::Python, false), (Sdk::Node, false), (Sdk::Node, true)] {
            let device = format!("{sdk:?}-{websockets}").to_lowercase();
            hub.device(&device).await;
            let order = order(&hub, &device, &key, "device", websockets);
            let mut client = sdk.start(&hub);
            let connected = client.does(json!(["connect", order])).await;
            assert_eq!(connected, "connected");
            round(&hub, &device, &mut client).await;
            told(&hub, &device, &mut client).await;
            clients.push((sdk, client, order));
        }
        let (actor, identity) = (Actor::hub(), &hub.core().identity);
        let service = "device".parse().unwrap();
        let keys = identity.access_keys(&actor, &service).await.unwrap();
        let revoked = identity.revoke_access_key(&actor, &service, &keys[0].id);
        assert_eq!(revoked.await.unwrap().connections.ended, clients.len());
        for (sdk, mut client, order) in clients {
            client.says_until("connected", |is| is == false).await;
            let refused = sdk.start(&hub).does(json!(["connect", order])).await;
            assert_eq!(refused["error"], unauthorized(sdk), "{refused}");
        }
    });
}

#[test]
fn a_policy_without_the_right_or_with_another_s_key_lets_no_device_in() {
    with_hub(|hub| async move {
        let device = policy(&hub, "device").await;
        let service = policy(&hub, "service").await;
        hub.device("till-1").await;
        for sdk in [Sdk::Python, Sdk::Node] {
            for (key, policy) in [
                (&service, "service"),
                (&service, "device"),
                (&device, "nobody"),
            ] {
                let order = order(&hub, "till-1", key, policy, false);
                let refused = sdk.start(&hub).does(json!(["connect", order])).await;
                assert_eq!(refused["error"], unauthorized(sdk), "{policy} {refused}");
            }
        }
    });
}
