//! What is cleared away, and what is not.

use super::super::clearing;
use super::*;
use crate::id::ConsumerId;
use crate::store::used;

const DAY: Duration = Duration::from_hours(24);

async fn kept(bench: &Bench, after: u64) -> Vec<u64> {
    let taken = bench.core.events.after(&all(), after, MAX_TAKEN).await;
    let events = taken.unwrap().events;
    events.iter().map(|event| event.seq).collect()
}

fn name() -> ConsumerId {
    "c".parse().unwrap()
}

#[tokio::test]
async fn old_events_are_cleared_away_and_who_asks_for_them_is_told() {
    let bench = Bench::new(Limits::default());
    let (core, session) = (&bench.core, bench.session("a"));
    for _ in 0..3 {
        core.events.append(&session, said("n", b"")).await.unwrap();
        core.clock.advance(10 * DAY);
    }
    assert_eq!(
        core.events.clear_old().await.unwrap(),
        0,
        "kept for 30 days"
    );
    core.clock.advance(15 * DAY);
    assert_eq!(core.events.clear_old().await.unwrap(), 2);
    for after in [0, 1] {
        let refused = core.events.after(&all(), after, 10).await;
        assert!(
            matches!(refused, Err(Refusal::Expired { oldest: 3 })),
            "{refused:?}"
        );
    }
    assert_eq!(kept(&bench, 2).await, [3]);
    core.clock.advance(15 * DAY);
    core.tidy().await.unwrap();
    let refused = core.events.after(&all(), 2, 10).await;
    assert!(
        matches!(refused, Err(Refusal::Expired { oldest: 4 })),
        "{refused:?}"
    );
    assert_eq!(kept(&bench, 3).await, [0_u64; 0]);
    let seq = core.events.append(&session, said("n", b"")).await.unwrap();
    assert_eq!(seq, 4, "no place is given twice");
    let refused = core.consumers.register(None, &name(), Some(1)).await;
    assert!(
        matches!(refused, Err(Refusal::Expired { oldest: 4 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn more_than_one_write_may_clear_is_cleared_by_several() {
    let bench = Bench::new(Limits {
        events_a_second: 100_000,
        event_burst: 100_000,
        ..Limits::default()
    });
    let (core, session) = (&bench.core, bench.session("a"));
    let count = 2 * usize::try_from(clearing::MAX_CLEARED).unwrap() + 1;
    let mut appends = Vec::new();
    for _ in 0..count {
        let mut append = Box::pin(core.events.append(&session, said("n", b"")));
        let _ = poll_once(&mut append).await;
        appends.push(append);
    }
    core.store.barrier().await.unwrap();
    drop(appends);
    core.clock.advance(31 * DAY);
    assert_eq!(core.events.clear_old().await.unwrap(), count);
}

#[tokio::test]
async fn what_a_consumer_has_not_taken_is_not_cleared_away() {
    let bench = Bench::new(Limits::default());
    let (core, session) = (&bench.core, bench.session("a"));
    core.consumers
        .register(None, &name(), Some(0))
        .await
        .unwrap();
    for _ in 0..3 {
        core.events.append(&session, said("n", b"")).await.unwrap();
    }
    core.clock.advance(31 * DAY);
    assert_eq!(core.events.clear_old().await.unwrap(), 0);
    core.consumers.advance(None, &name(), 2).await.unwrap();
    assert_eq!(core.events.clear_old().await.unwrap(), 2);
    let taken = core.consumers.take(&name(), &all(), 10).await.unwrap();
    assert_eq!(taken.events[0].seq, 3);
    core.consumers.remove(None, &name()).await.unwrap();
    assert_eq!(core.events.clear_old().await.unwrap(), 1);
}

/// A store of at most 4 MiB.
fn small() -> (Bench, u64) {
    let bench = Bench::new(Limits {
        events_a_second: 100_000,
        event_burst: 100_000,
        store_bytes: 4 << 20,
        ..Limits::default()
    });
    (bench, 4 << 20)
}

#[tokio::test]
async fn a_store_that_is_too_large_loses_its_oldest_events() {
    let (bench, most) = small();
    let (core, session) = (&bench.core, bench.session("a"));
    let payload = vec![7; 10_000];
    for _ in 0..1_200 {
        core.events
            .append(&session, said("n", &payload))
            .await
            .unwrap();
    }
    let held = core
        .store
        .read(|connection| Ok(used(connection)?))
        .await
        .unwrap()
        .held;
    assert!(held <= most + (512 << 10), "{held}");
    let Err(Refusal::Expired { oldest }) = core.events.after(&all(), 0, 1).await else {
        panic!("nothing was cleared away");
    };
    let newest = *core.events.newest().borrow();
    assert_eq!(newest, 1_200);
    assert!(newest - oldest > 200, "no more than needed: {oldest}");
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_makes_the_store_full_until_it_does() {
    let (bench, most) = small();
    let (core, session) = (&bench.core, bench.session("a"));
    core.consumers
        .register(None, &name(), Some(0))
        .await
        .unwrap();
    let payload = vec![7; 10_000];
    let mut newest = 0;
    let refusal = loop {
        match core.events.append(&session, said("n", &payload)).await {
            Ok(seq) => newest = seq,
            Err(refusal) => break refusal,
        }
        assert!(newest < 1_000, "never full");
    };
    assert!(matches!(refusal, Refusal::Full), "{refusal:?}");
    let held = core
        .store
        .read(|connection| Ok(used(connection)?))
        .await
        .unwrap()
        .held;
    assert!(held <= most + (512 << 10), "{held}");
    assert_eq!(kept(&bench, 0).await[0], 1, "nothing is lost");
    core.consumers.advance(None, &name(), newest).await.unwrap();
    for _ in 0..1_000 {
        core.events
            .append(&session, said("n", &payload))
            .await
            .unwrap();
        newest += 1;
        core.consumers.advance(None, &name(), newest).await.unwrap();
    }
}

#[tokio::test]
async fn a_consumer_of_one_site_holds_no_events_back_and_learns_what_it_missed() {
    let (bench, _) = small();
    let (core, session) = (&bench.core, bench.session("a"));
    let erp = bench.service("erp", "evil");
    core.consumers
        .register(Some(erp.pass()), &name(), Some(0))
        .await
        .unwrap();
    core.events.append(&session, said("n", b"")).await.unwrap();
    core.clock.advance(31 * DAY);
    assert_eq!(core.events.clear_old().await.unwrap(), 1);
    let payload = vec![7; 10_000];
    for _ in 0..1_000 {
        core.events
            .append(&session, said("n", &payload))
            .await
            .unwrap();
    }
    let missed = core.consumers.take(&name(), &all(), 10).await;
    let Err(Refusal::Expired { oldest }) = missed else {
        panic!("{missed:?}");
    };
    core.consumers
        .advance(Some(erp.pass()), &name(), oldest - 1)
        .await
        .unwrap();
    let taken = core.consumers.take(&name(), &all(), 10).await.unwrap();
    assert_eq!(taken.events[0].seq, oldest);
}
