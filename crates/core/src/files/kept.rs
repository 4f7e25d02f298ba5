//! What is in files, on the disk: which pieces make a file, and which wait to become part of one.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Block, BlockId, File, Place};
use crate::clock::Timestamp;
use crate::contents::{Piece, PieceKey};
use crate::id::DeviceId;
use crate::refusal::Refusal;

/// The tables of this part. A file has its pieces in `file_pieces`; blocks that are staged and
/// belong to no file yet are in `file_blocks`.
pub(crate) const SCHEMA: &str = "
CREATE TABLE files (
    device TEXT NOT NULL REFERENCES devices (id),
    name TEXT NOT NULL,
    tag TEXT NOT NULL,
    size INTEGER NOT NULL,
    digest TEXT NOT NULL,
    md5 BLOB,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_age ON files (changed);

CREATE TABLE file_pieces (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    block TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (device, name, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE file_blocks (
    device TEXT NOT NULL REFERENCES devices (id),
    name TEXT NOT NULL,
    block TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    staged INTEGER NOT NULL,
    PRIMARY KEY (device, name, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_blocks_by_age ON file_blocks (staged);
";

/// What the keys of this hub's pieces begin with where others keep theirs as well, since one start
/// each; forgotten when nothing of it is left.
pub(crate) const RUNS_SCHEMA: &str = "
CREATE TABLE file_runs (
    run TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
";

const FILE: &str =
    "device, name, tag, size, digest, md5, content_type, properties, created, changed";

/// How much of its share a device uses: how many, and how many bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// Files but for one.
    pub(super) files: (u64, u64),
    /// Blocks that are staged for other files than that one.
    pub(super) blocks: (u64, u64),
    /// Blocks that are staged for it.
    pub(super) own_blocks: (u64, u64),
}

impl Used {
    /// How many bytes are taken by whatever is not of the one file.
    pub(super) fn bytes_beside(&self) -> u64 {
        self.files.1.saturating_add(self.blocks.1)
    }
}

pub(super) fn find(connection: &Connection, place: &Place) -> Result<Option<File>, Refusal> {
    let sql = format!("SELECT {FILE} FROM files WHERE device = ?1 AND name = ?2");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row((&place.device, &place.name), read_file)
        .optional()?)
}

/// The files of `device` after a name.
pub(super) fn after(
    connection: &Connection,
    device: &DeviceId,
    name: &str,
    fetch: u32,
) -> Result<Vec<File>, Refusal> {
    let sql =
        format!("SELECT {FILE} FROM files WHERE device = ?1 AND name > ?2 ORDER BY name LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let files = statement.query_map(params![device, name, fetch], read_file)?;
    Ok(files.collect::<Result<_, _>>()?)
}

/// The pieces of a file in order, with the blocks that they came as.
pub(super) fn pieces(connection: &Connection, place: &Place) -> Result<Vec<Block>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT block, key, size FROM file_pieces WHERE device = ?1 AND name = ?2 ORDER BY place",
    )?;
    let blocks = statement.query_map((&place.device, &place.name), read_block)?;
    Ok(blocks.collect::<Result<_, _>>()?)
}

/// The blocks that are staged for a file, by name.
pub(super) fn staged(connection: &Connection, place: &Place) -> Result<Vec<Block>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT block, key, size FROM file_blocks WHERE device = ?1 AND name = ?2 ORDER BY block",
    )?;
    let blocks = statement.query_map((&place.device, &place.name), read_block)?;
    Ok(blocks.collect::<Result<_, _>>()?)
}

/// What the device of the file at `place` uses of its share.
pub(super) fn used(connection: &Connection, place: &Place) -> Result<Used, Refusal> {
    let count = |from: &str| -> Result<(u64, u64), Refusal> {
        let sql = format!("SELECT count(*), coalesce(sum(size), 0) FROM {from} ?2");
        Ok(connection
            .prepare_cached(&sql)?
            .query_row((&place.device, &place.name), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?)
    };
    Ok(Used {
        files: count("files WHERE device = ?1 AND name !=")?,
        blocks: count("file_blocks WHERE device = ?1 AND name !=")?,
        own_blocks: count("file_blocks WHERE device = ?1 AND name =")?,
    })
}

/// Puts a file in the place of what was there and of what was staged. Gives the keys of what
/// nothing refers to any more.
pub(super) fn put(
    connection: &Connection,
    file: &File,
    blocks: &[Block],
) -> Result<Vec<PieceKey>, Refusal> {
    let gone = remove(connection, &file.place)?;
    let properties = serde_json::to_string(&file.properties)
        .map_err(|_| Refusal::Internal("properties cannot be written"))?;
    let sql =
        format!("INSERT INTO files ({FILE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    connection.prepare_cached(&sql)?.execute(params![
        file.place.device,
        file.place.name,
        file.tag,
        file.size,
        file.digest,
        file.md5,
        file.content_type,
        properties,
        file.created,
        file.changed,
    ])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO file_pieces (device, name, place, block, key, size)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let (device, name) = (&file.place.device, &file.place.name);
    for (place, Block { id, piece }) in blocks.iter().enumerate() {
        insert.execute(params![device, name, place, id, piece.key, piece.size])?;
    }
    let mut used: Vec<_> = blocks.iter().map(|block| &block.piece.key).collect();
    used.sort_unstable();
    let is_unused = |key: &PieceKey| used.binary_search(&key).is_err();
    Ok(gone.into_iter().filter(is_unused).collect())
}

/// Removes a file and what is staged for it. Gives the keys of their pieces.
pub(super) fn remove(connection: &Connection, place: &Place) -> Result<Vec<PieceKey>, Refusal> {
    let mut gone = Vec::new();
    for table in ["file_pieces", "file_blocks"] {
        let sql = format!("DELETE FROM {table} WHERE device = ?1 AND name = ?2 RETURNING key");
        let mut statement = connection.prepare_cached(&sql)?;
        let keys = statement.query_map((&place.device, &place.name), |row| row.get(0))?;
        for key in keys {
            gone.push(key?);
        }
    }
    connection
        .prepare_cached("DELETE FROM files WHERE device = ?1 AND name = ?2")?
        .execute((&place.device, &place.name))?;
    gone.sort_unstable();
    // A block may be in a file more than once.
    gone.dedup();
    Ok(gone)
}

/// Forgets all files and blocks of `device`. Their bytes go when the hub next looks for what nobody
/// needs.
pub(crate) fn forget_all(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    for table in ["file_pieces", "file_blocks", "files"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE device = ?1"))?
            .execute([device])?;
    }
    Ok(())
}

/// Stages a block in the place of one of that name. Gives the key of that.
pub(super) fn stage(
    connection: &Connection,
    place: &Place,
    block: &Block,
    now: Timestamp,
) -> Result<Option<PieceKey>, Refusal> {
    let before = connection
        .prepare_cached(
            "SELECT key FROM file_blocks WHERE device = ?1 AND name = ?2 AND block = ?3",
        )?
        .query_row((&place.device, &place.name, &block.id), |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO file_blocks (device, name, block, key, size, staged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            place.device,
            place.name,
            block.id,
            block.piece.key,
            block.piece.size,
            now
        ])?;
    Ok(before)
}

/// The name of some block that is staged for a file.
pub(super) fn some_staged(
    connection: &Connection,
    place: &Place,
) -> Result<Option<BlockId>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT block FROM file_blocks WHERE device = ?1 AND name = ?2 LIMIT 1")?
        .query_row((&place.device, &place.name), |row| row.get(0))
        .optional()?)
}

