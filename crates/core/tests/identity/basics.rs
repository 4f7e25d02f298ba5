//! Sites, devices, operators, services and their credentials, as the hub uses them.

use std::time::Duration;

use outgate_core::identity::{
    Actor, Claim, CredentialState, DeviceFilter, DeviceState, Given, Page, Principal, Role, Scope,
};
use outgate_core::secret::Secret;
use outgate_core::sessions::Ending;
use outgate_core::{Core, Refusal, Settings};

use crate::asked::a_webhook;
use crate::hub::{Hub, id, token_of};

#[tokio::test]
async fn an_empty_hub_gives_one_token_for_one_admin_and_only_once() {
    let hub = Hub::new();
    let first = hub.core.identity.first_operator().await.unwrap().unwrap();
    let written = std::fs::read_to_string(&first.file).unwrap();
    assert!(first.token.matches(written.trim_end().as_bytes()));
    let who = hub.token(&first.token).await.unwrap();
    let Principal::Operator { role, scope, .. } = who.principal else {
        panic!("an operator was expected");
    };
    assert_eq!((role, scope), (Role::Admin, Scope::All));
    assert!(hub.core.identity.first_operator().await.unwrap().is_none());
}

#[tokio::test]
async fn a_first_token_made_anew_brings_none_of_the_old_ones_back() {
    let hub = Hub::new();
    let leaked = hub.core.identity.first_operator().await.unwrap().unwrap();
    let identity = &hub.core.identity;
    let ann = id("ann");
    let made = identity.create_operator(&hub.admin, id("ann"), Role::Admin, Scope::All);
    let endless = made.await.unwrap().1.credential.id;
    let hour = Duration::from_secs(3600);
    let lasting = identity.add_operator_token(&hub.admin, &ann, "t".into(), Some(hour));
    lasting.await.unwrap();
    let revoked = identity.revoke_operator_token(&hub.admin, &ann, &endless);
    revoked.await.unwrap();
    let revoked = identity.revoke_operator(&hub.admin, &leaked.operator);
    revoked.await.unwrap();
    assert!(hub.token(&leaked.token).await.is_err());
    hub.core.clock.advance(hour);
    let hub = hub.restarted();
    let anew = hub.core.identity.first_operator().await.unwrap().unwrap();
    assert_eq!(anew.operator, leaked.operator);
    hub.token(&anew.token).await.unwrap();
    let refused = hub.token(&leaked.token).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
}

#[tokio::test]
async fn a_first_token_made_anew_makes_no_admin_of_who_had_less_by_that_name() {
    let hub = Hub::new();
    let identity = &hub.core.identity;
    let made = identity.create_operator(&hub.admin, id("admin"), Role::Viewer, Scope::All);
    let viewer = token_of(made.await.unwrap().1);
    let session = hub.open(&hub.token(&viewer).await.unwrap()).await.unwrap();
    let pass = session.pass();
    let connection = tokio::spawn(async move { session.ended().await });
    let first = identity.first_operator().await.unwrap().unwrap();
    hub.token(&first.token).await.unwrap();
    assert!(hub.token(&viewer).await.is_err());
    assert_eq!(connection.await.unwrap(), Ending::Revoked);
    pass.check().unwrap_err();
}

