//! Services that come as the devices which they see, by what their access keys have signed.

use std::time::Duration;

use outgate_core::Refusal;
use outgate_core::id::{CredentialId, ServiceId};
use outgate_core::identity::{Claim, Given, Identified, Scope};
use outgate_core::secret::Secret;
use outgate_core::sessions::Ending;
use ring::hmac;

use crate::hub::{Hub, id};

const TEXT: &[u8] = b"resource\nend";

/// A key of a policy.
struct Policy {
    service: ServiceId,
    credential: CredentialId,
    key: Secret,
}

/// A hub with `till` at `shop`, `saw` at `mill`, and a policy of that scope.
async fn with_policy(scope: Scope) -> (Hub, Policy) {
    let hub = Hub::new();
    for (site, device) in [("shop", "till"), ("mill", "saw")] {
        hub.add_site(site).await;
        let (identity, site) = (&hub.core.identity, id(site));
        let made = identity.create_device(&hub.admin, id(device), site, None);
        made.await.unwrap();
    }
    let (identity, service) = (&hub.core.identity, id("device"));
    let made = identity.create_service(&hub.admin, id("device"), scope);
    made.await.unwrap();
    let issued = identity.add_access_key(&hub.admin, &service).await.unwrap();
    let Given::Key(key) = issued.given else {
        panic!("a key was expected");
    };
    let credential = issued.credential.id;
    let policy = Policy {
        service,
        credential,
        key,
    };
    (hub, policy)
}

impl Policy {
    async fn comes_as(&self, hub: &Hub, device: &str) -> Result<Identified, Refusal> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose());
        let (device, signature) = (id(device), hmac::sign(&key, TEXT));
        let claim = Claim::Policy {
            service: &self.service,
            device: Some(&device),
            text: TEXT,
            signature: signature.as_ref(),
            until: hub.core.clock.now().after(Duration::from_secs(60)),
        };
        hub.core.identity.authenticate(claim).await
    }
}

#[tokio::test]
async fn a_policy_comes_as_each_device_that_it_sees_and_as_no_other() {
    let (hub, policy) = with_policy(Scope::Site(id("shop"))).await;
    let who = policy.comes_as(&hub, "till").await.unwrap();
    assert!(who.principal.is_device(&id("till")));
    assert_eq!(who.principal.scope(), Scope::Site(id("shop")));
    let session = hub.open(&who).await.unwrap();
    assert_eq!(session.device().unwrap().as_str(), "till");
    for other in ["saw", "nobody"] {
        let refused = policy.comes_as(&hub, other).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)), "{other}");
    }
    let (hub, policy) = with_policy(Scope::All).await;
    for device in ["till", "saw"] {
        hub.open(&policy.comes_as(&hub, device).await.unwrap())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn who_was_made_out_before_a_revocation_does_not_come_in_after_it() {
    for what in ["device", "site", "key", "service"] {
        let (hub, policy) = with_policy(Scope::All).await;
        let who = policy.comes_as(&hub, "till").await.unwrap();
        let other = policy.comes_as(&hub, "saw").await.unwrap();
        hub.open(&other).await.unwrap();
        let session = hub.open(&who).await.unwrap();
        let pass = session.pass();
        let closing = tokio::spawn(async move { session.ended().await });
        let (identity, admin) = (&hub.core.identity, &hub.admin);
        let (service, key) = (&policy.service, &policy.credential);
        let revoked = match what {
            "device" => identity.revoke_device(admin, &id("till")).await,
            "site" => identity.revoke_site(admin, &id("shop")).await,
            "key" => identity.revoke_access_key(admin, service, key).await,
            _ => identity.revoke_service(admin, service).await,
        };
        assert_eq!(revoked.unwrap().connections.ended, 1, "{what}");
        assert_eq!(closing.await.unwrap(), Ending::Revoked);
        assert!(matches!(pass.check(), Err(Refusal::Revoked)));
        let again = hub.open(&who).await.map(drop);
        assert!(matches!(again, Err(Refusal::Revoked)), "{what} {again:?}");
        let again = policy.comes_as(&hub, "till").await.map(drop);
        let is_out = matches!(again, Err(Refusal::Revoked | Refusal::Unauthenticated));
        assert!(is_out, "{what} {again:?}");
        let is_other_in = hub.open(&other).await.is_ok();
        assert_eq!(is_other_in, ["device", "site"].contains(&what), "{what}");
    }
}

#[tokio::test]
async fn a_part_is_out_while_its_whole_is() {
    let (hub, policy) = with_policy(Scope::All).await;
    let (identity, admin) = (&hub.core.identity, &hub.admin);
    let part = identity.create_device(admin, id("till~scanner"), id("shop"), None);
    part.await.unwrap();
    let who = policy.comes_as(&hub, "till~scanner").await.unwrap();
    identity.revoke_device(admin, &id("till")).await.unwrap();
    assert!(matches!(hub.open(&who).await, Err(Refusal::Revoked)));
}

#[tokio::test]
async fn what_a_device_has_left_is_done_for_it_though_it_came_by_a_policy() {
    let (hub, policy) = with_policy(Scope::All).await;
    let (core, till) = (&hub.core, id("till"));
    let pass = core.stand_in_as(&policy.credential, Some(&till), "test");
    assert_eq!(pass.await.unwrap().device().unwrap(), &till);
    // By the credential alone nobody knows for whom.
    let pass = core.stand_in(&policy.credential, "test").await.unwrap();
    assert!(matches!(pass.device(), Err(Refusal::Forbidden { .. })));
}
