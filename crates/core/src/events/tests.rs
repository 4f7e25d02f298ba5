//! Events on a store of their own.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::id::SessionId;
use crate::sessions::{Ending, Presence, Selector};
use crate::{Core, Settings};

mod clearing;
mod order;
mod streams;

pub(crate) struct Bench {
    pub(crate) core: Core,
    _folder: TempDir,
}

impl Bench {
    pub(crate) fn new(limits: Limits) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            clock: Clock::held(Timestamp::from_millis(1_800_000_000_000)),
            limits,
            ..Settings::new(folder.path())
        };
        Self {
            core: Core::open(&settings).unwrap(),
            _folder: folder,
        }
    }

    pub(crate) fn session(&self, device: &str) -> Session {
        self.session_of(Principal::Device {
            device: device.parse().unwrap(),
            site: format!("site-of-{device}").parse().unwrap(),
            policy: "own-subtree".to_owned(),
        })
    }

    /// A session of a service of one site, or, when that has no name, of all.
    pub(crate) fn service(&self, service: &str, site: &str) -> Session {
        self.session_of(Principal::Service {
            service: service.parse().unwrap(),
            scope: site.parse().map_or(Scope::All, Scope::Site),
        })
    }

    fn session_of(&self, principal: Principal) -> Session {
        self.core.sessions.take_up(Presence {
            id: SessionId::made_up().unwrap(),
            credential: format!("cr-{}", principal.name().replace('/', "-"))
                .parse()
                .unwrap(),
            principal,
            via: "test",
            peer: ([127, 0, 0, 1], 1).into(),
            since: self.core.clock.now(),
        })
    }
}

pub(crate) fn said(name: &str, payload: &[u8]) -> NewEvent {
    NewEvent {
        name: name.to_owned(),
        content_type: "text/plain".to_owned(),
        properties: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        payload: Bytes::copy_from_slice(payload),
    }
}

async fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    std::future::poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}

pub(crate) fn all() -> EventFilter {
    EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    }
}

