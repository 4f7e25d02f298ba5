//! Remote support: who may ask, join, send and end, and what ends it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use outgate_core::calls::Answer;
use outgate_core::id::SupportId;
use outgate_core::identity::{Actor, Given, Identified, Role, Scope};
use outgate_core::sessions::{Pass, Session, Signal};
use outgate_core::support::{
    Chunk, Flow, Joined, MAX_CHUNK, MAX_LIVE_OF_DEVICE, MAX_WAITING, NewSupport, State,
    SupportSession, What,
};
use outgate_core::{Refusal, identity};
use serde_json::Value;

use crate::hub::{Hub, actor, admin, id, page, till};

/// A hub, its device's connection, and an operator with a token.
struct Desk {
    hub: Hub,
    device: Session,
    who: Identified,
    anna: Session,
}

impl Desk {
    async fn new() -> Self {
        let hub = Hub::new().await;
        let device = hub.session("till-1").await;
        let identity = &hub.core.identity;
        let made = identity
            .create_operator(admin(), id("anna"), Role::Operator, Scope::All)
            .await;
        let Given::Token(token) = made.unwrap().1.given else {
            panic!("a token was expected");
        };
        let claim = identity::Claim::Token {
            token: &token,
            device: None,
        };
        let who = identity.authenticate(claim).await.unwrap();
        let peer = ([127, 0, 0, 1], 2).into();
        let anna = hub.core.open_session(&who, "api", peer).await.unwrap();
        Self {
            hub,
            device,
            who,
            anna,
        }
    }

    fn actor(&self) -> Actor {
        Actor::of(&self.anna).unwrap()
    }

    async fn pass(&self) -> Pass {
        let core = &self.hub.core;
        core.stand_in(&self.who.credential, "support")
            .await
            .unwrap()
    }

    /// Asks for a session, and gives it with its key.
    async fn ask(&self) -> (SupportSession, Vec<u8>) {
        let (actor, pass) = (self.actor(), self.pass().await);
        let core = &self.hub.core;
        let (asked, key) = tokio::join!(core.support.ask(&actor, pass, till(), new()), async {
            let (id, asked) = self.asked().await;
            core.calls.answer(&self.device, &id, said(202, "")).unwrap();
            asked
        });
        let asked = asked.unwrap();
        assert_eq!(key["session"], asked.id.as_str());
        let key = outgate_core::secret::Secret::from_base64(key["key"].as_str().unwrap());
        (asked, key.unwrap().expose().to_vec())
    }

    /// The question, as the device is told.
    async fn asked(&self) -> (outgate_core::id::CallId, Value) {
        loop {
            if let Signal::Call(call) = self.device.signal().await {
                assert_eq!(call.method, "outgate.support");
                return (call.id, serde_json::from_slice(&call.payload).unwrap());
            }
        }
    }

    /// A session that is open.
    async fn open(&self) -> SupportId {
        let (session, key) = self.ask().await;
        let support = &self.hub.core.support;
        let joined = support.join(&self.device, &session.id, &key, joined());
        drop(joined.await.unwrap());
        session.id
    }

    async fn state(&self, id: &SupportId) -> SupportSession {
        self.hub.core.support.get(admin(), id).await.unwrap()
    }

    /// The session once it is over.
    async fn over(&self, id: &SupportId) -> SupportSession {
        let support = &self.hub.core.support;
        loop {
            let found = support.changed(admin(), id, State::Open).await.unwrap();
            if found.state != State::Open {
                return found;
            }
        }
    }

    fn recording(&self, id: &SupportId) -> PathBuf {
        self.hub.folder().join(format!("support/{id}.jsonl"))
    }
}

fn new() -> NewSupport {
    NewSupport {
        reason: "the till is slow".to_owned(),
        what: What::Service("pos".to_owned()),
        lasts: Duration::from_secs(600),
    }
}

fn joined() -> Joined {
    Joined {
        port: 443,
        tried: vec!["tcp 5938: connection refused".to_owned()],
        by: "cashier".to_owned(),
    }
}

fn said(status: u16, text: &str) -> Answer {
    Answer {
        status: status.into(),
        content_type: "text/plain".to_owned(),
        payload: text.to_owned().into(),
    }
}

fn chunk(at: u64, bytes: &[u8], last: bool) -> Chunk {
    Chunk {
        at,
        bytes: bytes.to_vec(),
        last,
    }
}

fn is_over(flow: &Flow) -> bool {
    matches!(flow, Flow::Over { .. })
}

