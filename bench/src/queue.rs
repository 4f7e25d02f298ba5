//! The agent's queue beside what the disk itself can do: bytes appended to a file and flushed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use outgate_agent::queue::{Entry, Limits, MAX_BATCH, MachineClock, Queue, Waiting};

use crate::report::{Figure, Report};

/// What the ratios are to.
const DISK: &str = "append + fdatasync";

const QUEUE: &str = "queue";

/// Bytes of an entry.
const PAYLOAD: [u8; 1_024] = [b'x'; 1_024];

/// Entries that are flushed each by itself.
const ALONE: usize = 2_000;

/// Entries that wait at a time, and of those together.
const TOGETHER: usize = 100;
const ENTRIES: usize = 100_000;

/// Nothing is dropped.
const LIMITS: Limits = Limits {
    bytes: 1 << 30,
    keep: Duration::from_hours(24),
    reserve: 16 << 20,
};

/// Measures and prints.
pub(crate) async fn run(share: usize, only: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut report = Report::new(DISK);
    for (what, count, at_a_time) in [
        ("1 KiB, one at a time", ALONE / share, 1),
        ("1 KiB, 100 at a time", ENTRIES / share, TOGETHER),
    ] {
        if what.contains(only) {
            report.add(what, DISK, append(folder.path(), count, at_a_time)?);
            let queue = open(&folder.path().join(format!("queue-{at_a_time}")))?;
            report.add(what, QUEUE, push(&queue, count, at_a_time).await?);
            let what = format!("{what}: sent and settled");
            report.add(&what, QUEUE, send(&queue, count, at_a_time).await?);
        }
    }
    report.print()?;
    report.say_how_to_repeat(QUEUE, share, only)
}

fn open(folder: &Path) -> anyhow::Result<Queue> {
    let clock = Arc::new(MachineClock::new()?);
    Ok(Queue::open(folder, LIMITS, clock)?)
}

fn append(folder: &Path, count: usize, at_a_time: usize) -> anyhow::Result<Figure> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("raw"))?;
    let batch = PAYLOAD.repeat(at_a_time);
    let since = Instant::now();
    for _ in 0..count / at_a_time {
        file.write_all(&batch)?;
        file.sync_data()?;
    }
    Ok(Figure::rate(count, since.elapsed(), 0.0))
}

async fn push(queue: &Queue, count: usize, at_a_time: usize) -> anyhow::Result<Figure> {
    let since = Instant::now();
    for _ in 0..count / at_a_time {
        let entries = (0..at_a_time).map(|_| queue.push(Entry::event("bench", &PAYLOAD[..])));
        try_join_all(entries).await?;
    }
    Ok(Figure::rate(count, since.elapsed(), 0.0))
}

async fn send(queue: &Queue, count: usize, at_a_time: usize) -> anyhow::Result<Figure> {
    let since = Instant::now();
    for _ in 0..count / at_a_time {
        let batch = queue.batch(at_a_time.min(MAX_BATCH)).await?;
        let positions = batch.iter().map(Waiting::position).collect();
        queue.settle(positions).await?;
    }
    Ok(Figure::rate(count, since.elapsed(), 0.0))
}
