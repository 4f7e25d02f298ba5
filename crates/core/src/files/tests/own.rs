//! Grants that devices ask for themselves.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::events::{EventFilter, NewEvent};
use crate::sessions::Session;

/// A session of `t7`.
async fn session(bench: &Bench) -> Session {
    let (identity, hub) = (&bench.core.identity, Actor::hub());
    let device = "t7".parse().unwrap();
    let issued = identity.add_token(&hub, &device, "t".to_owned(), None);
    let credential = issued.await.unwrap().credential.id;
    let identified = identity.holder(&credential, None).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    let opened = bench.core.open_session(&identified, "test", peer);
    opened.await.unwrap()
}

async fn asked(bench: &Bench, session: &Session) -> Result<Issued, Refusal> {
    let (files, name) = (&bench.core.files, "log.txt".parse().unwrap());
    let lasts = Duration::from_hours(1);
    files.grant_own(session, name, Verb::Write, lasts).await
}

/// An event that says whether there is something in the file.
fn told(_: &Grant, file: Option<&File>) -> NewEvent {
    NewEvent {
        name: "file/done".to_owned(),
        content_type: String::new(),
        properties: BTreeMap::new(),
        payload: Bytes::from(file.is_some().to_string()),
    }
}

/// What events there are.
async fn payloads(bench: &Bench) -> Vec<Bytes> {
    let filter = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let taken = bench.core.events.after(&filter, 0, 100).await.unwrap();
    taken
        .events
        .into_iter()
        .map(|event| event.payload)
        .collect()
}

/// How many grants are listed.
async fn listed(bench: &Bench) -> usize {
    let page = Page {
        after: None,
        limit: 1_000,
    };
    let device = "t7".parse().unwrap();
    let hub = Actor::hub();
    let grants = bench.core.files.grants(&hub, &device, &page);
    grants.await.unwrap().items.len()
}

#[tokio::test]
async fn no_more_than_a_hundred_hold_and_none_for_more_than_a_day() {
    let bench = bench().await;
    let session = session(&bench).await;
    let name = "a".parse().unwrap();
    let lasts = MAX_OWN_LASTS + Duration::from_secs(1);
    let long = bench
        .core
        .files
        .grant_own(&session, name, Verb::Read, lasts);
    assert!(matches!(long.await, Err(Refusal::Invalid { .. })));
    for _ in 0..MAX_OWN_GRANTS {
        asked(&bench, &session).await.unwrap();
    }
    let refused = asked(&bench, &session).await;
    assert!(
        matches!(refused, Err(Refusal::TooMany { .. })),
        "{refused:?}"
    );
    // An operator may give more.
    bench.give(place("t7", "a"), Verb::Read, DAY).await;
}

#[tokio::test]
async fn who_asks_and_ends_without_an_end_is_slowed_down_and_leaves_a_hundred_rows() {
    let bench = bench().await;
    let session = session(&bench).await;
    let files = &bench.core.files;
    for _ in 0..crate::files::own::ASKED.burst {
        let own = asked(&bench, &session).await.unwrap();
        files.end_own(&session, &own.grant.id).await.unwrap();
    }
    let refused = asked(&bench, &session).await;
    assert!(
        matches!(refused, Err(Refusal::Limited { .. })),
        "{refused:?}"
    );
    bench.core.clock.advance(crate::files::own::ASKED.every);
    asked(&bench, &session).await.unwrap();
    assert_eq!(listed(&bench).await, KEEP_OWN_GRANTS as usize + 1);
}

#[tokio::test]
async fn what_devices_ask_and_use_themselves_is_not_in_the_audit_log() {
    let bench = bench().await;
    let session = session(&bench).await;
    let acts = async || {
        let page = Page {
            after: None,
            limit: 1_000,
        };
        let entries = bench.core.audit.entries(&Actor::hub(), &page).await;
        entries.unwrap().items.len()
    };
    let before = acts().await;
    let own = asked(&bench, &session).await.unwrap();
    assert!(bench.admit(&own).await.unwrap().grant.used.is_some());
    assert_eq!(acts().await, before);
}

#[tokio::test]
async fn the_end_of_a_grant_is_told_once_and_nothing_goes_by_it_after_that() {
    let bench = bench().await;
    let session = session(&bench).await;
    let (files, events) = (&bench.core.files, &bench.core.events);
    let own = asked(&bench, &session).await.unwrap();
    let by_own = bench.admit(&own).await.unwrap().session;
    let pass = by_own.pass();
    let closing = tokio::spawn(async move { by_own.ended().await });
    for _ in 0..2 {
        let concluded = files.conclude_own(events, &session, &own.grant.id, told);
        concluded.await.unwrap();
    }
    assert_eq!(closing.await.unwrap(), Ending::Revoked);
    assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    assert!(matches!(bench.admit(&own).await, Err(Refusal::Revoked)));
    assert_eq!(payloads(&bench).await, ["false"]);
}

#[tokio::test]
async fn a_device_concludes_no_grant_of_an_operator_s_and_none_of_another_device() {
    let bench = bench().await;
    let session = session(&bench).await;
    let (files, events) = (&bench.core.files, &bench.core.events);
    for (device, name) in [("t7", "a"), ("t8", "a")] {
        let given = bench.give(place(device, name), Verb::Write, DAY).await;
        let refused = files.conclude_own(events, &session, &given.grant.id, told);
        let refused = refused.await;
        assert!(matches!(refused, Err(Refusal::NotFound { .. })), "{device}");
        bench.admit(&given).await.unwrap();
    }
    assert!(payloads(&bench).await.is_empty());
}
