//! Devices that get another certificate for the key that they have.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{CredentialState, Given, MAX_ENDED, Principal};
use rcgen::{CertificateParams, KeyPair};

use crate::certificates::{ders, pin, show};
use crate::hub::{Hub, id};

const DAY: Duration = Duration::from_secs(86_400);

/// A device's key.
struct Key(KeyPair);

impl Key {
    fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    fn request(&self) -> String {
        let params = CertificateParams::default();
        params.serialize_request(&self.0).unwrap().pem().unwrap()
    }

    /// The hub's certificate for it, for thirty days.
    async fn certificate(&self, hub: &Hub) -> Vec<Vec<u8>> {
        let (device, request, identity) = (id("till-1"), self.request(), &hub.core.identity);
        let made = identity.add_certificate(&hub.admin, &device, &request, 30 * DAY);
        chain_of(made.await.unwrap().given)
    }

    async fn renews(&self, hub: &Hub, chain: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Refusal> {
        let renewed = hub.core.identity.renew(chain, &self.request()).await?;
        Ok(chain_of(renewed.given))
    }
}

fn chain_of(given: Given) -> Vec<Vec<u8>> {
    let Given::Certificate(pem) = given else {
        panic!("a certificate was expected");
    };
    ders(&pem)
}

async fn comes_in(hub: &Hub, chain: &[Vec<u8>]) {
    let who = show(hub, chain, None).await.unwrap();
    let Principal::Device { device, .. } = &who.principal else {
        panic!("{who:?}");
    };
    assert_eq!(*device, id("till-1"));
    hub.open(&who).await.unwrap();
}

#[tokio::test]
async fn who_was_away_until_the_certificate_had_ended_comes_back_by_its_key() {
    let hub = Hub::with_device("shop", "till-1").await;
    let key = Key::new();
    let mut chain = key.certificate(&hub).await;
    comes_in(&hub, &chain).await;
    // Twice, since what is renewed is renewed again; the second time it was never shown.
    for away in [200 * DAY, 300 * DAY] {
        hub.core.clock.advance(away);
        let late = show(&hub, &chain, None).await;
        assert!(matches!(late, Err(Refusal::Unauthenticated)));
        chain = key.renews(&hub, &chain).await.unwrap();
    }
    comes_in(&hub, &chain).await;
    let till = id("till-1");
    let kept = hub.core.identity.credentials(&hub.admin, &till);
    let last = kept.await.unwrap().pop().unwrap();
    assert_eq!(last.state, CredentialState::Active);
    assert_eq!(last.expires.unwrap().since(last.created), 30 * DAY);
}

#[tokio::test]
async fn before_its_end_it_is_renewed_in_the_second_half_of_its_life_and_both_hold_for_a_day() {
    let hub = Hub::with_device("shop", "till-1").await;
    let key = Key::new();
    let old = key.certificate(&hub).await;
    hub.core.clock.advance(14 * DAY);
    let early = key.renews(&hub, &old).await;
    assert!(matches!(early, Err(Refusal::Conflict { .. })), "{early:?}");
    hub.core.clock.advance(2 * DAY);
    let new = key.renews(&hub, &old).await.unwrap();
    let again = key.renews(&hub, &old).await;
    assert!(matches!(again, Err(Refusal::Limited { .. })), "{again:?}");
    comes_in(&hub, &new).await;
    comes_in(&hub, &old).await;
    // One that has been replaced is renewed no more.
    let replaced = key.renews(&hub, &old).await;
    assert!(matches!(replaced, Err(Refusal::Unauthenticated)));
    hub.core.clock.advance(DAY);
    assert!(show(&hub, &old, None).await.is_err());
    comes_in(&hub, &new).await;
}

#[tokio::test]
async fn nothing_but_an_end_that_is_not_too_long_ago_is_overlooked() {
    let hub = Hub::with_device("shop", "till-1").await;
    let key = Key::new();
    let chain = key.certificate(&hub).await;
    hub.core.clock.advance(40 * DAY);
    let other = Key::new().renews(&hub, &chain).await;
    assert!(matches!(other, Err(Refusal::Invalid { .. })), "{other:?}");
    let pinned = Hub::with_device("shop", "till-1").await;
    pin(&pinned, "till-1", &chain).await.unwrap();
    pinned.core.clock.advance(40 * DAY);
    for elsewhere in [&pinned, &Hub::with_device("shop", "till-1").await] {
        let refused = key.renews(elsewhere, &chain).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    }
    assert!(key.renews(&hub, &[]).await.is_err());
    assert!(key.renews(&hub, &[b"none".to_vec()]).await.is_err());
    hub.core.clock.advance(MAX_ENDED);
    let late = key.renews(&hub, &chain).await;
    assert!(matches!(late, Err(Refusal::Unauthenticated)), "{late:?}");
}

#[tokio::test]
async fn who_is_revoked_renews_nothing() {
    let hub = Hub::with_device("shop", "till-1").await;
    let (identity, till, key) = (&hub.core.identity, id("till-1"), Key::new());
    let chain = key.certificate(&hub).await;
    let credential = show(&hub, &chain, None).await.unwrap().credential;
    hub.core.clock.advance(40 * DAY);
    identity.revoke_device(&hub.admin, &till).await.unwrap();
    let refused = key.renews(&hub, &chain).await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
    identity.restore_device(&hub.admin, &till).await.unwrap();
    let revoking = identity.revoke_credential(&hub.admin, &till, &credential);
    // A device that is restored has lost its credentials already.
    let _gone = revoking.await;
    let refused = key.renews(&hub, &chain).await;
    assert!(
        matches!(refused, Err(Refusal::Revoked | Refusal::Unauthenticated)),
        "{refused:?}"
    );
}