#[tokio::test]
async fn bytes_go_both_ways_and_are_recorded_before_they_are_taken() {
    let desk = Desk::new().await;
    let (support, actor) = (&desk.hub.core.support, desk.actor());
    let id = desk.open().await;
    let found = desk.state(&id).await;
    assert_eq!((found.state, found.joined), (State::Open, Some(joined())));
    let sent = support.operator_sends(&actor, &id, chunk(0, b"ping", false));
    assert_eq!(sent.await.unwrap(), Flow::On);
    let recorded = fs::read_to_string(desk.recording(&id)).unwrap();
    assert!(recorded.contains("\"i\",\"cGluZw==\""), "{recorded}");
    let taken = support.device_takes(&desk.device, &id, 0).await.unwrap();
    assert_eq!((&*taken.bytes, taken.last), (&b"ping"[..], false));
    let sent = support.device_sends(&desk.device, &id, chunk(0, b"pong", true));
    assert_eq!(sent.await.unwrap(), Flow::On);
    let taken = support.operator_takes(&actor, &id, 0).await.unwrap();
    assert_eq!((&*taken.bytes, taken.last), (&b"pong"[..], true));
    let ended = support.end(&actor, &id, "done").await.unwrap();
    assert_eq!(
        (ended.state, ended.by.as_deref()),
        (State::Ended, Some("anna"))
    );
    let whole = fs::read(desk.recording(&id)).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &whole);
    let digest: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(ended.recorded.unwrap().digest, digest);
    let mut acts: Vec<_> = desk
        .hub
        .audited()
        .await
        .into_iter()
        .map(|(who, act, _)| (who, act))
        .collect();
    acts.truncate(3);
    acts.reverse();
    let acts: Vec<_> = acts
        .iter()
        .map(|(who, act)| (who.as_str(), act.as_str()))
        .collect();
    let wanted = [
        ("anna", "support.ask"),
        ("device/till-1", "support.open"),
        ("anna", "support.end"),
    ];
    assert_eq!(acts, wanted);
}

#[tokio::test]
async fn only_an_operator_who_sees_the_device_may_ask_and_only_who_asked_may_use_it() {
    let desk = Desk::new().await;
    let support = &desk.hub.core.support;
    let ask = async |who: &Actor| support.ask(who, desk.pass().await, till(), new()).await;
    let viewer = ask(&actor(Role::Viewer, Scope::All)).await;
    assert!(
        matches!(viewer, Err(Refusal::Forbidden { .. })),
        "{viewer:?}"
    );
    let mill = ask(&actor(Role::Admin, Scope::Site(id("mill")))).await;
    assert!(matches!(mill, Err(Refusal::NotFound { .. })), "{mill:?}");
    assert!(matches!(ask(admin()).await, Err(Refusal::Forbidden { .. })));
    assert_eq!(support.count(), 0);
    let session = desk.open().await;
    let of_mill = actor(Role::Operator, Scope::Site(id("mill")));
    for other in [&desk.hub.operator, &of_mill] {
        let taken = support.operator_takes(other, &session, 0).await;
        assert!(matches!(taken, Err(Refusal::NotFound { .. })), "{taken:?}");
        let sent = support.operator_sends(other, &session, chunk(0, b"x", false));
        assert!(matches!(sent.await, Err(Refusal::NotFound { .. })));
    }
    let ended = support.end(&of_mill, &session, "why").await;
    assert!(matches!(ended, Err(Refusal::NotFound { .. })));
    let viewer = actor(Role::Viewer, Scope::All);
    let ended = support.end(&viewer, &session, "why").await;
    assert!(matches!(ended, Err(Refusal::Forbidden { .. })));
    let read = support.recording(&viewer, &session).await;
    assert!(matches!(read, Err(Refusal::Forbidden { .. })));
    support.recording(&desk.actor(), &session).await.unwrap();
    assert_eq!(desk.state(&session).await.state, State::Open);
}

#[tokio::test]
async fn a_device_joins_its_own_session_once_by_its_key_and_over_one_connection() {
    let desk = Desk::new().await;
    let support = &desk.hub.core.support;
    let (session, key) = desk.ask().await;
    let other = desk.hub.session("clock-1").await;
    let refused = async |who: &Session, key: &[u8]| {
        let refused = support
            .join(who, &session.id, key, joined())
            .await
            .map(drop);
        assert!(
            matches!(refused, Err(Refusal::NotFound { .. })),
            "{refused:?}"
        );
    };
    refused(&other, &key).await;
    refused(&desk.device, b"another").await;
    let joining = support.join(&desk.device, &session.id, &key, joined());
    drop(joining.await.unwrap());
    refused(&desk.device, &key).await;
    let second = desk.hub.session("till-1").await;
    for who in [&other, &second] {
        let taken = support.device_takes(who, &session.id, 0).await;
        assert!(matches!(taken, Err(Refusal::NotFound { .. })), "{taken:?}");
        let sent = support.device_sends(who, &session.id, chunk(0, b"x", false));
        assert!(matches!(sent.await, Err(Refusal::NotFound { .. })));
        let ended = support.device_ends(who, &session.id, ("x", "why")).await;
        assert!(matches!(ended, Err(Refusal::NotFound { .. })));
    }
    assert_eq!(desk.state(&session.id).await.state, State::Open);
}

