//! When only the reserve is left on the disk, what devices and back ends may send as they like is
//! refused, and what must not fail for want of room is not.

use std::time::Duration;

use bytes::Bytes;
use ring::hmac;
use serde_json::json;

use outgate_core::commands::Settlement;
use outgate_core::identity::{Actor, Enrolment, NewFleetKey, Scope, enrolment_text};
use outgate_core::limits::Share;
use outgate_core::messages::{Keep, Message, Subscription, Will, WillId};
use outgate_core::sessions::Session;
use outgate_core::webhooks::Letter;
use outgate_core::{Core, Refusal};

use crate::asked::{a_command, a_webhook};
use crate::devices::{come_in, device_with_token, open, said};

/// More than any disk has.
const ALL: u64 = u64::MAX;

/// A core with a device, first with a disk that has room, then with one that has none but the
/// reserve.
async fn filled(prepare: impl AsyncFnOnce(&Core, &Session)) -> (tempfile::TempDir, Core, Session) {
    let folder = tempfile::tempdir().unwrap();
    let core = open(folder.path(), 0);
    let token = device_with_token(&core, "till-1").await;
    let session = come_in(&core, &token).await;
    prepare(&core, &session).await;
    drop((session, core));
    let core = open(folder.path(), ALL);
    let session = come_in(&core, &token).await;
    (folder, core, session)
}

#[tokio::test]
async fn what_a_device_sends_is_refused() {
    let (_folder, core, session) = filled(async |_, _| {}).await;
    let said = core
        .events
        .append(&session, said("e".to_owned(), Bytes::new()));
    assert!(matches!(said.await, Err(Refusal::Full)));
    let reported = core.twins.report(&session, json!({"a": 1})).await;
    assert!(matches!(reported, Err(Refusal::Full)));
    let opened = core.messages.open(session.pass(), "k".to_owned(), 60, true);
    assert!(matches!(opened.await, Err(Refusal::Full)));
    let kept = core.messages.keep(Some(session.pass()), a_publish()).await;
    assert!(matches!(kept, Err(Refusal::Full)));
    let will = core
        .messages
        .keep_will(Some(session.pass()), a_will(&session))
        .await;
    assert!(matches!(will, Err(Refusal::Full)));
    let enrolled = core.identity.enrol(an_enrolment(&core).await).await;
    assert!(matches!(enrolled, Err(Refusal::Full)));
}

#[tokio::test]
async fn what_back_ends_send_is_refused() {
    let (_folder, core, session) = filled(async |_, _| {}).await;
    let (hub, till) = (Actor::hub(), session.device().unwrap().clone());
    let sent = core.commands.send(&hub, &till, a_command()).await;
    assert!(matches!(sent, Err(Refusal::Full)));
    let desired = core.twins.desire(&hub, &till, json!({"a": 1}), None).await;
    assert!(matches!(desired, Err(Refusal::Full)));
    let (method, kind) = ("reboot".to_owned(), String::new());
    let deadline = Duration::from_secs(60);
    let called = core
        .calls
        .call(&hub, &till, method, kind, Bytes::new(), deadline);
    assert!(matches!(called.await, Err(Refusal::Full)));
    let consumer = "c".parse().unwrap();
    let registered = core.consumers.register(None, &consumer, None);
    assert!(matches!(registered.await, Err(Refusal::Full)));
    let ann = Share {
        whose: "operator/ann".to_owned(),
        scope: Scope::All,
    };
    let mark = core.idempotency.begin(ann, [1; 32], [2; 32]).await;
    assert!(mark.is_ok(), "a revocation may carry a key: {mark:?}");
    let settled = core.idempotency.settle([1; 32], vec![0; 9_000]).await;
    assert!(matches!(settled, Err(Refusal::Full)));
}

