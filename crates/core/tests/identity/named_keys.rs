//! Devices that name the key that has signed, and keys that do not last.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::id::CredentialId;
use outgate_core::identity::{Given, Identified, PASSING_KEY_LASTS, PassingKey};
use outgate_core::sessions::{Ending, Session};

use crate::hub::{Hub, id};

/// A new key of a device, and its text.
async fn key(hub: &Hub, device: &str) -> (CredentialId, String) {
    let added = hub.core.identity.add_keys(&hub.admin, &id(device)).await;
    let [first, _] = added.unwrap();
    let Given::Key(key) = first.given else {
        panic!("a key was expected");
    };
    (first.credential.id, key.to_base64().as_str().to_owned())
}

/// Shows that the key of that name has signed, if its text is this.
async fn named(hub: &Hub, key: &CredentialId, text: &str) -> Result<Identified, Refusal> {
    let text = text.to_owned();
    let proves = move |secret: &[u8]| secret == text.as_bytes();
    hub.core.identity.by_named_key(key, proves).await
}

/// The same by a key that does not last, and its token.
async fn passing(
    hub: &Hub,
    (name, token): (&str, &[u8]),
    text: &str,
) -> Result<Identified, Refusal> {
    let text = text.to_owned();
    let token = std::str::from_utf8(token).unwrap();
    let proves = move |secret: &[u8]| secret == text.as_bytes();
    hub.core.identity.by_passing_key(name, token, proves).await
}

/// The text of a key that does not last.
fn text_of(key: &PassingKey) -> String {
    key.key.to_base64().as_str().to_owned()
}

/// A session that a device has opened by a token.
async fn session(hub: &Hub, device: &str) -> Session {
    let token = hub.device_token(device).await;
    let found = hub.token(&token).await.unwrap();
    hub.open(&found).await.unwrap()
}

#[tokio::test]
async fn a_key_that_is_named_lets_in_its_own_device_until_it_is_revoked() {
    let hub = Hub::with_device("shop", "till-1").await;
    let (name, text) = key(&hub, "till-1").await;
    let found = named(&hub, &name, &text).await.unwrap();
    assert_eq!(found.principal.device(), Some(&id("till-1")));
    assert_eq!(found.credential, name);
    let wrong = named(&hub, &name, "another").await;
    assert!(matches!(wrong, Err(Refusal::Unauthenticated)));
    let token = hub.device_token("till-1").await;
    let token = hub.token(&token).await.unwrap().credential;
    for none in [token, id("cr-none")] {
        let none = named(&hub, &none, &text).await;
        assert!(matches!(none, Err(Refusal::Unauthenticated)));
    }
    let session = hub.open(&found).await.unwrap();
    // Who ends a session waits until its connection is closed.
    let ended = tokio::spawn(async move { session.ended().await });
    let identity = &hub.core.identity;
    let device = id("till-1");
    let revoked = identity.revoke_credential(&hub.admin, &device, &name);
    assert_eq!(revoked.await.unwrap().connections.ended, 1);
    assert_eq!(ended.await.unwrap(), Ending::Revoked);
    // Its secret is gone with it, so there is nobody to whom more could be said.
    let after = named(&hub, &name, &text).await;
    assert!(matches!(after, Err(Refusal::Unauthenticated)));
    let wrong = named(&hub, &name, "another").await;
    assert!(matches!(wrong, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_key_that_does_not_last_is_good_for_an_hour_and_after_a_restart() {
    let hub = Hub::with_device("shop", "till-1").await;
    let session = session(&hub, "till-1").await;
    let key = hub.core.identity.passing_key(&session).unwrap();
    let credential = session.presence().credential.clone();
    drop(session);
    let hub = hub.restarted();
    let (text, shown) = (text_of(&key), (key.id.as_str(), key.token.expose()));
    let found = passing(&hub, shown, &text).await.unwrap();
    assert_eq!(found.principal.device(), Some(&id("till-1")));
    assert_eq!(
        (found.credential, found.expires),
        (credential, Some(key.expires))
    );
    hub.core
        .clock
        .advance(PASSING_KEY_LASTS - Duration::from_secs(2));
    passing(&hub, shown, &text).await.unwrap();
    hub.core.clock.advance(Duration::from_secs(2));
    let over = passing(&hub, shown, &text).await;
    assert!(matches!(over, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_key_that_does_not_last_holds_with_its_token_and_what_it_was_got_by_alone() {
    let hub = Hub::with_device("shop", "till-1").await;
    let session = session(&hub, "till-1").await;
    let key = hub.core.identity.passing_key(&session).unwrap();
    let other = hub.core.identity.passing_key(&session).unwrap();
    let (text, token) = (text_of(&key), key.token.expose());
    let mut changed = token.to_vec();
    for wrong in [
        (other.id.as_str(), token),
        (key.id.as_str(), other.token.expose()),
        (key.id.as_str(), b"".as_slice()),
        (key.id.as_str(), b"AAAA".as_slice()),
    ] {
        let found = passing(&hub, wrong, &text).await;
        assert!(matches!(found, Err(Refusal::Unauthenticated)));
    }
    for at in 0..token.len() {
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let found = passing(&hub, (key.id.as_str(), &changed), &text).await;
        assert!(found.is_err());
        changed[at] = token[at];
    }
    let credential = session.presence().credential.clone();
    drop(session);
    let identity = &hub.core.identity;
    let device = id("till-1");
    let revoked = identity.revoke_credential(&hub.admin, &device, &credential);
    revoked.await.unwrap();
    let after = passing(&hub, (key.id.as_str(), token), &text).await;
    assert!(matches!(after, Err(Refusal::Revoked)));
}
