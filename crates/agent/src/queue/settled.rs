//! What has become of commands, kept until there is no room for it: a hub that has not heard it asks
//! again, also after the agent was started anew.

use outgate_wire::agent::Settlement;
use rusqlite::{Connection, params};

use super::error::QueueError;

/// The most that are kept; the oldest go first.
pub const MAX_SETTLED: usize = 64;

/// Keeps what has become of a command.
pub(super) fn keep(
    connection: &Connection,
    command: &str,
    how: Settlement,
) -> Result<(), QueueError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO settled (command, how) VALUES (?1, ?2)")?
        .execute(params![command, number_of(how)])?;
    connection
        .prepare_cached(
            "DELETE FROM settled WHERE number <=
             (SELECT number FROM settled ORDER BY number DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MAX_SETTLED])?;
    Ok(())
}

/// What is kept, the oldest first.
pub(super) fn all(connection: &Connection) -> Result<Vec<(String, Settlement)>, QueueError> {
    let mut statement =
        connection.prepare_cached("SELECT command, how FROM settled ORDER BY number")?;
    let rows = statement.query_map([], |row| {
        let how = match row.get(1)? {
            0 => Settlement::Completed,
            1 => Settlement::Rejected,
            2 => Settlement::Abandoned,
            other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
        };
        Ok((row.get(0)?, how))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn number_of(how: Settlement) -> u8 {
    match how {
        Settlement::Completed => 0,
        Settlement::Rejected => 1,
        Settlement::Abandoned => 2,
    }
}
