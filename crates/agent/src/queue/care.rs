//! What is done for the queue while the agent runs.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Queue;
use super::tally::Tally;
use crate::status::{self, Board, Trouble};

/// How often what is too old is dropped, and at most what was dropped is noted as a trouble.
const EVERY: Duration = Duration::from_hours(1);

/// Drops what is too old, and shows on the board what waits and what was dropped. Goes on until
/// nobody waits for it any more.
pub async fn look_after(queue: &Queue, board: &Board) {
    let mut tally = queue.tally();
    let mut hour = interval_at(Instant::now() + EVERY, EVERY);
    hour.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut noted = tally.borrow().dropped();
    let mut note = true;
    if let Some(path) = queue.set_aside() {
        let path = path.display();
        let text = format!("the queue could not be read and begins anew; what it was is {path}");
        board.trouble(trouble(text));
    }
    tidy(queue).await;
    loop {
        let now = tally.borrow_and_update().clone();
        board.write(|status| status.queue = status::Queue::from(&now));
        if note && now.dropped() > noted {
            let entries = now.dropped() - noted;
            let text = format!("{entries} entries were dropped before the hub had them");
            board.trouble(trouble(text));
            (noted, note) = (now.dropped(), false);
        }
        tokio::select! {
            _ = hour.tick() => {
                note = true;
                tidy(queue).await;
            }
            changed = tally.changed() => if changed.is_err() { return },
        }
    }
}

async fn tidy(queue: &Queue) {
    if let Err(error) = queue.tidy().await {
        tracing::warn!(%error, "what is too old cannot be dropped");
    }
}

fn trouble(text: String) -> Trouble {
    Trouble {
        at: OffsetDateTime::now_utc(),
        part: "queue",
        text,
        cause: None,
    }
}

impl From<&Tally> for status::Queue {
    fn from(tally: &Tally) -> Self {
        let dropped = tally.levels.iter().map(|level| level.dropped);
        Self {
            entries: tally.levels.iter().map(|level| level.entries).sum(),
            bytes: tally.bytes,
            limit_bytes: tally.limit_bytes,
            dropped: dropped.map(|dropped| dropped.all()).sum(),
            levels: tally.levels.to_vec(),
        }
    }
}
