//! The tables, and how older files get them.

use rusqlite::Connection;

use crate::refusal::Refusal;

/// What each version added, oldest first: a store of version `n` has had the first `n` of them.
/// Once released an entry is never changed; a new one is added.
const VERSIONS: [&[&str]; 1] = [&[
    crate::identity::SCHEMA,
    crate::audit::SCHEMA,
    crate::events::SCHEMA,
    crate::consumers::SCHEMA,
    crate::commands::SCHEMA,
    crate::twin::SCHEMA,
    crate::messages::SCHEMA,
    crate::idempotency::SCHEMA,
    crate::webhooks::SCHEMA,
]];

/// Sets `connection` up for writing and brings its tables up to date.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), Refusal> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit is on the disk when it returns, also after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > VERSIONS.len() {
        return Err(Refusal::Internal(
            "the store was written by a newer version of Outgate; upgrade this one",
        ));
    }
    let upgrade = connection.transaction()?;
    for part in VERSIONS.iter().skip(found).copied().flatten() {
        upgrade.execute_batch(part)?;
    }
    upgrade.pragma_update(
        None,
        "user_version",
        u32::try_from(VERSIONS.len()).unwrap_or(u32::MAX),
    )?;
    upgrade.commit()?;
    Ok(())
}