#[tokio::test]
async fn what_was_said_is_read_back_as_it_was() {
    let bench = Bench::new(Limits::default());
    let (events, session) = (&bench.core.events, bench.session("till-1"));
    let mut newest = events.newest();
    assert_eq!(*newest.borrow_and_update(), 0);
    assert_eq!(
        events
            .append(&session, said("door/opened", b"one"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(*newest.borrow_and_update(), 1);
    let taken = events.after(&all(), 0, 10).await.unwrap();
    assert_eq!(taken.next, 1);
    let event = &taken.events[0];
    assert_eq!(
        (event.seq, event.device.as_str(), event.site.as_str()),
        (1, "till-1", "site-of-till-1")
    );
    assert_eq!(
        (event.name.as_str(), event.content_type.as_str()),
        ("door/opened", "text/plain")
    );
    assert_eq!(
        event.properties,
        BTreeMap::from([("k".to_owned(), "v".to_owned())])
    );
    assert_eq!(event.payload, &b"one"[..]);
    assert_eq!(event.received, bench.core.clock.now());
    let later = events.after(&all(), 1, 10).await.unwrap();
    assert!(later.events.is_empty());
    assert_eq!(later.next, 1);
}

#[tokio::test]
async fn a_filter_lets_through_only_what_is_asked_for_and_seen() {
    let bench = Bench::new(Limits::default());
    let events = &bench.core.events;
    for device in ["a", "b"] {
        let session = bench.session(device);
        for name in ["door/opened", "dough"] {
            events.append(&session, said(name, b"")).await.unwrap();
        }
    }
    let seqs = async |filter: EventFilter| {
        let taken = events.after(&filter, 0, 10).await.unwrap();
        assert_eq!(taken.next, 4);
        taken
            .events
            .iter()
            .map(|event| event.seq)
            .collect::<Vec<_>>()
    };
    let (device, prefix) = (Some("b".parse().unwrap()), Some("door/".to_owned()));
    let of_a = Scope::Site("site-of-a".parse().unwrap());
    assert_eq!(seqs(all()).await, [1, 2, 3, 4]);
    assert_eq!(
        seqs(EventFilter {
            device: device.clone(),
            ..all()
        })
        .await,
        [3, 4]
    );
    assert_eq!(
        seqs(EventFilter {
            prefix: prefix.clone(),
            ..all()
        })
        .await,
        [1, 3]
    );
    assert_eq!(
        seqs(EventFilter {
            scope: of_a.clone(),
            ..all()
        })
        .await,
        [1, 2]
    );
    assert!(
        seqs(EventFilter {
            scope: of_a,
            device,
            prefix
        })
        .await
        .is_empty()
    );
    let latest = events.latest(&all(), 3).await.unwrap();
    assert_eq!(
        latest.iter().map(|event| event.seq).collect::<Vec<_>>(),
        [4, 3, 2]
    );
}

#[tokio::test]
async fn one_answer_has_a_bounded_number_of_bytes_and_loses_none() {
    let bench = Bench::new(Limits::default());
    let (events, session) = (&bench.core.events, bench.session("a"));
    let big = vec![7; limits::MAX_EVENT];
    for _ in 0..20 {
        events.append(&session, said("big", &big)).await.unwrap();
    }
    let first = events.after(&all(), 0, 100).await.unwrap();
    assert_eq!(
        first.events.len(),
        MAX_TAKEN_BYTES / limits::MAX_EVENT,
        "as many as fit"
    );
    let rest = events.after(&all(), first.next, 100).await.unwrap();
    assert_eq!(first.events.len() + rest.events.len(), 20);
    assert_eq!(rest.events[0].seq, first.next + 1);
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_refused() {
    let bench = Bench::new(Limits::default());
    let (events, session) = (&bench.core.events, bench.session("a"));
    let fine = said("n", b"");
    let properties = |count: usize, bytes: usize| {
        (0..count)
            .map(|number| (format!("{number:02}"), "x".repeat(bytes)))
            .collect()
    };
    let cases = [
        said("n", &vec![0; limits::MAX_EVENT + 1]),
        said(&"n".repeat(257), b""),
        said("a\u{0}b", b""),
        NewEvent {
            content_type: "text/plain\r\n".to_owned(),
            ..fine.clone()
        },
        NewEvent {
            properties: properties(65, 0),
            ..fine.clone()
        },
        NewEvent {
            properties: properties(2, 4_095),
            ..fine.clone()
        },
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let refused = events.append(&session, case).await;
        assert!(
            matches!(
                refused,
                Err(Refusal::TooLarge { .. } | Refusal::Invalid { .. })
            ),
            "{number}: {refused:?}"
        );
    }
    let largest = NewEvent {
        name: "n".repeat(256),
        content_type: "c".repeat(256),
        properties: properties(2, 4_094),
        payload: vec![0; limits::MAX_EVENT].into(),
    };
    events.append(&session, largest).await.unwrap();
}

#[tokio::test]
async fn a_device_that_says_too_much_is_told_when_to_go_on() {
    let bench = Bench::new(Limits {
        events_a_second: 10,
        event_burst: 2,
        ..Limits::default()
    });
    let (events, session) = (&bench.core.events, bench.session("a"));
    for _ in 0..2 {
        events.append(&session, said("n", b"")).await.unwrap();
    }
    let Err(Refusal::Limited { retry_after, .. }) = events.append(&session, said("n", b"")).await
    else {
        panic!("not limited");
    };
    let other = bench.session("b");
    events.append(&other, said("n", b"")).await.unwrap();
    bench.core.clock.advance(retry_after);
    events.append(&session, said("n", b"")).await.unwrap();
}

#[tokio::test]
async fn nothing_is_kept_of_a_session_that_was_ended() {
    let bench = Bench::new(Limits::default());
    let (events, session) = (&bench.core.events, bench.session("a"));
    bench
        .core
        .sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    let refused = events.append(&session, said("n", b"")).await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
    assert!(events.after(&all(), 0, 10).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn what_waits_for_the_disk_when_its_session_ends_is_not_kept() {
    let bench = Bench::new(Limits::default());
    let (core, session) = (&bench.core, bench.session("a"));
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let hold = move |_: &Connection| {
        let _ = begun.send(());
        let _ = held.recv();
        Ok(())
    };
    let mut holding = Box::pin(core.store.write(hold));
    let _ = poll_once(&mut holding).await;
    begins.await.unwrap();
    let mut append = Box::pin(core.events.append(&session, said("n", b"")));
    assert!(poll_once(&mut append).await.is_pending());
    core.sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    drop(release);
    core.store.barrier().await.unwrap();
    let refused = append.await;
    assert!(matches!(refused, Err(Refusal::Revoked)), "{refused:?}");
    assert_eq!(*core.events.newest().borrow(), 0);
}

#[tokio::test]
async fn several_are_kept_together_in_their_order_or_none_of_them() {
    let bench = Bench::new(Limits::default());
    let (events, session) = (&bench.core.events, bench.session("till-1"));
    let three = || ["a", "b", "c"].map(|name| said(name, b"x")).to_vec();
    let last = events.append_all(&session, three()).await.unwrap();
    assert_eq!(last, Some(3));
    assert_eq!(*events.newest().borrow(), 3);
    let mut wrong = three();
    wrong.push(said("d", &vec![0; limits::MAX_EVENT + 1]));
    let refused = events.append_all(&session, wrong).await;
    assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    let many = vec![said("a", b""); MAX_TOGETHER + 1];
    let refused = events.append_all(&session, many).await;
    assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    assert_eq!(events.append_all(&session, Vec::new()).await.unwrap(), None);
    let pass = session.pass();
    let kept = events.after(&all(), 0, 10).await.unwrap().events;
    let names: Vec<_> = kept.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let ending = Ending::Revoked;
    let sessions = &bench.core.sessions;
    let all = Selector::All;
    sessions.end(&all, ending, Duration::ZERO).await;
    assert!(pass.check().is_err());
    let refused = events.append_all(&session, three()).await;
    assert!(matches!(refused, Err(Refusal::Revoked)));
}

#[tokio::test]
async fn several_together_count_each_and_what_comes_after_them_waits() {
    let limits = Limits {
        events_a_second: 1,
        event_burst: 2,
        ..Limits::default()
    };
    let bench = Bench::new(limits);
    let (events, session) = (&bench.core.events, bench.session("till-1"));
    let five = vec![said("a", b""); 5];
    events.append_all(&session, five.clone()).await.unwrap();
    bench.core.clock.advance(Duration::from_secs(3));
    let refused = events.append_all(&session, five.clone()).await;
    assert!(matches!(refused, Err(Refusal::Limited { .. })));
    bench.core.clock.advance(Duration::from_secs(1));
    events.append_all(&session, five).await.unwrap();
}
