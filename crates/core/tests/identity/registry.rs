//! Devices as back ends declare them, and the access keys by which these sign.

use outgate_core::Refusal;
use outgate_core::id::DeviceId;
use outgate_core::identity::{
    Actor, Before, Claim, Declared, Given, Page, Principal, Proofs, Registered, Role, Scope,
};
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use outgate_core::twin::{Edit, IfVersion, Steering};
use ring::hmac;
use serde_json::json;
use std::time::Duration;

use crate::asked::a_command;
use crate::hub::{Hub, id};

fn key(of: u8) -> Secret {
    Secret::new(vec![of; 32])
}

fn keys(primary: u8, secondary: u8) -> Declared {
    Declared {
        site: Some(id("shop")),
        enabled: Some(true),
        proofs: Some(Proofs::Keys([Some(key(primary)), Some(key(secondary))])),
    }
}

async fn declare(
    hub: &Hub,
    device: &str,
    declared: Declared,
    before: Before,
) -> Result<Registered, Refusal> {
    let device = id(device);
    let identity = &hub.core.identity;
    identity
        .declare_device(&hub.admin, &device, declared, before)
        .await
}

async fn comes_in(hub: &Hub, device: &str, of: u8) -> Result<(), Refusal> {
    stays(hub, device, of).await.map(drop)
}

async fn stays(hub: &Hub, device: &str, of: u8) -> Result<Session, Refusal> {
    let device: DeviceId = id(device);
    let shown = Secret::new(key(of).to_base64().as_bytes().to_vec());
    let claim = Claim::Key {
        device: &device,
        key: &shown,
    };
    let who = hub.core.identity.authenticate(claim).await?;
    hub.open(&who).await
}

async fn with_site() -> Hub {
    let hub = Hub::new();
    hub.add_site("shop").await;
    hub
}

#[tokio::test]
async fn a_device_comes_in_by_the_keys_that_it_was_declared_with_and_no_others() {
    let hub = with_site().await;
    let made = declare(&hub, "t", keys(1, 2), Before::Nothing)
        .await
        .unwrap();
    let told: Vec<_> = made.keys.iter().map(|key| key.expose()[0]).collect();
    assert_eq!(told, [1, 2]);
    comes_in(&hub, "t", 1).await.unwrap();
    comes_in(&hub, "t", 2).await.unwrap();
    // As keys are rotated: the secondary one becomes the primary one.
    let version = Before::Version(made.device.version);
    let rolled = declare(&hub, "t", keys(2, 3), version).await.unwrap();
    let told: Vec<_> = rolled.keys.iter().map(|key| key.expose()[0]).collect();
    assert_eq!(told, [2, 3]);
    assert!(comes_in(&hub, "t", 1).await.is_err());
    comes_in(&hub, "t", 2).await.unwrap();
    comes_in(&hub, "t", 3).await.unwrap();
    let stale = declare(&hub, "t", keys(4, 5), version).await;
    assert!(matches!(stale, Err(Refusal::Conflict { .. })), "{stale:?}");
    comes_in(&hub, "t", 2).await.unwrap();
}

#[tokio::test]
async fn sessions_by_a_key_that_is_not_declared_any_more_end() {
    let hub = with_site().await;
    declare(&hub, "t", keys(1, 2), Before::Nothing)
        .await
        .unwrap();
    let shown = Secret::new(key(1).to_base64().as_bytes().to_vec());
    let device = id("t");
    let claim = Claim::Key {
        device: &device,
        key: &shown,
    };
    let who = hub.core.identity.authenticate(claim).await.unwrap();
    let session = hub.open(&who).await.unwrap();
    declare(&hub, "t", keys(3, 2), Before::Anything)
        .await
        .unwrap();
    assert!(session.pass().check().is_err());
}

