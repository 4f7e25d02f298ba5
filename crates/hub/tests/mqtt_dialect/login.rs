//! How devices show who they are.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Given, NewFleetKey, enrolment_text};
use outgate_mqtt::packet::{ReasonCode, Version};
use ring::hmac;
use serde_json::json;

use crate::client::{connect, publish};
use crate::hub::Running;

const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// What the hub says to a device that shows this password.
async fn answer(hub: &Running, version: Version, device: &str, password: &str) -> ReasonCode {
    let mut client = hub.dial(version).await;
    let connect = connect(version, device, password);
    client.connect(connect).await.reason
}

#[tokio::test]
async fn a_device_comes_in_by_either_of_its_keys_as_they_were_told() {
    let hub = Running::start().await;
    let (actor, identity) = (Actor::hub(), &hub.core().identity);
    for name in ["till", "other"] {
        let (id, site) = (name.parse().unwrap(), "s".parse().unwrap());
        identity
            .create_device(&actor, id, site, None)
            .await
            .unwrap();
    }
    let till: DeviceId = "till".parse().unwrap();
    let issued = identity.add_keys(&actor, &till).await.unwrap();
    let keys = issued.map(|issued| match issued.given {
        Given::Key(key) => key.to_base64(),
        other @ (Given::Token(_) | Given::Certificate(_) | Given::Nothing) => panic!("{other:?}"),
    });
    for version in VERSIONS {
        for key in &keys {
            let reason = answer(&hub, version, "till", key).await;
            assert_eq!(reason, ReasonCode::Success, "{version:?}");
            let elsewhere = answer(&hub, version, "other", key).await;
            assert_eq!(elsewhere, ReasonCode::BadUserNameOrPassword);
            let twice = STANDARD.encode(key.as_bytes());
            let twice = answer(&hub, version, "till", &twice).await;
            assert_eq!(twice, ReasonCode::BadUserNameOrPassword);
        }
        let made_up = STANDARD.encode([7; 32]);
        for wrong in [made_up.as_str(), "no base 64", ""] {
            let reason = answer(&hub, version, "till", wrong).await;
            assert_eq!(reason, ReasonCode::BadUserNameOrPassword, "{wrong}");
        }
    }
}

#[tokio::test]
async fn a_device_that_enrols_by_a_fleet_key_connects_with_the_key_it_was_given() {
    let hub = Running::start().await;
    let new = NewFleetKey {
        site: "s".parse().unwrap(),
        ids: "till-*".to_owned(),
        uses: 1,
        lasts: Duration::from_secs(600),
        from: Vec::new(),
        key: None,
    };
    let identity = &hub.core().identity;
    let (fleet_key, secret) = identity.create_fleet_key(&Actor::hub(), new).await.unwrap();
    let device = "till-1";
    let at = hub.core().clock.now();
    let nonce = "0123456789abcdef";
    let text = enrolment_text(&device.parse().unwrap(), at, nonce, None);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let body = json!({
        "fleet_key": fleet_key.id,
        "device": device,
        "at": at,
        "nonce": nonce,
        "proof": STANDARD.encode(hmac::sign(&key, text.as_bytes())),
    });
    let (status, welcome) = hub.post("/api/enrol", &body).await;
    assert_eq!(status, 201, "{welcome}");
    let given = welcome["given"]["key"].as_str().unwrap();

    for version in VERSIONS {
        let mut client = hub.dial(version).await;
        let answer = client.connect(connect(version, device, given)).await;
        assert_eq!(answer.reason, ReasonCode::Success, "{version:?}");
        let event = publish("devices/till-1/events/open", "now", 1, 1);
        assert_eq!(client.publish(event).await, ReasonCode::Success);
    }
}
