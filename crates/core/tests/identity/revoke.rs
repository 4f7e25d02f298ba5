//! When a revocation returns, nothing more is acted on, and connections are closed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::task::JoinSet;

use outgate_core::events::{EventFilter, NewEvent};
use outgate_core::identity::{Identified, Role, Scope};
use outgate_core::secret::Secret;
use outgate_core::sessions::{Ending, Session};
use outgate_core::{Core, Refusal};

use crate::hub::{Hub, id, token_of};

/// What is revoked, in the tests that hold for all of it.
const KINDS: [&str; 3] = ["credential", "device", "site"];

#[tokio::test]
async fn a_live_session_ends_and_may_do_nothing_more() {
    for kind in KINDS {
        let hub = Hub::with_device("shop", "till-1").await;
        let token = hub.device_token("till-1").await;
        let who = hub.token(&token).await.unwrap();
        let session = hub.open(&who).await.unwrap();
        let pass = session.pass();
        let connection = tokio::spawn(async move { session.ended().await });
        let done = revoke(&hub.core, kind, &who).await;
        assert_eq!((done.ended, done.lingering), (1, 0), "{kind}");
        assert_eq!(connection.await.unwrap(), Ending::Revoked, "{kind}");
        assert!(matches!(pass.check(), Err(Refusal::Revoked)), "{kind}");
        assert!(matches!(hub.token(&token).await, Err(Refusal::Revoked)));
        let opened = hub.open(&who).await;
        assert!(matches!(opened, Err(Refusal::Revoked)), "{kind}");
        assert_eq!(hub.core.sessions.count(), 0, "{kind}");
    }
}

#[tokio::test]
async fn what_was_revoked_stays_so_after_a_restart() {
    for kind in KINDS {
        let hub = Hub::with_device("shop", "till-1").await;
        let token = hub.device_token("till-1").await;
        let who = hub.token(&token).await.unwrap();
        revoke(&hub.core, kind, &who).await;
        let hub = hub.restarted();
        let refused = hub.token(&token).await;
        assert!(matches!(refused, Err(Refusal::Revoked)), "{kind}");
    }
}

