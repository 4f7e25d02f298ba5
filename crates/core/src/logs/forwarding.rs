//! How far logs have been sent on.

use rusqlite::{Connection, OptionalExtension as _};

use super::Logs;
use crate::events::row::{place, signed};
use crate::refusal::Refusal;

impl Logs {
    /// The place up to which records have been sent on; 0 when none has been.
    ///
    /// # Errors
    /// As the store.
    pub async fn forwarded(&self) -> Result<u64, Refusal> {
        let read = |connection: &Connection| {
            let found = connection
                .prepare_cached("SELECT place FROM forwarding")?
                .query_row([], |row| row.get(0))
                .optional()?;
            Ok(place(found.unwrap_or(0)))
        };
        self.store.read(read).await
    }

    /// Notes that records have been sent on up to this place.
    ///
    /// # Errors
    /// As the store.
    pub async fn note_forwarded(&self, upto: u64) -> Result<(), Refusal> {
        let note = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "INSERT INTO forwarding (id, place) VALUES (1, ?1)
                     ON CONFLICT (id) DO UPDATE SET place = excluded.place",
                )?
                .execute([signed(upto)])?;
            Ok(())
        };
        self.store.write(note).await
    }
}
