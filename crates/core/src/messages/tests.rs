use std::path::Path;

use super::*;

fn message(topic: &str, payload: &'static str) -> Message {
    Message {
        topic: topic.to_owned(),
        headers: Bytes::from_static(b"h"),
        payload: Bytes::from_static(payload.as_bytes()),
        published: Timestamp::from_millis(1),
        expires: None,
    }
}

fn slot(mailbox: MailboxId, seq: u64) -> Slot {
    Slot {
        mailbox,
        seq,
        qos: 1,
        retain: false,
        identifiers: vec![7, 8],
    }
}

fn keep(slots: Vec<Slot>) -> Keep {
    Keep {
        message: message("a/b", "one"),
        slots,
        retain: None,
        inbound: None,
        will: None,
    }
}

fn will(session: &str, payload: &'static str) -> Will {
    Will {
        id: WillId {
            key: "one".to_owned(),
            session: session.parse().unwrap(),
        },
        owner: "device/x".to_owned(),
        credential: "cr-1".parse().unwrap(),
        message: message("w", payload),
        qos: 1,
        retain: false,
        delay: 3,
        due: None,
    }
}

fn messages(folder: &Path) -> Messages {
    let store = crate::store::of_tests(folder);
    Messages::new(store, &Clock::System, &Limits::default(), &Hook::default())
}

/// A mailbox made without a session, as the broker's own acts are.
async fn mailbox(messages: &Messages, key: &'static str, fresh: bool) -> MailboxId {
    let open = move |connection: &Connection| writing::open(connection, key, 60, fresh);
    messages.store.write(open).await.unwrap()
}

async fn rows(messages: &Messages, table: &'static str) -> u64 {
    let count = move |connection: &Connection| {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap())
    };
    messages.store.read(count).await.unwrap()
}

#[tokio::test]
async fn a_message_in_two_mailboxes_is_kept_once_and_until_both_have_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    let one = mailbox(&messages, "one", false).await;
    let two = mailbox(&messages, "two", false).await;
    let both = keep(vec![slot(one, 1), slot(two, 1)]);
    messages.keep(None, both).await.unwrap();
    assert_eq!(rows(&messages, "mailbox_message").await, 1);
    let done = vec![Progress::Done { seq: 1 }];
    messages.note(one, done.clone()).await.unwrap();
    assert_eq!(rows(&messages, "mailbox_message").await, 1);
    messages.note(two, done).await.unwrap();
    assert_eq!(rows(&messages, "mailbox_message").await, 0);
}