#[tokio::test]
async fn a_restored_device_or_site_comes_in_again_with_what_it_had() {
    let hub = Hub::with_device("shop", "till-1").await;
    let token = hub.device_token("till-1").await;
    let who = hub.token(&token).await.unwrap();
    revoke(&hub.core, "site", &who).await;
    revoke(&hub.core, "device", &who).await;
    let identity = &hub.core.identity;
    identity
        .restore_site(&hub.admin, &id("shop"))
        .await
        .unwrap();
    assert!(matches!(hub.token(&token).await, Err(Refusal::Revoked)));
    identity
        .restore_device(&hub.admin, &id("till-1"))
        .await
        .unwrap();
    hub.open(&hub.token(&token).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn one_credential_goes_and_the_other_stays() {
    let hub = Hub::with_device("shop", "till-1").await;
    let [one, two] = [
        hub.device_token("till-1").await,
        hub.device_token("till-1").await,
    ];
    let [one, two] = [
        hub.token(&one).await.unwrap(),
        hub.token(&two).await.unwrap(),
    ];
    let staying = hub.open(&two).await.unwrap();
    revoke(&hub.core, "credential", &one).await;
    staying.pass().check().unwrap();
    hub.open(&two).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_does_not_close_can_do_nothing_all_the_same() {
    let hub = Hub::with_device("shop", "till-1").await;
    let who = hub.token(&hub.device_token("till-1").await).await.unwrap();
    let session = hub.open(&who).await.unwrap();
    tokio::time::pause();
    let done = revoke(&hub.core, "device", &who).await;
    assert_eq!((done.ended, done.lingering), (1, 1));
    assert!(append(&hub.core, &session, 1).await.is_err());
}

#[tokio::test]
async fn what_a_closed_connection_left_under_way_is_not_acted_on_either() {
    let hub = Hub::with_device("shop", "till-1").await;
    let who = hub.token(&hub.device_token("till-1").await).await.unwrap();
    let session = hub.open(&who).await.unwrap();
    let pass = session.pass();
    drop(session);
    pass.check().unwrap();
    revoke(&hub.core, "device", &who).await;
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
}

#[tokio::test]
async fn an_operator_who_hangs_up_leaves_no_revocation_half_done() {
    let hub = Hub::with_device("shop", "till-1").await;
    let who = hub.token(&hub.device_token("till-1").await).await.unwrap();
    let session = hub.open(&who).await.unwrap();
    let device = id("till-1");
    {
        let revocation = hub.core.identity.revoke_device(&hub.admin, &device);
        let mut revocation = std::pin::pin!(revocation);
        // Asked once, and then never again.
        std::future::poll_fn(|context| {
            let _ = revocation.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert_eq!(session.ended().await, Ending::Revoked);
}

#[tokio::test]
async fn operators_and_services_are_revoked_like_devices() {
    let hub = Hub::with_device("shop", "till-1").await;
    let identity = &hub.core.identity;
    let made = identity.create_operator(&hub.admin, id("ann"), Role::Viewer, Scope::All);
    let ann = token_of(made.await.unwrap().1);
    let made = identity.create_service(&hub.admin, id("erp"), Scope::Site(id("shop")));
    let erp = token_of(made.await.unwrap().1);
    for token in [&ann, &erp] {
        let session = hub.open(&hub.token(token).await.unwrap()).await.unwrap();
        let connection = tokio::spawn(async move { session.ended().await });
        if std::ptr::eq(token, &raw const ann) {
            identity
                .revoke_operator(&hub.admin, &id("ann"))
                .await
                .unwrap();
        } else {
            identity
                .revoke_service(&hub.admin, &id("erp"))
                .await
                .unwrap();
        }
        assert_eq!(connection.await.unwrap(), Ending::Revoked);
        assert!(matches!(hub.token(token).await, Err(Refusal::Revoked)));
    }
}

#[tokio::test]
async fn a_policy_that_changes_has_the_device_come_back_under_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    let token = hub.device_token("till-1").await;
    let before = hub.token(&token).await.unwrap();
    let session = hub.open(&before).await.unwrap();
    let connection = tokio::spawn(async move { session.ended().await });
    hub.core
        .identity
        .set_policy(&hub.admin, &id("till-1"), "gateway".into(), None)
        .await
        .unwrap();
    assert_eq!(connection.await.unwrap(), Ending::Dismissed);
    assert!(
        hub.open(&before).await.is_err(),
        "made out under the old one"
    );
    hub.open(&hub.token(&token).await.unwrap()).await.unwrap();
}

/// Many connections of a device open sessions, append, and come again, while it is revoked.
/// Nothing is in the store afterwards that was not there when the revocation returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_newer_than_the_return_of_a_revocation_is_kept() {
    for round in 0..3 {
        for kind in KINDS {
            let hub = Hub::with_device("shop", "till-1").await;
            let token = hub.device_token("till-1").await;
            let who = hub.token(&token).await.unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let mut connections = JoinSet::new();
            for lane in 0..8 {
                let (core, token, stop) = (hub.core.clone(), token.clone(), Arc::clone(&stop));
                connections.spawn(async move { keep_coming(core, token, lane, stop).await });
            }
            while newest(&hub.core).await < 30 + round * 20 {
                tokio::task::yield_now().await;
            }
            revoke(&hub.core, kind, &who).await;
            let at_return = newest(&hub.core).await;
            // Time for what might still be under way: each goes on until it has been refused.
            stop.store(true, Ordering::SeqCst);
            while let Some(done) = connections.join_next().await {
                done.unwrap();
            }
            // Until then who was made out before and is refused at the door may be counted for a
            // moment.
            assert_eq!(hub.core.sessions.count(), 0, "{kind}");
            assert_eq!(newest(&hub.core).await, at_return, "{kind}, round {round}");
        }
    }
}

/// Appends through one session after another, several at once each, until refused at the door
/// after `stop`.
async fn keep_coming(core: Core, token: Secret, lane: u64, stop: Arc<AtomicBool>) {
    let peer = ([127, 0, 0, 1], 1).into();
    loop {
        let claim = outgate_core::identity::Claim::Token {
            token: &token,
            device: None,
        };
        let opened = match core.identity.authenticate(claim).await {
            Ok(who) => core.open_session(&who, "test", peer).await,
            Err(refusal) => Err(refusal),
        };
        let Ok(session) = opened else {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        };
        let session = Arc::new(session);
        let mut under_way = JoinSet::new();
        for n in 0..8 {
            let (core, session) = (core.clone(), Arc::clone(&session));
            under_way.spawn(async move { append(&core, &session, lane * 8 + n).await.is_ok() });
        }
        while under_way.join_next().await.is_some() {}
    }
}

async fn append(core: &Core, session: &Session, n: u64) -> Result<u64, Refusal> {
    let event = NewEvent {
        name: "reading".to_owned(),
        content_type: String::new(),
        properties: BTreeMap::new(),
        payload: Bytes::from(n.to_string()),
    };
    core.events.append(session, event).await
}

/// The place of the newest event in the store.
async fn newest(core: &Core) -> u64 {
    let all = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let (mut after, mut newest) = (0, 0);
    loop {
        let taken = core.events.after(&all, after, 1_000).await.unwrap();
        match taken.events.last() {
            Some(event) => newest = event.seq,
            None => return newest,
        }
        after = taken.next;
    }
}

async fn revoke(core: &Core, kind: &str, who: &Identified) -> outgate_core::sessions::Ended {
    let admin = outgate_core::identity::Actor::hub();
    let (identity, device, site) = (&core.identity, id("till-1"), id("shop"));
    let done = match kind {
        "credential" => {
            identity
                .revoke_credential(&admin, &device, &who.credential)
                .await
        }
        "device" => identity.revoke_device(&admin, &device).await,
        _ => identity.revoke_site(&admin, &site).await,
    };
    done.unwrap().connections
}

#[tokio::test]
async fn the_parts_of_a_device_go_with_it_and_come_again_with_it() {
    let hub = Hub::with_device("shop", "till-1").await;
    let mut tokens = Vec::new();
    for device in ["till-1~scanner", "till-10~scanner", "till-1-scanner"] {
        hub.add_device("shop", device).await;
        tokens.push(hub.device_token(device).await);
    }
    let mut sessions = Vec::new();
    for token in &tokens {
        let session = hub.open(&hub.token(token).await.unwrap()).await.unwrap();
        let pass = session.pass();
        tokio::spawn(async move { session.ended().await });
        sessions.push(pass);
    }
    let (identity, till) = (&hub.core.identity, id("till-1"));
    let done = identity.revoke_device(&hub.admin, &till).await.unwrap();
    assert_eq!(done.connections.ended, 1);
    assert!(matches!(sessions[0].check(), Err(Refusal::Revoked)));
    assert!(matches!(hub.token(&tokens[0]).await, Err(Refusal::Revoked)));
    for other in [1, 2] {
        sessions[other].check().unwrap();
        hub.token(&tokens[other]).await.unwrap();
    }
    identity.restore_device(&hub.admin, &till).await.unwrap();
    hub.token(&tokens[0]).await.unwrap();
}
