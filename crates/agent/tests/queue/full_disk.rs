//! A disk that fills up: a small one, in a mount namespace of its own.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use outgate_agent::queue::{Entry, Limits, Position, Priority, Queue, QueueError, Waiting};
use outgate_testbed::{SmallDisk, on_small_disk};

use crate::open;

/// More than the disk of 4 MiB has.
const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    keep: Duration::from_hours(24),
    reserve: 1 << 20,
};

#[test]
fn on_a_full_disk_what_matters_more_takes_the_place_of_what_matters_less_and_nothing_else_goes() {
    on_small_disk(|disk| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(fill_and_recover(disk));
    })
    .unwrap();
}

async fn fill_and_recover(disk: &SmallDisk) {
    let data = disk.path().join("data");
    let queue = open(&data, LIMITS);
    let mut logs = fill(&queue, Priority::Background).await;
    assert!(logs.len() > 200, "{}", logs.len());
    assert_eq!(queue.tally().borrow().dropped(), 0);

    // More than the log beside the file has room for.
    let mut events = Vec::new();
    for number in 0..200 {
        events.push(push(&queue, Priority::Ordinary, number).await.unwrap());
    }
    let tally = queue.tally().borrow().clone();
    let dropped = tally.level(Priority::Background).dropped.room;
    assert!(dropped > 150, "{dropped}");
    assert_eq!(tally.level(Priority::Ordinary).dropped.room, 0);
    assert!(is_full(push(&queue, Priority::Background, 0).await));

    // Somebody else takes the reserve: what is hollow in the file is all that there is.
    let ballast = disk.path().join("ballast");
    take_the_rest(&ballast);
    events.extend(fill(&queue, Priority::Ordinary).await);
    let before = queue.tally().borrow().clone();
    assert!(is_full(push(&queue, Priority::Ordinary, 0).await));
    assert_eq!(*queue.tally().borrow(), before);

    // It recovers by itself, and what was acknowledged is there, but for what was counted.
    std::fs::remove_file(&ballast).unwrap();
    disk.grow().unwrap();
    events.push(push(&queue, Priority::Ordinary, 0).await.unwrap());
    logs.push(push(&queue, Priority::Background, 0).await.unwrap());
    let dropped = queue.tally().borrow().level(Priority::Background).dropped;
    let dropped = usize::try_from(dropped.room).unwrap();
    drop(queue);
    let queue = open(&data, LIMITS);
    let left = drain(&queue).await;
    let of = |priority| {
        let left = left.iter().map(Waiting::position);
        let left: Vec<Position> = left.filter(|at| at.priority == priority).collect();
        left
    };
    assert_eq!(of(Priority::Ordinary), events);
    assert_eq!(of(Priority::Background), logs[dropped..]);
    assert_eq!(of(Priority::Important).len(), 1);

    // What is settled makes room, although the file does not get smaller.
    assert!(fill(&queue, Priority::Background).await.len() > 100);
}

/// Pushes until it is refused. Gives what was acknowledged.
async fn fill(queue: &Queue, priority: Priority) -> Vec<Position> {
    let mut kept = Vec::new();
    for number in 0.. {
        match push(queue, priority, number).await {
            Ok(position) => kept.push(position),
            refused if is_full(refused.clone()) => break,
            refused => panic!("{refused:?}"),
        }
    }
    kept
}

async fn push(queue: &Queue, priority: Priority, number: u64) -> Result<Position, QueueError> {
    let entry = Entry {
        priority,
        ..Entry::event(number.to_string(), vec![7; 4_000])
    };
    queue.push(entry).await
}

fn is_full(pushed: Result<Position, QueueError>) -> bool {
    matches!(pushed, Err(QueueError::DiskFull))
}

async fn drain(queue: &Queue) -> Vec<Waiting> {
    let mut all = Vec::new();
    loop {
        let batch = queue.batch(usize::MAX).await.unwrap();
        if batch.is_empty() {
            return all;
        }
        let positions = batch.iter().map(Waiting::position).collect();
        queue.settle(positions).await.unwrap();
        all.extend(batch);
    }
}

fn take_the_rest(ballast: &Path) {
    let mut ballast = File::create(ballast).unwrap();
    loop {
        if let Err(error) = ballast.write_all(&[0; 4_096]) {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            return;
        }
    }
}