#[tokio::test]
async fn all_is_found_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = messages(folder.path());
    let id = mailbox(&first, "one", false).await;
    let subscription = Subscription {
        filter: "a/#".to_owned(),
        options: 2,
        identifier: Some(7),
    };
    let subscribe = {
        let subscription = subscription.clone();
        move |connection: &Connection| writing::subscribe(connection, id, &[subscription])
    };
    first.store.write(subscribe).await.unwrap();
    let retain = Retain {
        owner: "device/x".to_owned(),
        qos: 1,
    };
    for seq in 1..=2 {
        let more = Keep {
            retain: Some(retain.clone()),
            inbound: Some(Inbound {
                mailbox: id,
                packet: 5,
            }),
            ..keep(vec![slot(id, seq)])
        };
        first.keep(None, more).await.unwrap();
    }
    let steps = vec![
        Progress::Sent { seq: 1, packet: 9 },
        Progress::Released { seq: 1 },
    ];
    first.note(id, steps).await.unwrap();
    let will = will("se-1", "gone");
    first.keep_will(None, will.clone()).await.unwrap();
    drop(first);

    let again = messages(folder.path());
    let kept = again.load().await.unwrap();
    let found = &kept.mailboxes[0];
    assert_eq!(
        (found.id, found.waiting, found.newest, &found.inbound[..]),
        (id, 2, 2, &[5][..])
    );
    assert_eq!(found.subscriptions, [subscription]);
    assert_eq!(kept.wills, [will]);
    assert_eq!(kept.retained[0].message, message("a/b", "one"));
    let waiting = again.waiting(id, 0, u64::MAX, 10).await.unwrap();
    assert_eq!(
        (waiting[0].packet, waiting[0].released, &waiting[0].slot),
        (Some(9), true, &slot(id, 1))
    );
    assert_eq!((waiting[1].packet, waiting[1].released), (None, false));
    assert_eq!(again.waiting(id, 1, 2, 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_empty_retained_message_clears_its_topic() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    for (payload, left) in [("x", 1), ("y", 1), ("", 0)] {
        let retain = Some(Retain {
            owner: "device/x".to_owned(),
            qos: 0,
        });
        let keep = Keep {
            message: message("a", payload),
            retain,
            ..keep(Vec::new())
        };
        messages.keep(None, keep).await.unwrap();
        assert_eq!(messages.load().await.unwrap().retained.len(), left);
    }
    assert_eq!(rows(&messages, "mailbox_message").await, 0);
}

#[tokio::test]
async fn a_fresh_mailbox_is_empty_and_a_removed_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    let old = mailbox(&messages, "one", false).await;
    messages.keep(None, keep(vec![slot(old, 1)])).await.unwrap();
    assert_eq!(mailbox(&messages, "one", false).await, old);
    let new = mailbox(&messages, "one", true).await;
    assert_ne!(new, old);
    // A publish that was routed before the old one was removed:
    messages.keep(None, keep(vec![slot(old, 2)])).await.unwrap();
    assert_eq!(rows(&messages, "mailbox_message").await, 0);
    messages.keep(None, keep(vec![slot(new, 1)])).await.unwrap();
    messages.remove(vec![new]).await.unwrap();
    for table in ["mailbox", "mailbox_slot", "mailbox_message"] {
        assert_eq!(rows(&messages, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn what_follows_a_publish_runs_in_the_order_of_the_disk_and_not_for_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |number: u32| {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().push(number)
    };
    let retained = |payload| Keep {
        message: message("a/b", payload),
        retain: Some(Retain {
            owner: "device/one".to_owned(),
            qos: 1,
        }),
        ..keep(Vec::new())
    };
    let (first, second) = tokio::join!(
        messages.keep_then(None, retained("one"), note(1)),
        messages.keep_then(None, retained("two"), note(2)),
    );
    first.and(second).unwrap();
    let sessions = crate::sessions::Sessions::default();
    let who = crate::sessions::Selector::All;
    let gone = std::time::Duration::ZERO;
    let session = crate::sessions::tests::device_session(&sessions);
    let pass = session.pass();
    sessions
        .end(&who, crate::sessions::Ending::Revoked, gone)
        .await;
    let refused = messages.keep_then(Some(pass), retained("three"), note(3));
    assert!(matches!(refused.await, Err(Refusal::Revoked)));
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
    let kept = messages.load().await.unwrap();
    assert_eq!(kept.retained[0].message.payload, "two");
}

#[tokio::test]
async fn an_expired_retained_message_is_forgotten_and_one_that_came_meanwhile_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    for (topic, expires) in [("old", Some(5)), ("new", Some(50)), ("ever", None)] {
        let mut keep = keep(Vec::new());
        keep.message.topic = topic.to_owned();
        keep.message.expires = expires.map(Timestamp::from_millis);
        keep.retain = Some(Retain {
            owner: "device/one".to_owned(),
            qos: 1,
        });
        messages.keep(None, keep).await.unwrap();
    }
    let all = ["old", "new", "ever"].map(str::to_owned).to_vec();
    let now = Timestamp::from_millis(5);
    messages.drop_expired(all, now).await.unwrap();
    let mut left = messages.load().await.unwrap().retained;
    left.sort_by(|a, b| a.message.topic.cmp(&b.message.topic));
    let topics: Vec<_> = left
        .iter()
        .map(|kept| kept.message.topic.as_str())
        .collect();
    assert_eq!(topics, ["ever", "new"]);
}

#[tokio::test]
async fn a_will_that_is_done_with_does_not_take_its_successor_along() {
    let folder = tempfile::tempdir().unwrap();
    let messages = messages(folder.path());
    let (old, new) = (will("se-1", "old"), will("se-2", "new"));
    for will in [&old, &new] {
        messages.keep_will(None, will.clone()).await.unwrap();
    }
    messages.drop_will(old.id.clone()).await.unwrap();
    let published = Keep {
        will: Some(old.id),
        ..keep(Vec::new())
    };
    messages.keep(None, published).await.unwrap();
    assert_eq!(
        messages.load().await.unwrap().wills,
        std::slice::from_ref(&new)
    );
    let published = Keep {
        will: Some(new.id),
        ..keep(Vec::new())
    };
    messages.keep(None, published).await.unwrap();
    assert_eq!(messages.load().await.unwrap().wills, []);
}
