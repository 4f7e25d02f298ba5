//! What is dropped for want of room.

use super::*;

/// As little as the configuration allows.
const SMALL: Limits = Limits {
    bytes: 1 << 20,
    ..ROOMY
};

async fn push_many(queue: &Queue, priority: Priority, count: usize) {
    for number in 0..count {
        let entry = of(priority, &number.to_string(), 4_000);
        queue.push(entry).await.unwrap();
    }
}

/// All that waits, in order.
async fn drain(queue: &Queue) -> Vec<Waiting> {
    let mut all = Vec::new();
    loop {
        let batch = queue.batch(MAX_BATCH).await.unwrap();
        if batch.is_empty() {
            return all;
        }
        queue.settle(positions(&batch)).await.unwrap();
        all.extend(batch);
    }
}

#[tokio::test]
async fn the_oldest_of_what_matters_least_goes_and_is_counted() {
    let (folder, clock, queue) = queue(SMALL);
    push_many(&queue, Priority::Background, 100).await;
    push_many(&queue, Priority::Ordinary, 400).await;
    drop(queue);
    let queue = Queue::open(folder.path(), SMALL, clock).unwrap();
    let tally = queue.tally().borrow().clone();
    let [background, ordinary, important] = tally.levels;
    assert_eq!((background.entries, background.dropped.room), (0, 100));
    assert_eq!(important.entries, 0);
    assert!(ordinary.entries > 200, "{ordinary:?}");
    assert_eq!(ordinary.entries + ordinary.dropped.room, 400);
    assert!(tally.bytes <= SMALL.bytes, "{}", tally.bytes);
    let left = drain(&queue).await;
    assert_eq!(left[0].entry.name, REPORT);
    let first = 400 - usize::try_from(ordinary.entries).unwrap();
    let expected: Vec<String> = (first..400).map(|number| number.to_string()).collect();
    // The report took the place of some.
    let left = names(&left[1..]);
    assert!(expected.len() - left.len() < 10, "{left:?}");
    assert_eq!(left, expected[expected.len() - left.len()..]);
}

#[tokio::test]
async fn what_matters_less_than_all_that_is_there_is_refused() {
    let (_folder, _clock, queue) = queue(SMALL);
    push_many(&queue, Priority::Important, 400).await;
    let before = queue.tally().borrow().clone();
    for priority in [Priority::Background, Priority::Ordinary] {
        let refused = queue.push(of(priority, "x", 40_000)).await;
        assert!(
            matches!(refused, Err(QueueError::Crowded { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(*queue.tally().borrow(), before);
    queue
        .push(of(Priority::Important, "x", 4_000))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_given_out_to_be_sent_is_not_dropped_meanwhile() {
    let (_folder, _clock, queue) = queue(SMALL);
    push_many(&queue, Priority::Background, 150).await;
    let given = queue.batch(20).await.unwrap();
    push_many(&queue, Priority::Important, 150).await;
    let dropped = queue.tally().borrow().level(Priority::Background).dropped;
    assert!(dropped.room > 0, "{dropped:?}");
    let left = drain(&queue).await;
    let background = left
        .iter()
        .filter(|waiting| waiting.entry.priority == Priority::Background);
    let first: Vec<_> = background.take(20).cloned().collect();
    assert_eq!(first, given);
}

#[tokio::test]
async fn a_refused_entry_drops_nothing() {
    let (_folder, _clock, queue) = queue(SMALL);
    push_many(&queue, Priority::Important, 230).await;
    push_many(&queue, Priority::Background, 5).await;
    let before = queue.tally().borrow().clone();
    assert_eq!(before.dropped(), 0);
    let refused = queue.push(of(Priority::Ordinary, "x", MAX_PAYLOAD)).await;
    assert!(
        matches!(refused, Err(QueueError::Crowded { .. })),
        "{refused:?}"
    );
    assert_eq!(*queue.tally().borrow(), before);
}

#[tokio::test]
async fn an_event_that_is_under_way_does_not_keep_the_logs_before_it() {
    let (_folder, _clock, queue) = queue(SMALL);
    for _ in 0..150 {
        let log = Entry::log("log", vec![b'x'; 4_000]);
        queue.push(log).await.unwrap();
    }
    let event = of(Priority::Background, "event", 10);
    queue.push(event).await.unwrap();
    let given = queue.batch_of(Kind::Event, 9).await.unwrap();
    assert_eq!(names(&given), ["event"]);
    push_many(&queue, Priority::Important, 230).await;
    let dropped = queue.tally().borrow().level(Priority::Background).dropped;
    assert!(dropped.room > 100, "{dropped:?}");
    let left = drain(&queue).await;
    assert_eq!(names(&left[left.len() - 1..]), ["event"]);
}
