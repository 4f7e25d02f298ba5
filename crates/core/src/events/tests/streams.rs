//! What comes out of devices' own queues.

use super::*;
use crate::events::streams::{MAX_ENTRIES, MAX_STREAMS, Reached, Stretch};

fn stretch(stream: &str, numbers: impl IntoIterator<Item = u64>) -> Stretch {
    let entry = |number: u64| (number, said(&format!("n/{number}"), b"x"));
    Stretch {
        stream: stream.to_owned(),
        entries: numbers.into_iter().map(entry).collect(),
    }
}

async fn send(bench: &Bench, session: &Session, stretch: Stretch) -> u64 {
    let sent = bench.core.events.append_stretch(session.pass(), stretch);
    let Reached { place, refused } = sent.await.unwrap();
    assert_eq!(refused, []);
    place
}

async fn names(bench: &Bench) -> Vec<String> {
    let taken = bench.core.events.after(&all(), 0, 1_000).await.unwrap();
    taken.events.into_iter().map(|event| event.name).collect()
}

#[tokio::test]
async fn what_is_sent_again_is_kept_once() {
    let bench = Bench::new(Limits::default());
    let session = bench.session("t1");
    assert_eq!(send(&bench, &session, stretch("q", 1..=3)).await, 3);
    assert_eq!(send(&bench, &session, stretch("q", 1..=3)).await, 3);
    assert_eq!(send(&bench, &session, stretch("q", 2..=5)).await, 5);
    // 6 was dropped by the device before it was sent.
    assert_eq!(send(&bench, &session, stretch("q", [7])).await, 7);
    assert_eq!(
        names(&bench).await,
        ["n/1", "n/2", "n/3", "n/4", "n/5", "n/7"]
    );
    assert_eq!(*bench.core.events.newest().borrow(), 6);
}

#[tokio::test]
async fn streams_and_devices_have_places_of_their_own() {
    let bench = Bench::new(Limits::default());
    let (one, other) = (bench.session("t1"), bench.session("t2"));
    assert_eq!(send(&bench, &one, stretch("q", [1])).await, 1);
    assert_eq!(send(&bench, &one, stretch("r", [1])).await, 1);
    assert_eq!(send(&bench, &other, stretch("q", [1])).await, 1);
    assert_eq!(names(&bench).await.len(), 3);
    assert_eq!(send(&bench, &one, stretch("q", [])).await, 1);
    assert_eq!(send(&bench, &one, stretch("new", [])).await, 0);
}

#[tokio::test]
async fn the_stream_that_was_silent_longest_is_forgotten_for_a_new_one() {
    let bench = Bench::new(Limits::default());
    let session = bench.session("t1");
    let last = MAX_STREAMS + 1;
    for number in 1..=last {
        send(&bench, &session, stretch(&format!("s{number}"), [9])).await;
        bench.core.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(send(&bench, &session, stretch("s2", [])).await, 9);
    assert_eq!(
        send(&bench, &session, stretch(&format!("s{last}"), [])).await,
        9
    );
    assert_eq!(send(&bench, &session, stretch("s1", [])).await, 0);
}

#[tokio::test]
async fn what_can_never_be_an_event_holds_up_nothing() {
    let bench = Bench::new(Limits::default());
    let session = bench.session("t1");
    let mut sent = stretch("q", 1..=3);
    sent.entries[1].1.name = "x".repeat(300);
    let reached = bench.core.events.append_stretch(session.pass(), sent);
    let reached = reached.await.unwrap();
    assert_eq!(reached.place, 3);
    assert_eq!(reached.refused.len(), 1);
    assert_eq!(reached.refused[0].0, 2);
    assert_eq!(names(&bench).await, ["n/1", "n/3"]);
}

#[tokio::test]
async fn what_is_no_part_of_a_stream_is_refused_whole() {
    let bench = Bench::new(Limits::default());
    let session = bench.session("t1");
    let too_many = u64::try_from(MAX_ENTRIES).unwrap() + 1;
    for bad in [
        stretch("", [1]),
        stretch("a/b", [1]),
        stretch(&"x".repeat(65), [1]),
        stretch("q", [0]),
        stretch("q", [2, 1]),
        stretch("q", [1, 1]),
        stretch("q", [u64::MAX]),
        stretch("q", 1..=too_many),
    ] {
        let sent = bench.core.events.append_stretch(session.pass(), bad).await;
        assert!(matches!(sent, Err(Refusal::Invalid { .. })), "{sent:?}");
    }
    assert!(names(&bench).await.is_empty());
}

#[tokio::test]
async fn nothing_of_a_stretch_is_kept_after_the_device_is_revoked_or_out_of_turn() {
    let bench = Bench::new(Limits {
        events_a_second: 1,
        event_burst: 1,
        ..Limits::default()
    });
    let session = bench.session("t1");
    assert_eq!(send(&bench, &session, stretch("q", 1..=2)).await, 2);
    let again = bench
        .core
        .events
        .append_stretch(session.pass(), stretch("q", [3]));
    assert!(matches!(again.await, Err(Refusal::Limited { .. })));
    bench.core.clock.advance(Duration::from_secs(60));
    bench
        .core
        .sessions
        .end(&Selector::All, Ending::Revoked, Duration::ZERO)
        .await;
    let revoked = bench
        .core
        .events
        .append_stretch(session.pass(), stretch("q", [3]));
    assert!(matches!(revoked.await, Err(Refusal::Revoked)));
    assert_eq!(names(&bench).await, ["n/1", "n/2"]);
}
