//! Tells the hub what was dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;

use super::entry::{Entry, Priority};
use super::error::QueueError;
use super::moment::Moment;
use super::{Shared, keep, table};

/// The event that tells what was dropped: how many entries since the queue was made, by how much
/// they mattered and why. It is an important one, and takes its turn like any other.
pub const REPORT: &str = "outgate/queue/dropped";

/// At least so long passes between two of them, so that a device that drops all the time does not
/// drop for its reports.
const EVERY: Duration = Duration::from_secs(60);

/// Writes a report if something was dropped that the hub was not told of.
pub(super) fn write_if_due(
    connection: &Connection,
    shared: &Shared,
    now: &Moment,
) -> Result<(), QueueError> {
    let reported = shared.given.lock().reported;
    if reported.is_some_and(|at| now.up.saturating_sub(at) < EVERY) {
        return Ok(());
    }
    let tally = table::tally(connection, shared.limits.bytes)?;
    let told: u64 = connection
        .prepare_cached("SELECT reported FROM queue")?
        .query_row([], |row| row.get(0))?;
    if tally.dropped() <= told {
        return Ok(());
    }
    connection.execute_batch("SAVEPOINT report")?;
    let levels = tally.levels.iter();
    let dropped: BTreeMap<&str, _> = levels
        .map(|level| (level.priority.name(), level.dropped))
        .collect();
    let text = serde_json::json!({ "dropped": dropped }).to_string();
    let entry = Entry {
        priority: Priority::Important,
        content_type: "application/json".to_owned(),
        ..Entry::event(REPORT, text)
    };
    let written = keep(connection, shared, &entry, now);
    if let Err(refused) = written {
        // It is told once there is room.
        tracing::debug!(%refused, "what was dropped cannot be reported");
        connection.execute_batch("ROLLBACK TO report")?;
    } else {
        connection
            .prepare_cached("UPDATE queue SET reported = ?1")?
            .execute([tally.dropped()])?;
        tracing::warn!(
            entries = tally.dropped() - told,
            "the queue has dropped entries"
        );
        shared.given.lock().reported = Some(now.up);
    }
    connection.execute_batch("RELEASE report")?;
    Ok(())
}
