//! The tables, and how older files get them.

use std::path::Path;

use rusqlite::Connection;

use crate::folder::OpenError;

/// What is in a store.
#[derive(Debug)]
pub struct Schema {
    /// What keeps its data there, as a message says it: `hub`. The file is named `hub.sqlite` then.
    pub holder: &'static str,
    /// What marks the file as one of these (`PRAGMA application_id`).
    pub application: i32,
    /// What each version added, oldest first: a store of version `n` has had the first `n` of
    /// them. Once released an entry is never changed; a new one is added.
    pub versions: &'static [&'static [&'static str]],
}

impl Schema {
    /// The name of the file with everything in it. SQLite puts others beside it, whose names begin
    /// so too.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.sqlite", self.holder)
    }

    /// The name of the file that says who uses the folder.
    pub(crate) fn lock(&self) -> String {
        format!("{}.lock", self.holder)
    }

    /// Whether a file of this name in the folder is the store's own.
    #[must_use]
    pub fn makes(&self, name: &str) -> bool {
        name == self.lock() || name.starts_with(&self.file())
    }
}

/// Different statements that are kept prepared.
const STATEMENTS: usize = 256;

/// Sets `connection` up for writing and brings the tables of `file` up to date.
pub(super) fn prepare(
    connection: &mut Connection,
    file: &Path,
    schema: &Schema,
) -> Result<(), OpenError> {
    check_owner(connection, file, schema)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit is on the disk when it returns, also after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let known = u32::try_from(schema.versions.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(OpenError::Newer {
            path: file.to_owned(),
            found,
            known,
        });
    }
    let upgrade = connection.transaction()?;
    let had = usize::try_from(found).unwrap_or(usize::MAX);
    for part in schema.versions.iter().skip(had).copied().flatten() {
        upgrade.execute_batch(part)?;
    }
    upgrade.pragma_update(None, "application_id", schema.application)?;
    upgrade.pragma_update(None, "user_version", known)?;
    upgrade.commit()?;
    Ok(())
}

/// Refuses a file of somebody else, before anything in it is changed.
fn check_owner(connection: &Connection, file: &Path, schema: &Schema) -> Result<(), OpenError> {
    let number = |pragma| -> rusqlite::Result<i32> {
        connection.pragma_query_value(None, pragma, |row| row.get(0))
    };
    let foreign = || OpenError::Foreign {
        path: file.to_owned(),
    };
    let application = match number("application_id") {
        Ok(application) => application,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(foreign());
        }
        Err(error) => return Err(error.into()),
    };
    // Without a table it is one that was made just now, perhaps by a program that was killed before
    // its first transaction: turning the log on writes a page before that.
    let is_new = || -> rusqlite::Result<bool> {
        connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
            row.get(0)
        })
    };
    if application == schema.application || (application == 0 && is_new()?) {
        Ok(())
    } else {
        Err(foreign())
    }
}