#[tokio::test]
async fn what_waits_is_still_taken_settled_and_thrown_away() {
    let prepare = async |core: &Core, session: &Session| {
        let (hub, till) = (Actor::hub(), session.device().unwrap().clone());
        core.commands.send(&hub, &till, a_command()).await.unwrap();
        let opened = core.messages.open(session.pass(), "k".to_owned(), 60, true);
        opened.await.unwrap();
        core.twins.report(session, json!({"a": 1})).await.unwrap();
    };
    let (_folder, core, session) = filled(prepare).await;
    let taken = core.commands.take(&session, 1).await.unwrap();
    core.commands
        .settle(&session, &taken[0].id, Settlement::Completed)
        .await
        .unwrap();
    let mailbox = core
        .messages
        .open(session.pass(), "k".to_owned(), 60, false);
    let mailbox = mailbox.await.unwrap();
    let filter = Subscription {
        filter: "#".to_owned(),
        options: 0,
        identifier: None,
    };
    let subscribed = core
        .messages
        .subscribe(session.pass(), mailbox, vec![filter]);
    assert!(matches!(subscribed.await, Err(Refusal::Full)));
    core.messages.remove(vec![mailbox]).await.unwrap();
}

#[tokio::test]
async fn a_message_is_not_set_aside_for_a_webhook_but_stays_first_in_line() {
    let (_folder, core, _session) = filled(async |core, session| {
        let made = core.webhooks.create(&Actor::hub(), a_webhook()).await;
        made.unwrap();
        let event = said("e".to_owned(), Bytes::new());
        core.events.append(session, event).await.unwrap();
    })
    .await;
    let page = outgate_core::identity::Page {
        after: None,
        limit: 1,
    };
    let webhooks = core.webhooks.list(&Actor::hub(), &page).await.unwrap();
    let id = &webhooks.items[0].id;
    let letter = Letter {
        seq: 0,
        message: "m".to_owned(),
        first_place: 1,
        last_place: 1,
        body: Bytes::from_static(b"{}"),
        at: core.clock.now(),
        attempts: 3,
        why: "status 400".to_owned(),
        again: false,
    };
    let aside = core.webhooks.set_aside(id, letter).await;
    assert!(matches!(aside, Err(Refusal::Full)));
    let consumers = core.consumers.list(&Actor::hub()).await.unwrap();
    assert_eq!(consumers[0].place, 0);
}

#[tokio::test]
async fn what_people_do_is_done_and_a_revocation_holds() {
    let (_folder, core, session) = filled(async |_, _| {}).await;
    let hub = Actor::hub();
    device_with_token(&core, "spare").await;
    let device = session.device().unwrap().clone();
    drop(session);
    core.identity.revoke_device(&hub, &device).await.unwrap();
    let newest = outgate_core::identity::Page {
        after: None,
        limit: 1,
    };
    let log = core.audit.entries(&hub, &newest).await.unwrap();
    assert_eq!(log.items[0].act, "device.revoke");
}

fn message() -> Message {
    Message {
        topic: "t".to_owned(),
        headers: Bytes::new(),
        payload: Bytes::from_static(b"p"),
        published: outgate_core::Timestamp::from_millis(1),
        expires: None,
    }
}

fn a_publish() -> Keep {
    Keep {
        message: message(),
        slots: Vec::new(),
        retain: None,
        inbound: None,
        will: None,
    }
}

fn a_will(session: &Session) -> Will {
    Will {
        id: WillId {
            key: "k".to_owned(),
            session: session.presence().id.clone(),
        },
        owner: String::new(),
        credential: session.presence().credential.clone(),
        message: message(),
        qos: 1,
        retain: false,
        delay: 0,
        due: None,
    }
}

/// What a device sends that has a fleet key made for it.
async fn an_enrolment(core: &Core) -> Enrolment {
    let new = NewFleetKey {
        site: "shop".parse().unwrap(),
        ids: "till-*".to_owned(),
        uses: 1,
        lasts: Duration::from_secs(3_600),
        from: Vec::new(),
        key: None,
    };
    let made = core.identity.create_fleet_key(&Actor::hub(), new).await;
    let (fleet_key, secret) = made.unwrap();
    let (device, at) = ("till-2".parse().unwrap(), core.clock.now());
    let nonce = "0123456789abcdef".to_owned();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let text = enrolment_text(&device, at, &nonce, None);
    Enrolment {
        fleet_key: fleet_key.id,
        device,
        at,
        nonce,
        proof: hmac::sign(&key, text.as_bytes()).as_ref().to_vec(),
        request: None,
        peer: [127, 0, 0, 1].into(),
    }
}
