//! Devices that are taken up by a certificate of an authority of a site.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::identity::{Certified, Principal};

use crate::certificates::{Customer, pin, show, with_another_site};
use crate::hub::{Hub, id};

async fn taken_up(hub: &Hub, device: &str, chain: &[Vec<u8>]) -> Result<(), Refusal> {
    let certified = Certified {
        device: id(device),
        chain: chain.to_vec(),
        site: id("shop"),
        peer: [127, 0, 0, 1].into(),
    };
    hub.core.identity.register_certified(certified).await
}

async fn is_unknown(hub: &Hub, device: &str) -> bool {
    let found = hub.core.identity.device(&hub.admin, &id(device)).await;
    matches!(found, Err(Refusal::NotFound { .. }))
}

#[tokio::test]
async fn a_device_of_an_authority_is_taken_up_once_and_comes_in() {
    let hub = with_another_site().await;
    let (customer, _) = Customer::registered(&hub).await;
    let chain = customer.leaf(&hub, "till-9", true);
    let before = show(&hub, &chain, Some("till-9")).await;
    assert!(matches!(before, Err(Refusal::Unauthenticated)));
    taken_up(&hub, "till-9", &chain).await.unwrap();
    let who = show(&hub, &chain, Some("till-9")).await.unwrap();
    hub.open(&who).await.unwrap();
    let Principal::Device { site, .. } = &who.principal else {
        panic!("a device was expected");
    };
    assert_eq!(*site, id("shop"));
    let again = taken_up(&hub, "till-9", &chain).await;
    assert!(matches!(again, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn what_no_authority_of_the_site_vouches_for_makes_no_device() {
    let hub = with_another_site().await;
    let (customer, _) = Customer::registered(&hub).await;
    let stranger = Customer::new(&hub);
    let pinned = customer.leaf(&hub, "till-9", true);
    pin(&hub, "imp", &pinned).await.unwrap();
    for (why, chain) in [
        ("another authority", stranger.leaf(&hub, "till-9", true)),
        ("another name", customer.leaf(&hub, "till-8", true)),
        ("a server's", customer.leaf(&hub, "till-9", false)),
        ("another site's device has it", pinned),
        ("none", Vec::new()),
        ("nonsense", vec![vec![7; 100]]),
        (
            "too long",
            vec![customer.leaf(&hub, "till-9", true)[0].clone(); 9],
        ),
    ] {
        let refused = taken_up(&hub, "till-9", &chain).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{why}");
    }
    let late = customer.leaf(&hub, "till-9", true);
    hub.core.clock.advance(Duration::from_hours(91 * 24));
    let refused = taken_up(&hub, "till-9", &late).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    assert!(is_unknown(&hub, "till-9").await);
}

#[tokio::test]
async fn who_is_known_revoked_or_called_nearly_so_is_not_taken_up() {
    let hub = with_another_site().await;
    let (customer, _) = Customer::registered(&hub).await;
    let (identity, admin) = (&hub.core.identity, &hub.admin);
    for device in ["till-1", "imp", "TILL-1"] {
        let chain = customer.leaf(&hub, device, true);
        let refused = taken_up(&hub, device, &chain).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{device}");
    }
    identity.revoke_device(admin, &id("till-1")).await.unwrap();
    let refused = taken_up(&hub, "till-1", &customer.leaf(&hub, "till-1", true)).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    assert!(is_unknown(&hub, "TILL-1").await);
}

#[tokio::test]
async fn nobody_is_taken_up_at_a_revoked_site_or_by_a_revoked_authority() {
    for by_site in [true, false] {
        let hub = with_another_site().await;
        let (customer, authority) = Customer::registered(&hub).await;
        let (identity, admin, shop) = (&hub.core.identity, &hub.admin, id("shop"));
        if by_site {
            identity.revoke_site(admin, &shop).await.unwrap();
        } else {
            let revoked = identity.revoke_authority(admin, &shop, &authority.id);
            revoked.await.unwrap();
        }
        let chain = customer.leaf(&hub, "till-9", true);
        let refused = taken_up(&hub, "till-9", &chain).await;
        let is_out = matches!(refused, Err(Refusal::Revoked | Refusal::Unauthenticated));
        assert!(is_out, "{refused:?}");
        assert!(is_unknown(&hub, "till-9").await);
    }
}

#[tokio::test]
async fn so_many_ask_at_once_from_one_place_and_then_so_many_a_second() {
    let hub = with_another_site().await;
    for _ in 0..100 {
        let refused = taken_up(&hub, "till-9", &[]).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    }
    let refused = taken_up(&hub, "till-9", &[]).await;
    assert!(matches!(refused, Err(Refusal::Limited { .. })));
    hub.core.clock.advance(Duration::from_millis(100));
    let refused = taken_up(&hub, "till-9", &[]).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
}
