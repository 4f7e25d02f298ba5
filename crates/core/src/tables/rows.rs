//! Tables on the disk. The site of one for all sites is the empty text.

use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::{Row, Table, TableName};
use crate::id::SiteId;
use crate::refusal::Refusal;

/// The tables of this part. One that has no name is being loaded, or cleared away.
pub(crate) const SCHEMA: &str = "
CREATE TABLE lookup_table (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    site TEXT,
    name TEXT,
    key TEXT,
    row_count INTEGER,
    bytes INTEGER,
    loaded INTEGER
) STRICT;
CREATE UNIQUE INDEX lookup_table_shown ON lookup_table (site, name) WHERE name IS NOT NULL;

CREATE TABLE lookup_row (
    of_table INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (of_table, key)
) STRICT, WITHOUT ROWID;
";

/// Begins a table that nobody asks yet.
pub(super) fn begin(connection: &Connection) -> Result<i64, Refusal> {
    connection
        .prepare_cached("INSERT INTO lookup_table DEFAULT VALUES")?
        .execute([])?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn keep(connection: &Connection, id: i64, rows: &[Row]) -> Result<(), Refusal> {
    let mut insert = connection
        .prepare_cached("INSERT INTO lookup_row (of_table, key, value) VALUES (?1, ?2, ?3)")?;
    for row in rows {
        insert.execute(params![id, row.key, row.value])?;
    }
    Ok(())
}

/// The table that is asked by that name.
pub(super) fn shown(
    connection: &Connection,
    name: &TableName,
    site: Option<&SiteId>,
) -> Result<Option<i64>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT id FROM lookup_table WHERE site = ?1 AND name = ?2")?
        .query_row(params![of(site), name], |row| row.get(0))
        .optional()?)
}

/// Has the table `id` be asked as `table`, in the place of `before`.
pub(super) fn show(
    connection: &Connection,
    id: i64,
    before: Option<i64>,
    table: &Table,
) -> Result<(), Refusal> {
    if let Some(before) = before {
        hide(connection, before)?;
    }
    connection
        .prepare_cached(
            "UPDATE lookup_table SET site = ?2, name = ?3, key = ?4, row_count = ?5, bytes = ?6,
             loaded = ?7 WHERE id = ?1",
        )?
        .execute(params![
            id,
            of(table.site.as_ref()),
            table.name,
            table.key,
            table.rows,
            table.bytes,
            table.loaded,
        ])?;
    Ok(())
}

/// Has nobody ask a table any more.
pub(super) fn hide(connection: &Connection, id: i64) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE lookup_table SET name = NULL WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// The tables that nobody asks.
pub(super) fn not_shown(connection: &Connection) -> Result<Vec<i64>, Refusal> {
    let mut found = connection.prepare_cached("SELECT id FROM lookup_table WHERE name IS NULL")?;
    let found = found.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Removes at most so many rows of a table that nobody asks, and the table with the last of them.
/// Whether there are more.
pub(super) fn clear(connection: &Connection, id: i64, most: usize) -> Result<bool, Refusal> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM lookup_row WHERE of_table = ?1 AND key IN
             (SELECT key FROM lookup_row WHERE of_table = ?1 LIMIT ?2)",
        )?
        .execute(params![id, most])?;
    if gone == most {
        return Ok(true);
    }
    connection
        .prepare_cached("DELETE FROM lookup_table WHERE id = ?1 AND name IS NULL")?
        .execute([id])?;
    Ok(false)
}

/// How many tables are asked, and how many bytes they have.
pub(super) fn count(connection: &Connection) -> Result<(u64, u64), Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM lookup_table WHERE name IS NOT NULL",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

pub(super) fn find(connection: &Connection, id: i64, key: &str) -> Result<Option<String>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT value FROM lookup_row WHERE of_table = ?1 AND key = ?2")?
        .query_row(params![id, key], |row| row.get(0))
        .optional()?)
}

/// Those after a place (see [`Table::place`]); of one site and of all where `only` is one.
pub(super) fn after(
    connection: &Connection,
    place: &str,
    only: Option<&SiteId>,
    fetch: u32,
) -> Result<Vec<Table>, Refusal> {
    let (site, name) = place.split_once('/').unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT site, name, key, row_count, bytes, loaded FROM lookup_table
         WHERE name IS NOT NULL AND (site, name) > (:site, :name)
         AND (:only IS NULL OR site IN ('', :only)) ORDER BY site, name LIMIT :fetch",
    )?;
    let named = named_params! { ":site": site, ":name": name, ":only": only, ":fetch": fetch };
    let tables = statement.query_map(named, |row| {
        let site: String = row.get(0)?;
        let site = (!site.is_empty()).then(|| row.get(0)).transpose()?;
        Ok(Table {
            site,
            name: row.get(1)?,
            key: row.get(2)?,
            rows: row.get(3)?,
            bytes: row.get(4)?,
            loaded: row.get(5)?,
        })
    })?;
    Ok(tables.collect::<Result<_, _>>()?)
}

fn of(site: Option<&SiteId>) -> &str {
    site.map_or("", SiteId::as_str)
}