pub(super) fn note_run(connection: &Connection, run: &str) -> Result<(), Refusal> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO file_runs (run) VALUES (?1)")?
        .execute([run])?;
    Ok(())
}

pub(super) fn runs(connection: &Connection) -> Result<Vec<String>, Refusal> {
    let mut statement = connection.prepare_cached("SELECT run FROM file_runs")?;
    let runs = statement.query_map([], |row| row.get(0))?;
    Ok(runs.collect::<Result<_, _>>()?)
}

pub(super) fn forget_run(connection: &Connection, run: &str) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM file_runs WHERE run = ?1")?
        .execute([run])?;
    Ok(())
}

/// Every key that something refers to.
pub(super) fn needed(connection: &Connection) -> Result<Vec<PieceKey>, Refusal> {
    let sql = "SELECT key FROM file_pieces UNION SELECT key FROM file_blocks";
    let mut statement = connection.prepare_cached(sql)?;
    let keys = statement.query_map([], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// Some files that have not changed for `keep`, and for which no grant holds.
pub(super) fn old_files(
    connection: &Connection,
    now: Timestamp,
    keep: Duration,
    limit: u32,
) -> Result<Vec<Place>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT device, name FROM files AS f WHERE changed <= ?1 AND NOT EXISTS
         (SELECT 1 FROM file_grants WHERE device = f.device AND ends > ?2 AND revoked IS NULL
          AND name = f.name) ORDER BY changed LIMIT ?3",
    )?;
    let places = statement.query_map(params![now.before(keep), now, limit], |row| {
        let (device, name) = (row.get(0)?, row.get(1)?);
        Ok(Place { device, name })
    })?;
    Ok(places.collect::<Result<_, _>>()?)
}

/// Forgets some blocks that were staged before `staged` and gives their keys.
pub(super) fn forget_blocks(
    connection: &Connection,
    staged: Timestamp,
    limit: u32,
) -> Result<Vec<PieceKey>, Refusal> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM file_blocks WHERE (device, name, block) IN
         (SELECT device, name, block FROM file_blocks WHERE staged <= ?1
          ORDER BY staged LIMIT ?2) RETURNING key",
    )?;
    let keys = statement.query_map(params![staged, limit], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

fn read_block(row: &Row<'_>) -> rusqlite::Result<Block> {
    let (key, size) = (row.get(1)?, row.get(2)?);
    Ok(Block {
        id: row.get::<_, BlockId>(0)?,
        piece: Piece { key, size },
    })
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<File> {
    let text = row.get_ref(7)?.as_str()?;
    let properties: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(7, kind, Box::new(error))
    })?;
    Ok(File {
        place: Place {
            device: row.get(0)?,
            name: row.get(1)?,
        },
        tag: row.get(2)?,
        size: row.get(3)?,
        digest: row.get(4)?,
        md5: row.get(5)?,
        content_type: row.get(6)?,
        properties,
        created: row.get(8)?,
        changed: row.get(9)?,
    })
}