#[tokio::test]
async fn what_must_be_there_before_is_looked_at() {
    let hub = with_site().await;
    let missing = declare(&hub, "t", keys(1, 2), Before::Anything).await;
    assert!(matches!(missing, Err(Refusal::NotFound { .. })));
    declare(&hub, "t", keys(1, 2), Before::Whatever)
        .await
        .unwrap();
    let twice = declare(&hub, "t", keys(1, 2), Before::Nothing).await;
    assert!(matches!(twice, Err(Refusal::Exists { .. })));
    let same = declare(&hub, "t", keys(7, 7), Before::Anything).await;
    assert!(matches!(same, Err(Refusal::Invalid { .. })));
    let nowhere = Declared {
        site: None,
        ..keys(1, 2)
    };
    let nowhere = declare(&hub, "u", nowhere, Before::Nothing).await;
    assert!(matches!(nowhere, Err(Refusal::Invalid { .. })));
}

#[tokio::test]
async fn a_disabled_device_stays_out_until_it_is_enabled() {
    let hub = with_site().await;
    let disabled = Declared {
        enabled: Some(false),
        ..keys(1, 2)
    };
    declare(&hub, "t", disabled, Before::Nothing).await.unwrap();
    assert!(matches!(
        comes_in(&hub, "t", 1).await,
        Err(Refusal::Revoked)
    ));
    let counted = hub.core.identity.count_devices(&hub.admin).await.unwrap();
    assert_eq!((counted.all, counted.revoked), (1, 1));
    declare(&hub, "t", keys(1, 2), Before::Anything)
        .await
        .unwrap();
    comes_in(&hub, "t", 1).await.unwrap();
}

#[tokio::test]
async fn a_device_that_is_pinned_to_certificates_has_no_keys_any_more() {
    let hub = with_site().await;
    declare(&hub, "t", keys(1, 2), Before::Nothing)
        .await
        .unwrap();
    let pinned = Declared {
        proofs: Some(Proofs::Thumbprints(vec![[7; 32]])),
        ..keys(1, 2)
    };
    let pinned = declare(&hub, "t", pinned, Before::Anything).await.unwrap();
    assert_eq!(pinned.thumbprints, ["07".repeat(32)]);
    assert!(pinned.keys.is_empty());
    assert!(comes_in(&hub, "t", 1).await.is_err());
}

/// Gives a device something to be forgotten.
async fn furnish(hub: &Hub, device: &DeviceId) {
    let edit = || Some(Edit::Merge(json!({"a": 1})));
    let steering = Steering {
        desired: edit(),
        tags: edit(),
    };
    let steered = hub.core.twins.steer(&hub.admin, device, steering, None);
    steered.await.unwrap();
    let sent = hub.core.commands.send(&hub.admin, device, a_command());
    sent.await.unwrap();
    let registered = hub.core.identity.registered(&hub.admin, device);
    assert_eq!(registered.await.unwrap().commands, 1);
}

