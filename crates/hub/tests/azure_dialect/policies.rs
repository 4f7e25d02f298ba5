//! Tokens of shared access policies, by which anybody comes as any device.

use outgate_core::identity::{Actor, Scope};
use outgate_core::secret::Secret;

use crate::{Bench, HUB, body, key, token};

const POLICIES: &str = "
[azure.policies]
device = ['device-connect']
service = ['service-connect', 'registry-write']
";

/// An access key of a new policy.
async fn policy(bench: &Bench, name: &str, scope: Scope) -> Secret {
    let (actor, identity) = (Actor::hub(), &bench.running.core().identity);
    let service = identity.create_service(&actor, name.parse().unwrap(), scope);
    let id = service.await.unwrap().0.id;
    key(identity.add_access_key(&actor, &id).await.unwrap())
}

/// The status of saying something as a device.
async fn says(bench: &Bench, device: &str, token: &str) -> u16 {
    let path = format!("/devices/{device}/messages/events");
    bench.post(&path, token, "hello").await.status().as_u16()
}

#[tokio::test]
async fn a_policy_with_the_right_says_something_as_any_device() {
    let bench = Bench::configured(POLICIES).await;
    let signs = policy(&bench, "device", Scope::All).await;
    for device in ["till-1", "till-2"] {
        bench.device(device).await;
        for resource in [HUB.to_owned(), format!("{HUB}/devices/{device}")] {
            let token = token(&resource, 60, &signs, Some("device"));
            assert_eq!(says(&bench, device, &token).await, 204);
        }
        assert_eq!(bench.events(device).await.len(), 2);
    }
}

#[tokio::test]
async fn no_right_no_such_policy_another_key_and_a_token_that_is_over_are_told_the_same() {
    let bench = Bench::configured(POLICIES).await;
    let own = bench.device("till-1").await;
    let device = policy(&bench, "device", Scope::All).await;
    let service = policy(&bench, "service", Scope::All).await;
    let unlisted = policy(&bench, "unlisted", Scope::All).await;
    let resource = format!("{HUB}/devices/till-1");
    for (why, resource, lasts, signs, policy) in [
        ("no right", &resource, 60, &service, "service"),
        ("not configured", &resource, 60, &unlisted, "unlisted"),
        ("nobody", &resource, 60, &device, "nobody"),
        ("no name", &resource, 60, &device, "a b"),
        ("another's key", &resource, 60, &service, "device"),
        ("the device's key", &resource, 60, &own, "device"),
        ("over", &resource, -1, &device, "device"),
        (
            "another device",
            &format!("{HUB}/devices/till-2"),
            60,
            &device,
            "device",
        ),
        (
            "another hub",
            &"other.example".to_owned(),
            60,
            &device,
            "device",
        ),
    ] {
        let token = token(resource, lasts, signs, Some(policy));
        assert_eq!(says(&bench, "till-1", &token).await, 401, "{why}");
    }
    let token = token(HUB, 60, &device, Some("device"));
    assert_eq!(says(&bench, "till-9", &token).await, 401);
    assert!(bench.events("till-1").await.is_empty());
}

#[tokio::test]
async fn a_policy_for_devices_reaches_nothing_of_back_ends_and_only_its_own_site() {
    let bench = Bench::configured(POLICIES).await;
    let (actor, identity) = (Actor::hub(), &bench.running.core().identity);
    let mill = identity.create_site(&actor, "mill".parse().unwrap(), "Mill".to_owned());
    let mill = mill.await.unwrap().id;
    bench.device("till-1").await;
    let made = identity.create_device(&actor, "saw".parse().unwrap(), mill.clone(), None);
    made.await.unwrap();
    let signs = policy(&bench, "device", Scope::Site(mill)).await;
    let token = token(HUB, 60, &signs, Some("device"));
    assert_eq!(says(&bench, "saw", &token).await, 204);
    assert_eq!(says(&bench, "till-1", &token).await, 401);
    for path in ["/devices/saw", "/twins/saw", "/statistics/devices"] {
        let refused = bench.ask(reqwest::Method::GET, path, &token, "").await;
        assert_eq!(refused.status(), 403, "{path}");
        assert!(body(refused).await["Message"].is_string());
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_signs_nothing_any_more() {
    let bench = Bench::configured(POLICIES).await;
    bench.device("till-1").await;
    let signs = policy(&bench, "device", Scope::All).await;
    let token = token(HUB, 60, &signs, Some("device"));
    assert_eq!(says(&bench, "till-1", &token).await, 204);
    let (actor, identity) = (Actor::hub(), &bench.running.core().identity);
    let service = "device".parse().unwrap();
    let keys = identity.access_keys(&actor, &service).await.unwrap();
    let revoked = identity.revoke_access_key(&actor, &service, &keys[0].id);
    revoked.await.unwrap();
    assert_eq!(says(&bench, "till-1", &token).await, 401);
}
