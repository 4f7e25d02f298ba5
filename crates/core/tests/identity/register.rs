//! Devices that sign with a key made of a fleet key.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::id::{DeviceId, FleetKeyId};
use outgate_core::identity::{Claim, CredentialState, Enrolled, NewFleetKey, Page, Registration};
use outgate_core::secret::Secret;
use ring::hmac;

use crate::hub::{Hub, id};

const FLEET: &[u8] = b"a fleet key that came with the fleet";

/// As devices of Azure's provisioning service make their keys: of the name in small letters.
fn derive(fleet: &[u8], device: &DeviceId) -> Vec<u8> {
    signed(fleet, device.as_str().to_lowercase().as_bytes())
}

fn signed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text).as_ref().to_vec()
}

async fn with_fleet_key(ids: &str, uses: u32) -> (Hub, FleetKeyId) {
    let hub = Hub::new();
    hub.add_site("shop").await;
    let made = add_fleet_key(&hub, ids, uses, FLEET).await.unwrap();
    (hub, made)
}

async fn add_fleet_key(hub: &Hub, ids: &str, uses: u32, key: &[u8]) -> Result<FleetKeyId, Refusal> {
    let new = NewFleetKey {
        site: id("shop"),
        ids: ids.to_owned(),
        uses,
        lasts: Duration::from_secs(3_600),
        from: Vec::new(),
        key: Some(Secret::new(key.to_vec())),
    };
    let made = hub.core.identity.create_fleet_key(&hub.admin, new).await?;
    Ok(made.0.id)
}

async fn register(hub: &Hub, device: &str, fleet: &[u8]) -> Result<Enrolled, Refusal> {
    let device: DeviceId = id(device);
    let text = b"it is me".to_vec();
    let registration = Registration {
        signature: signed(&derive(fleet, &device), &text),
        text,
        device,
        derive,
        peer: [127, 0, 0, 1].into(),
    };
    hub.core.identity.register(registration).await
}

async fn comes_in(hub: &Hub, device: &str) -> Result<(), Refusal> {
    let device: DeviceId = id(device);
    let key = Secret::new(derive(FLEET, &device));
    let shown = Secret::new(key.to_base64().as_bytes().to_vec());
    let claim = Claim::Key {
        device: &device,
        key: &shown,
    };
    hub.core.identity.authenticate(claim).await.map(drop)
}

#[tokio::test]
async fn a_device_of_the_fleet_is_taken_up_with_the_key_that_it_made() {
    let (hub, fleet_key) = with_fleet_key("till-*", 2).await;
    let Enrolled::Welcome(issued) = register(&hub, "till-1", FLEET).await.unwrap() else {
        panic!("it is new");
    };
    assert_eq!(issued.credential.state, CredentialState::Active);
    comes_in(&hub, "till-1").await.unwrap();
    let page = Page {
        after: None,
        limit: 10,
    };
    let keys = hub
        .core
        .identity
        .fleet_keys(&hub.admin, &page)
        .await
        .unwrap();
    assert_eq!((&keys.items[0].id, keys.items[0].used), (&fleet_key, 1));
}

#[tokio::test]
async fn another_fleet_s_key_another_name_and_one_too_many_are_nobody_s() {
    let (hub, fleet_key) = with_fleet_key("till-*", 1).await;
    for (device, fleet) in [("till-1", &b"another fleet's key"[..]), ("door-1", FLEET)] {
        let refused = register(&hub, device, fleet).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{device}");
    }
    register(&hub, "till-1", FLEET).await.unwrap();
    let refused = register(&hub, "till-2", FLEET).await;
    assert!(
        matches!(refused, Err(Refusal::Unauthenticated)),
        "one too many"
    );
    add_fleet_key(&hub, "*", 9, b"a newer key of the same site")
        .await
        .unwrap();
    let revoked = hub.core.identity.revoke_fleet_key(&hub.admin, &fleet_key);
    revoked.await.unwrap();
    let refused = register(&hub, "till-3", FLEET).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)), "revoked");
    register(&hub, "till-3", b"a newer key of the same site")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_name_in_use_waits_for_approval_however_often_it_asks() {
    let (hub, _) = with_fleet_key("*", 5).await;
    hub.add_device("shop", "till-1").await;
    let token = hub.device_token("till-1").await;
    for first in [true, false] {
        match register(&hub, "till-1", FLEET).await {
            Ok(Enrolled::AwaitsApproval(_)) if first => {}
            Err(Refusal::AwaitsApproval) if !first => {}
            other => panic!("{first}: {other:?}"),
        }
        let refused = comes_in(&hub, "till-1").await;
        assert!(
            matches!(refused, Err(Refusal::AwaitsApproval)),
            "{refused:?}"
        );
    }
    hub.token(&token).await.unwrap();
    let device = id("till-1");
    let identity = &hub.core.identity;
    identity.approve_device(&hub.admin, &device).await.unwrap();
    comes_in(&hub, "till-1").await.unwrap();
    assert!(hub.token(&token).await.is_err());
}

#[tokio::test]
async fn a_revoked_device_is_not_taken_up_again() {
    let (hub, _) = with_fleet_key("*", 5).await;
    register(&hub, "till-1", FLEET).await.unwrap();
    let device = id("till-1");
    let identity = &hub.core.identity;
    identity.revoke_device(&hub.admin, &device).await.unwrap();
    let refused = register(&hub, "till-1", FLEET).await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
}

#[tokio::test]
async fn a_revoked_device_does_not_come_in_by_its_name_in_other_letters() {
    let (hub, _) = with_fleet_key("*", 5).await;
    register(&hub, "till-ab", FLEET).await.unwrap();
    let device = id("till-ab");
    let identity = &hub.core.identity;
    identity.revoke_device(&hub.admin, &device).await.unwrap();
    let refused = register(&hub, "till-AB", FLEET).await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
}

#[tokio::test]
async fn a_given_key_that_could_be_guessed_is_refused() {
    let hub = Hub::new();
    hub.add_site("shop").await;
    for key in [&[1; 15][..], &[1; 65]] {
        let refused = add_fleet_key(&hub, "*", 1, key).await;
        assert!(matches!(refused, Err(Refusal::Invalid { .. })));
    }
}

#[tokio::test]
async fn who_is_refused_again_and_again_after_its_proof_has_to_wait() {
    let (hub, _) = with_fleet_key("*", 9).await;
    for device in ["till-1", "till-2"] {
        register(&hub, device, FLEET).await.unwrap();
        let (identity, device) = (&hub.core.identity, id(device));
        identity.revoke_device(&hub.admin, &device).await.unwrap();
    }
    for _ in 0..10 {
        let refused = register(&hub, "till-1", FLEET).await;
        assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
    }
    let refused = register(&hub, "till-1", FLEET).await;
    assert!(
        matches!(refused, Err(Refusal::Limited { .. })),
        "{refused:?}"
    );
    // Nobody else has to.
    let refused = register(&hub, "till-2", FLEET).await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
}

#[tokio::test]
async fn so_many_register_at_once_from_one_place_and_then_so_many_a_second() {
    let (hub, _) = with_fleet_key("till-*", 1_000).await;
    for number in 0..100 {
        register(&hub, &format!("till-{number}"), FLEET)
            .await
            .unwrap();
    }
    let refused = register(&hub, "till-x", FLEET).await;
    assert!(
        matches!(refused, Err(Refusal::Limited { .. })),
        "{refused:?}"
    );
    hub.core.clock.advance(Duration::from_millis(100));
    register(&hub, "till-x", FLEET).await.unwrap();
}
