//! What a member keeps, in a file of its own.

use std::collections::BTreeMap;
use std::path::Path;

use outgate_neighbours::Write;
use outgate_store::{Error, Hook, Room, Schema, Store};

use super::StartError;

const SCHEMA: Schema = Schema {
    holder: "neighbours",
    application: 0x4f75_744e,
    versions: &[&["CREATE TABLE kept (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"]],
};
const PUT: &str = "INSERT INTO kept (key, value) VALUES (?1, ?2) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM kept WHERE key = ?1";

pub(super) type Kept = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) struct Disk(Store);

impl Disk {
    /// With everything that is kept.
    pub(super) fn open(folder: &Path) -> Result<(Self, Kept), StartError> {
        let store: Store = Store::open(&SCHEMA, folder, Room::leaving(0), Hook::default())?;
        let kept = store.read_now(|connection| {
            let mut rows = connection.prepare("SELECT key, value FROM kept")?;
            let rows = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<Kept, _>>()?)
        })?;
        Ok((Self(store), kept))
    }

    /// Returns once all of them are on the disk, or none.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<(), Error> {
        let work = move |connection: &rusqlite::Connection| {
            for Write { key, value } in writes {
                match value {
                    Some(value) => connection.prepare_cached(PUT)?.execute((key, value))?,
                    None => connection.prepare_cached(DELETE)?.execute((key,))?,
                };
            }
            Ok(())
        };
        self.0.write(work).await
    }
}