#[tokio::test]
async fn nothing_goes_before_the_device_has_come() {
    let desk = Desk::new().await;
    let (session, _) = desk.ask().await;
    let actor = desk.actor();
    let sent = desk
        .hub
        .core
        .support
        .operator_sends(&actor, &session.id, chunk(0, b"x", false));
    assert!(matches!(sent.await, Err(Refusal::Conflict { .. })));
    assert!(!desk.recording(&session.id).exists());
}

#[tokio::test]
async fn when_nothing_can_be_recorded_nothing_is_opened() {
    let desk = Desk::new().await;
    let (session, key) = desk.ask().await;
    fs::remove_dir(desk.hub.folder().join("support")).unwrap();
    let support = &desk.hub.core.support;
    let joined = support
        .join(&desk.device, &session.id, &key, joined())
        .await;
    assert!(joined.is_err(), "it is open");
    let found = desk.state(&session.id).await;
    assert_eq!(found.state, State::Ended);
    assert!(found.why.unwrap().starts_with("nothing can be recorded"));
    let actor = desk.actor();
    let sent = support.operator_sends(&actor, &session.id, chunk(0, b"x", false));
    assert!(is_over(&sent.await.unwrap()));
}

#[tokio::test]
async fn a_session_that_the_device_refuses_is_never_open() {
    let desk = Desk::new().await;
    let support = &desk.hub.core.support;
    let (session, key) = desk.ask().await;
    let of = (&session.id, &key[..]);
    let wrong = support
        .refuse(&desk.device, (of.0, b"x"), ("cashier", "no"))
        .await;
    assert!(matches!(wrong, Err(Refusal::NotFound { .. })));
    support
        .refuse(&desk.device, of, ("cashier", "no"))
        .await
        .unwrap();
    let found = desk.state(&session.id).await;
    assert_eq!(
        (found.state, found.why.as_deref()),
        (State::Refused, Some("no"))
    );
    let joined = support
        .join(&desk.device, &session.id, &key, joined())
        .await;
    assert!(matches!(joined, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn a_revoked_device_has_its_session_ended_and_sends_nothing_more() {
    let desk = Desk::new().await;
    let id = desk.open().await;
    let core = &desk.hub.core;
    let Desk {
        device, hub, anna, ..
    } = &desk;
    let actor = Actor::of(anna).unwrap();
    let taking = core.support.operator_takes(&actor, &id, 0);
    let (taken, ()) = tokio::join!(taking, async {
        let revoking = hub.core.identity.revoke_device(admin(), till());
        tokio::select! {
            // Its connection does not close by itself here.
            _ = revoking => {}
            _ = device.ended() => {}
        }
        let sent = core
            .support
            .device_sends(device, &id, chunk(0, b"late", false))
            .await;
        assert!(matches!(sent, Err(Refusal::Revoked)), "{sent:?}");
    });
    let taken = taken.unwrap();
    assert!(is_over(&taken.flow) && taken.bytes.is_empty(), "{taken:?}");
    assert_eq!(desk.over(&id).await.state, State::Ended);
}

#[tokio::test]
async fn a_revoked_operator_has_their_sessions_ended() {
    let desk = Desk::new().await;
    let (open, (asked, key)) = (desk.open().await, desk.ask().await);
    let core = &desk.hub.core;
    let taking = core.support.device_takes(&desk.device, &open, 0);
    let (taken, ()) = tokio::join!(taking, async {
        let anna = id("anna");
        let revoking = core.identity.revoke_operator(admin(), &anna);
        tokio::select! {
            _ = revoking => {}
            _ = desk.anna.ended() => {}
        }
    });
    assert!(is_over(&taken.unwrap().flow));
    let ended = desk.over(&open).await;
    assert_eq!(
        ended.why.as_deref(),
        Some("the operator's access has ended")
    );
    let ended = core.support.changed(admin(), &asked.id, State::Asked).await;
    assert_eq!(ended.unwrap().state, State::Ended);
    let joined = core
        .support
        .join(&desk.device, &asked.id, &key, joined())
        .await;
    assert!(matches!(joined, Err(Refusal::NotFound { .. })));
}

#[tokio::test]
async fn a_session_ends_with_the_devices_connection() {
    let desk = Desk::new().await;
    let id = desk.open().await;
    let Desk { hub, device, .. } = desk;
    drop(device);
    let support = &hub.core.support;
    let ended = support.changed(admin(), &id, State::Open).await.unwrap();
    assert_eq!(
        ended.why.as_deref(),
        Some("the device's connection has ended")
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_time() {
    let desk = Desk::new().await;
    let id = desk.open().await;
    let taking = desk.hub.core.support.device_takes(&desk.device, &id, 0);
    desk.hub.core.clock.advance(Duration::from_secs(600));
    tokio::time::advance(Duration::from_secs(60)).await;
    let taken = taking.await.unwrap();
    assert!(is_over(&taken.flow), "{taken:?}");
    let over = desk.over(&id).await;
    assert_eq!(over.why.as_deref(), Some("its time is over"));
}

#[tokio::test]
async fn a_device_says_at_once_why_not_and_one_that_is_away_cannot_be_asked() {
    let desk = Desk::new().await;
    let (actor, pass) = (desk.actor(), desk.pass().await);
    let support = &desk.hub.core.support;
    let (asked, ()) = tokio::join!(support.ask(&actor, pass, till(), new()), async {
        let (id, _) = desk.asked().await;
        let calls = &desk.hub.core.calls;
        calls
            .answer(&desk.device, &id, said(403, "no service pos"))
            .unwrap();
    });
    let asked = asked.unwrap();
    assert_eq!(asked.state, State::Refused);
    assert_eq!(asked.why.as_deref(), Some("no service pos"));
    let pass = desk.pass().await;
    let away = support.ask(&actor, pass, &id("clock-1"), new()).await;
    assert!(matches!(away, Err(Refusal::Offline { .. })), "{away:?}");
    assert_eq!(support.count(), 0);
}

#[tokio::test]
async fn a_device_has_few_sessions_and_each_holds_few_bytes() {
    let desk = Desk::new().await;
    let id = desk.open().await;
    for _ in 1..MAX_LIVE_OF_DEVICE {
        desk.ask().await;
    }
    let (support, actor) = (&desk.hub.core.support, desk.actor());
    let more = support.ask(&actor, desk.pass().await, till(), new()).await;
    assert!(matches!(more, Err(Refusal::Limited { .. })), "{more:?}");
    let large = chunk(0, &[0; MAX_CHUNK + 1], false);
    let large = support.operator_sends(&actor, &id, large).await;
    assert!(matches!(large, Err(Refusal::TooLarge { .. })));
    let mut at = 0;
    for _ in 0..MAX_WAITING / MAX_CHUNK {
        let sent = support.operator_sends(&actor, &id, chunk(at, &[7; MAX_CHUNK], false));
        assert_eq!(sent.await.unwrap(), Flow::On);
        at += MAX_CHUNK as u64;
    }
    let mut waits = Box::pin(support.operator_sends(&actor, &id, chunk(at, b"x", false)));
    tokio::select! {
        biased;
        _ = &mut waits => panic!("there is no room"),
        () = tokio::task::yield_now() => {}
    }
    support
        .device_takes(&desk.device, &id, MAX_CHUNK as u64)
        .await
        .unwrap();
    assert_eq!(waits.await.unwrap(), Flow::On);
}

#[tokio::test]
async fn what_a_hub_that_was_killed_has_left_is_over_and_stays_listed() {
    let desk = Desk::new().await;
    let id = desk.open().await;
    let Desk {
        hub, device, anna, ..
    } = desk;
    // While both are there nothing else ends it.
    let hub = hub.restarted();
    drop((device, anna));
    hub.core.tidy().await.unwrap();
    let all = hub
        .core
        .support
        .list(admin(), None, &page(10))
        .await
        .unwrap();
    assert_eq!(all.items.len(), 1);
    assert_eq!((&all.items[0].id, all.items[0].state), (&id, State::Ended));
    let mill = actor(Role::Admin, Scope::Site(crate::hub::id("mill")));
    let theirs = hub.core.support.list(&mill, None, &page(10)).await.unwrap();
    assert!(theirs.items.is_empty());
    hub.core
        .clock
        .advance(outgate_core::support::KEPT + Duration::from_secs(601));
    hub.core.tidy().await.unwrap();
    let all = hub
        .core
        .support
        .list(admin(), None, &page(10))
        .await
        .unwrap();
    assert!(all.items.is_empty());
    assert!(!hub.folder().join(format!("support/{id}.jsonl")).exists());
}

#[tokio::test]
async fn an_operator_cannot_ask_a_device_in_the_hubs_own_words() {
    let desk = Desk::new().await;
    let actor = desk.actor();
    let asked = desk.hub.core.calls.call(
        &actor,
        till(),
        "outgate.support".to_owned(),
        String::new(),
        Default::default(),
        Duration::from_secs(1),
    );
    let asked = asked.await;
    assert!(matches!(asked, Err(Refusal::Invalid { .. })), "{asked:?}");
}