#[tokio::test]
async fn only_the_owner_may_read_the_first_token() {
    use std::os::unix::fs::PermissionsExt as _;
    let hub = Hub::new();
    let first = hub.core.identity.first_operator().await.unwrap().unwrap();
    let mode = std::fs::metadata(&first.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_device_comes_in_by_its_token_and_by_either_of_its_keys() {
    let hub = Hub::with_device("shop", "till-1").await;
    let device = id("till-1");
    let token = hub.device_token("till-1").await;
    let by_token = hub.token(&token).await.unwrap();
    hub.open(&by_token).await.unwrap();
    let keys = hub.core.identity.add_keys(&hub.admin, &device).await;
    for issued in keys.unwrap() {
        let Given::Key(key) = issued.given else {
            panic!("a key was expected");
        };
        let shown = Secret::new(key.to_base64().as_bytes().to_vec());
        let claim = Claim::Key {
            device: &device,
            key: &shown,
        };
        let found = hub.core.identity.authenticate(claim).await.unwrap();
        assert_eq!(found.credential, issued.credential.id);
        hub.open(&found).await.unwrap();
        let kept = hub.core.identity.keys(&device).await.unwrap();
        assert!(
            kept.iter()
                .any(|(id, kept)| *id == found.credential && kept.matches(key.expose()))
        );
    }
}

#[tokio::test]
async fn a_token_does_not_speak_for_another_device_nor_does_a_key() {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_device("shop", "till-2").await;
    let token = hub.device_token("till-1").await;
    let other = id("till-2");
    let claim = Claim::Token {
        token: &token,
        device: Some(&other),
    };
    let refused = hub.core.identity.authenticate(claim).await;
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    let [one, _] = hub
        .core
        .identity
        .add_keys(&hub.admin, &id("till-1"))
        .await
        .unwrap();
    let Given::Key(key) = one.given else {
        panic!("a key was expected");
    };
    for (device, shown) in [
        ("till-2", key.to_base64().as_bytes().to_vec()),
        ("till-1", key.expose().to_vec()),
        ("till-1", vec![b'A'; 100_000]),
    ] {
        let (device, shown) = (id(device), Secret::new(shown));
        let claim = Claim::Key {
            device: &device,
            key: &shown,
        };
        let refused = hub.core.identity.authenticate(claim).await;
        assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    }
}

#[tokio::test]
async fn a_token_ends_when_it_was_said_to_and_its_session_with_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    let lasts = Some(Duration::from_secs(3600));
    let issued = hub
        .core
        .identity
        .add_token(&hub.admin, &id("till-1"), "an hour".into(), lasts)
        .await
        .unwrap();
    let token = token_of(issued);
    let who = hub.token(&token).await.unwrap();
    let session = hub.open(&who).await.unwrap();
    let pass = session.pass();
    pass.check().unwrap();
    hub.core.clock.advance(Duration::from_secs(3600));
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    assert!(matches!(
        hub.token(&token).await,
        Err(Refusal::Unauthenticated)
    ));
    assert!(matches!(
        hub.open(&who).await,
        Err(Refusal::Unauthenticated)
    ));
}

#[tokio::test]
async fn an_operator_of_a_site_lists_no_other_site() {
    let (hub, actor) = two_sites().await;
    let identity = &hub.core.identity;
    let page = Page {
        after: None,
        limit: 10,
    };
    let all = DeviceFilter::default();
    let devices = identity.devices(&actor, &all, &page).await.unwrap().items;
    assert_eq!(devices.len(), 1);
    assert_eq!(identity.sites(&actor, &page).await.unwrap().items.len(), 1);
    let elsewhere = DeviceFilter {
        site: Some(id("bar")),
        ..DeviceFilter::default()
    };
    let devices = identity.devices(&actor, &elsewhere, &page).await.unwrap();
    assert!(devices.items.is_empty());
}

#[tokio::test]
async fn to_an_operator_of_a_site_nothing_elsewhere_is_there() {
    let (hub, actor) = two_sites().await;
    let identity = &hub.core.identity;
    let (tap, bar) = (id("tap-1"), id("bar"));
    let only_bar = Scope::Site(id("bar"));
    for refused in [
        identity.device(&actor, &tap).await.err(),
        identity.credentials(&actor, &tap).await.err(),
        identity.add_keys(&actor, &tap).await.err(),
        identity.revoke_device(&actor, &tap).await.err(),
        identity.restore_device(&actor, &tap).await.err(),
        identity
            .create_device(&actor, id("tap-2"), id("bar"), None)
            .await
            .err(),
        identity.site(&actor, &bar).await.err(),
        identity.revoke_site(&actor, &bar).await.err(),
        identity.authorities(&actor, &bar).await.err(),
        identity
            .create_operator(&actor, id("bob"), Role::Viewer, only_bar)
            .await
            .err(),
    ] {
        assert!(
            matches!(refused, Some(Refusal::NotFound { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn an_admin_of_a_site_does_not_give_more_than_they_have() {
    let (hub, actor) = two_sites().await;
    let identity = &hub.core.identity;
    for refused in [
        identity
            .create_site(&actor, id("new"), "New".into())
            .await
            .err(),
        identity.revoke_site(&actor, &id("shop")).await.err(),
        identity
            .create_operator(&actor, id("bob"), Role::Viewer, Scope::All)
            .await
            .err(),
        identity
            .create_service(&actor, id("erp"), Scope::All)
            .await
            .err(),
    ] {
        assert!(
            matches!(refused, Some(Refusal::Forbidden { .. })),
            "{refused:?}"
        );
    }
}

/// A hub with the sites `shop` and `bar`, and an admin of `shop`.
async fn two_sites() -> (Hub, Actor) {
    let hub = Hub::with_device("shop", "till-1").await;
    hub.add_site("bar").await;
    hub.add_device("bar", "tap-1").await;
    let actor = Actor {
        operator: Some(id("ann")),
        role: Role::Admin,
        scope: Scope::Site(id("shop")),
        ..hub.admin.clone()
    };
    (hub, actor)
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let hub = Hub::with_device("shop", "till-1").await;
    let identity = &hub.core.identity;
    let viewer = Actor {
        role: Role::Viewer,
        ..hub.admin.clone()
    };
    let till = id("till-1");
    let cred = id("cr-1");
    for refused in [
        identity.add_keys(&viewer, &till).await.map(|_| ()),
        identity
            .add_token(&viewer, &till, "t".into(), None)
            .await
            .map(|_| ()),
        identity
            .rotate(&viewer, &till, &cred, None, Duration::ZERO)
            .await
            .map(|_| ()),
        identity
            .revoke_credential(&viewer, &till, &cred)
            .await
            .map(|_| ()),
        identity.revoke_device(&viewer, &till).await.map(|_| ()),
        identity.approve_device(&viewer, &till).await.map(|_| ()),
        identity
            .set_policy(&viewer, &till, "p".into(), None)
            .await
            .map(|_| ()),
        identity
            .create_site(&viewer, id("s"), "S".into())
            .await
            .map(|_| ()),
    ] {
        assert!(
            matches!(refused, Err(Refusal::Forbidden { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        identity.device(&viewer, &till).await.unwrap().state,
        DeviceState::Active
    );
}

#[tokio::test]
async fn the_last_admin_cannot_shut_everybody_out() {
    let hub = Hub::new();
    let identity = &hub.core.identity;
    let first = identity.first_operator().await.unwrap().unwrap();
    let who = hub.token(&first.token).await.unwrap();
    let me = first.operator;
    for refused in [
        identity.revoke_operator(&hub.admin, &me).await,
        identity
            .revoke_operator_token(&hub.admin, &me, &who.credential)
            .await,
    ] {
        assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    }
    identity
        .create_operator(&hub.admin, id("bob"), Role::Admin, Scope::All)
        .await
        .unwrap();
    identity.revoke_operator(&hub.admin, &me).await.unwrap();
    assert!(matches!(
        hub.token(&first.token).await,
        Err(Refusal::Revoked)
    ));
}

#[tokio::test]
async fn who_writes_over_somebody_elses_change_is_told() {
    let hub = Hub::with_device("shop", "till-1").await;
    let identity = &hub.core.identity;
    let shop = id("shop");
    let renamed = identity
        .rename_site(&hub.admin, &shop, "Shop 2".into(), Some(1))
        .await
        .unwrap();
    assert_eq!((renamed.title.as_str(), renamed.version), ("Shop 2", 2));
    let late = identity
        .rename_site(&hub.admin, &shop, "Shop 3".into(), Some(1))
        .await;
    assert!(matches!(late, Err(Refusal::Conflict { .. })));
}

#[tokio::test]
async fn long_lists_come_in_parts_that_join_without_gap() {
    let hub = Hub::with_device("shop", "till-0").await;
    for n in 1..7 {
        hub.add_device("shop", &format!("till-{n}")).await;
    }
    let mut names = Vec::new();
    let mut page = Page {
        after: None,
        limit: 3,
    };
    loop {
        let part = hub
            .core
            .identity
            .devices(&hub.admin, &DeviceFilter::default(), &page)
            .await
            .unwrap();
        names.extend(part.items.into_iter().map(|device| device.id.to_string()));
        match part.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let all: Vec<_> = (0..7).map(|n| format!("till-{n}")).collect();
    assert_eq!(names, all);
}

#[tokio::test]
async fn a_rotated_token_is_promoted_by_its_first_use_and_the_old_one_retires() {
    let hub = Hub::with_device("shop", "till-1").await;
    let identity = &hub.core.identity;
    let till = id("till-1");
    let old_token = hub.device_token("till-1").await;
    let old = hub.token(&old_token).await.unwrap();
    let old_session = hub.open(&old).await.unwrap();
    let overlap = Duration::from_secs(600);
    let issued = identity
        .rotate(&hub.admin, &till, &old.credential, None, overlap)
        .await
        .unwrap();
    assert_eq!(issued.credential.state, CredentialState::Pending);
    let new_token = token_of(issued);
    // Nothing happens to the old one for as long as the new one has not been used.
    hub.core.clock.advance(overlap * 10);
    hub.open(&hub.token(&old_token).await.unwrap())
        .await
        .unwrap();
    let new = hub.token(&new_token).await.unwrap();
    hub.open(&new).await.unwrap();
    let states: Vec<_> = identity
        .credentials(&hub.admin, &till)
        .await
        .unwrap()
        .into_iter()
        .map(|credential| credential.state)
        .collect();
    assert_eq!(states, [CredentialState::Retiring, CredentialState::Active]);
    hub.open(&hub.token(&old_token).await.unwrap())
        .await
        .unwrap();
    old_session.pass().check().unwrap();
    hub.core.clock.advance(overlap);
    assert!(matches!(old_session.pass().check(), Err(Refusal::Revoked)));
    assert!(hub.token(&old_token).await.is_err());
    hub.open(&hub.token(&new_token).await.unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_kept_holds_after_a_restart() {
    let hub = Hub::with_device("shop", "till-1").await;
    let token = hub.device_token("till-1").await;
    hub.core
        .identity
        .add_keys(&hub.admin, &id("till-1"))
        .await
        .unwrap();
    let hub = hub.restarted();
    hub.open(&hub.token(&token).await.unwrap()).await.unwrap();
    let keys = hub.core.identity.keys(&id("till-1")).await.unwrap();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_device_was_seen_when_it_came_and_when_it_went() {
    let hub = Hub::with_device("shop", "till-1").await;
    let token = hub.device_token("till-1").await;
    let start = hub.core.clock.now();
    let session = hub.open(&hub.token(&token).await.unwrap()).await.unwrap();
    let seen = || async {
        let device = hub.core.identity.device(&hub.admin, &id("till-1")).await;
        device.unwrap().seen
    };
    assert_eq!(seen().await, Some(start));
    hub.core.clock.advance(Duration::from_secs(5));
    drop(session);
    let left = start.after(Duration::from_secs(5));
    assert_eq!(seen().await, Some(left));
    hub.core.identity.write_seen().await.unwrap();
    let hub = hub.restarted();
    let device = hub.core.identity.device(&hub.admin, &id("till-1")).await;
    assert_eq!(device.unwrap().seen, Some(left));
}

#[tokio::test]
async fn without_its_master_key_a_hub_with_webhooks_does_not_open() {
    let hub = Hub::new();
    let made = hub.core.webhooks.create(&hub.admin, a_webhook());
    made.await.unwrap();
    let Hub { core, folder, .. } = hub;
    drop(core);
    std::fs::remove_file(folder.path().join("master.key")).unwrap();
    let refused = Core::open(&Settings::new(folder.path())).unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("master.key is missing"), "{why}");
}