#[tokio::test]
async fn a_removed_device_is_told_of_no_more() {
    let hub = with_site().await;
    let made = declare(&hub, "t", keys(1, 2), Before::Nothing).await;
    let version = made.unwrap().device.version;
    let (identity, device) = (&hub.core.identity, id("t"));
    let stale = identity.remove_device(&hub.admin, &device, Some(version + 9));
    assert!(matches!(stale.await, Err(Refusal::Conflict { .. })));
    let removed = identity.remove_device(&hub.admin, &device, Some(version));
    removed.await.unwrap();
    let refused = comes_in(&hub, "t", 1).await;
    assert!(matches!(refused, Err(Refusal::Revoked)));
    let gone = identity.device(&hub.admin, &device).await;
    assert!(matches!(gone, Err(Refusal::NotFound { .. })));
    let page = Page {
        after: None,
        limit: 10,
    };
    let listed = identity.registry(&hub.admin, &page).await.unwrap();
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn the_parts_of_a_device_go_with_it_and_are_out_while_it_is_disabled() {
    let hub = with_site().await;
    for (name, has) in [("t", keys(1, 2)), ("t~m", keys(5, 6))] {
        declare(&hub, name, has, Before::Nothing).await.unwrap();
    }
    let session = stays(&hub, "t~m", 5).await.unwrap();
    let pass = session.pass();
    drop(session);
    let disabled = Declared {
        site: None,
        enabled: Some(false),
        proofs: None,
    };
    let done = declare(&hub, "t", disabled, Before::Anything).await;
    done.unwrap();
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    let (identity, device) = (&hub.core.identity, id("t"));
    let removed = identity.remove_device(&hub.admin, &device, None);
    removed.await.unwrap();
    let made = declare(&hub, "t", keys(3, 4), Before::Nothing).await;
    made.unwrap();
    assert!(comes_in(&hub, "t~m", 5).await.is_err());
}

#[tokio::test]
async fn what_takes_a_removed_device_s_name_starts_anew() {
    let hub = with_site().await;
    let made = declare(&hub, "t", keys(1, 2), Before::Nothing).await;
    made.unwrap();
    let (identity, device) = (&hub.core.identity, id("t"));
    furnish(&hub, &device).await;
    let removed = identity.remove_device(&hub.admin, &device, None);
    removed.await.unwrap();
    let made = declare(&hub, "t", keys(3, 4), Before::Nothing).await;
    assert_eq!(made.unwrap().commands, 0);
    comes_in(&hub, "t", 3).await.unwrap();
    assert!(comes_in(&hub, "t", 1).await.is_err());
    let twin = hub.core.twins.described(&hub.admin, &device).await;
    assert_eq!(twin.unwrap().version(), 0);
}

#[tokio::test]
async fn tags_and_what_is_desired_are_written_at_once_or_not_at_all() {
    let hub = Hub::with_device("shop", "t").await;
    let (device, twins) = (id("t"), &hub.core.twins);
    let steering = Steering {
        desired: Some(Edit::Merge(json!({"a": 1}))),
        tags: Some(Edit::Merge(json!({"shop": 7, "old": true}))),
    };
    let steered = twins
        .steer(&hub.admin, &device, steering, Some(IfVersion::Described(0)))
        .await
        .unwrap();
    assert_eq!(steered.version(), 2);
    let steering = Steering {
        desired: Some(Edit::Merge(json!({"a": 2}))),
        tags: Some(Edit::Replace(json!({"shop": 8, "gone": null}))),
    };
    let stale = twins
        .steer(
            &hub.admin,
            &device,
            steering.clone(),
            Some(IfVersion::Described(1)),
        )
        .await;
    assert!(matches!(stale, Err(Refusal::Conflict { .. })));
    assert_eq!(
        twins
            .described(&hub.admin, &device)
            .await
            .unwrap()
            .version(),
        2
    );
    let steered = twins
        .steer(&hub.admin, &device, steering, Some(IfVersion::Described(2)))
        .await
        .unwrap();
    assert_eq!(steered.tags.document, json!({"shop": 8}));
    assert_eq!(steered.twin.desired.document, json!({"a": 2}));
}

#[tokio::test]
async fn a_service_is_made_out_by_what_its_own_access_key_has_signed() {
    let hub = Hub::new();
    let identity = &hub.core.identity;
    let mut given = Vec::new();
    for name in ["iothubowner", "service"] {
        let made = identity
            .create_service(&hub.admin, id(name), Scope::All)
            .await;
        made.unwrap();
        let issued = identity
            .add_access_key(&hub.admin, &id(name))
            .await
            .unwrap();
        let Given::Key(key) = issued.given else {
            panic!("a key was expected");
        };
        given.push(key);
    }
    let signs = hmac::Key::new(hmac::HMAC_SHA256, given[0].expose());
    let (text, until) = (
        b"resource\nend",
        hub.core.clock.now().after(Duration::from_secs(60)),
    );
    let signature = hmac::sign(&signs, text);
    let claim = |service, until| Claim::Policy {
        service,
        device: None,
        text,
        signature: signature.as_ref(),
        until,
    };
    let (owner, service) = (id("iothubowner"), id("service"));
    let who = identity.authenticate(claim(&owner, until)).await.unwrap();
    assert_eq!(who.expires, Some(until));
    assert!(matches!(&who.principal, Principal::Service { service, .. } if *service == owner));
    let session = hub.open(&who).await.unwrap();
    let actor = Actor::of_service(&session, Role::Operator).unwrap();
    assert_eq!(actor.name(), "service/iothubowner");
    assert!(Actor::of(&session).is_err());
    for wrong in [claim(&service, until), claim(&owner, hub.core.clock.now())] {
        let refused = identity.authenticate(wrong).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    }
}
