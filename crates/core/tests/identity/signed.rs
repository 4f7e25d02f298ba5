//! Devices that show what their keys have signed, not the keys.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::clock::Timestamp;
use outgate_core::identity::{Claim, Given, Identified};
use outgate_core::secret::Secret;
use outgate_core::sessions::Ending;
use ring::hmac;

use crate::hub::{Hub, id};

const HOUR: Duration = Duration::from_secs(3_600);

/// Gives `device` a pair of keys.
async fn keys(hub: &Hub, device: &str) -> Vec<Secret> {
    let added = hub.core.identity.add_keys(&hub.admin, &id(device)).await;
    let added = added.unwrap().into_iter();
    let keys = added.map(|issued| match issued.given {
        Given::Key(key) => key,
        Given::Token(_) | Given::Certificate(_) | Given::Nothing => panic!("a key was expected"),
    });
    keys.collect()
}

fn sign(key: &Secret, text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// Shows that `device` has signed `text`.
async fn show(
    hub: &Hub,
    device: &str,
    (text, signature): (&str, &[u8]),
    until: Timestamp,
) -> Result<Identified, Refusal> {
    let claim = Claim::Signed {
        device: &id(device),
        text: text.as_bytes(),
        signature,
        until,
    };
    hub.core.identity.authenticate(claim).await
}

#[tokio::test]
async fn a_device_comes_in_by_what_either_of_its_keys_has_signed_until_that_is_over() {
    let hub = Hub::with_device("shop", "till-1").await;
    let until = hub.core.clock.now().after(HOUR);
    for key in keys(&hub, "till-1").await {
        let signature = sign(&key, "a text");
        let shown = ("a text", signature.as_slice());
        let found = show(&hub, "till-1", shown, until).await.unwrap();
        assert_eq!(found.expires, Some(until));
        assert_eq!(show(&hub, "till-1", shown, until).await.unwrap(), found);
        let sooner = hub.core.clock.now().after(HOUR / 2);
        let found = show(&hub, "till-1", shown, sooner).await.unwrap();
        assert_eq!(found.expires, Some(sooner));
    }
    let key = &keys(&hub, "till-1").await[0];
    let signature = sign(key, "a text");
    let shown = ("a text", signature.as_slice());
    let found = show(&hub, "till-1", shown, until).await.unwrap();
    let session = hub.open(&found).await.unwrap();
    hub.core.clock.advance(HOUR);
    assert_eq!(session.ended().await, Ending::Expired);
    assert!(matches!(
        session.pass().check(),
        Err(Refusal::Unauthenticated | Refusal::Revoked)
    ));
    let again = show(&hub, "till-1", shown, until).await;
    assert!(matches!(again, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_signature_holds_for_its_text_its_device_and_no_other() {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_device("shop", "till-2").await;
    let key = keys(&hub, "till-1").await.remove(0);
    keys(&hub, "till-2").await;
    let until = hub.core.clock.now().after(HOUR);
    let signature = sign(&key, "a text");
    show(&hub, "till-1", ("a text", &signature), until)
        .await
        .unwrap();
    for (device, text, signature) in [
        ("till-2", "a text", &signature[..]),
        ("till-3", "a text", &signature),
        ("till-1", "another", &signature),
        ("till-1", "a text", &signature[1..]),
        ("till-1", "a text", &sign(&key, "another")),
        ("till-1", "a text", &[]),
    ] {
        let refused = show(&hub, device, (text, signature), until).await;
        assert!(
            matches!(refused, Err(Refusal::Unauthenticated)),
            "{device}: {text}"
        );
    }
}

#[tokio::test]
async fn what_a_key_has_signed_is_worth_nothing_once_the_key_is_revoked() {
    let hub = Hub::with_device("shop", "till-1").await;
    let key = keys(&hub, "till-1").await.remove(0);
    let until = hub.core.clock.now().after(HOUR);
    let signature = sign(&key, "a text");
    let shown = ("a text", signature.as_slice());
    let found = show(&hub, "till-1", shown, until).await.unwrap();
    let session = hub.open(&found).await.unwrap();
    let pass = session.pass();
    let connection = tokio::spawn(async move { session.ended().await });
    let (identity, device) = (&hub.core.identity, id("till-1"));
    let revoked = identity.revoke_credential(&hub.admin, &device, &found.credential);
    revoked.await.unwrap();
    assert_eq!(connection.await.unwrap(), Ending::Revoked);
    pass.check().unwrap_err();
    let again = show(&hub, "till-1", shown, until).await;
    assert!(matches!(again, Err(Refusal::Unauthenticated)));
}
