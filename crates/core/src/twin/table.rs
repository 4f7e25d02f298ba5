//! Twins on the disk.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value};

use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::twin::{Half, Twin, tags};

/// The tables of this part. A device has no row for a half that was never changed.
pub(crate) const SCHEMA: &str = "
CREATE TABLE twins (
    device TEXT NOT NULL,
    side TEXT NOT NULL,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (device, side)
) STRICT, WITHOUT ROWID;
";

/// Which half of a twin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// What operators want.
    Desired,
    /// What the device says.
    Reported,
    /// What operators say of it to each other; the device is not told.
    Tags,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Desired => "desired",
            Self::Reported => "reported",
            Self::Tags => "tags",
        }
    }
}

/// Both halves. Whether there is such a device is for the caller to ask.
pub(super) fn twin(connection: &Connection, device: DeviceId) -> Result<Twin, Refusal> {
    Ok(Twin {
        desired: half(connection, &device, Side::Desired)?,
        reported: half(connection, &device, Side::Reported)?,
        device,
    })
}

/// Forgets the twin of `device`.
pub(crate) fn forget(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM twins WHERE device = ?1")?
        .execute([device])?;
    tags::forget(connection, device)
}

/// One half.
pub(super) fn half(
    connection: &Connection,
    device: &DeviceId,
    side: Side,
) -> Result<Half, Refusal> {
    let row = connection
        .prepare_cached(
            "SELECT document, version, changed FROM twins WHERE device = ?1 AND side = ?2",
        )?
        .query_row(params![device, side.word()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((text, version, changed)) = row else {
        return Ok(Half {
            document: Value::Object(Map::new()),
            version: 0,
            changed: None,
        });
    };
    Ok(Half {
        document: serde_json::from_str(&text)
            .map_err(|_| Refusal::Internal("a twin cannot be read"))?,
        version,
        changed: Some(changed),
    })
}

/// Keeps one half as it is now.
pub(super) fn keep(
    connection: &Connection,
    device: &DeviceId,
    side: Side,
    half: &Half,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO twins (device, side, document, version, changed)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (device, side) DO UPDATE SET
             document = excluded.document, version = excluded.version, changed = excluded.changed",
        )?
        .execute(params![
            device,
            side.word(),
            half.document.to_string(),
            half.version,
            half.changed,
        ])?;
    match (side, half.changed) {
        (Side::Tags, Some(now)) => tags::keep(connection, device, &half.document, now),
        (Side::Tags, None) | (Side::Desired | Side::Reported, _) => Ok(()),
    }
}
