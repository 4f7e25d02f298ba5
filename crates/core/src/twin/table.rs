//! Twins on the disk.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value};

use crate::id::{DeviceId, TwinName};
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

    /// The same of a twin that has a name: no name begins with a slash.
    fn word_of(self, name: &TwinName) -> String {
        format!("{}/{name}", self.word())
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
    half_under(connection, device, side.word())
}

/// One half of the twin of that name.
pub(super) fn half_of(
    connection: &Connection,
    device: &DeviceId,
    name: &TwinName,
    side: Side,
) -> Result<Half, Refusal> {
    half_under(connection, device, &side.word_of(name))
}

/// The twin of that name. Nothing was ever written into one that is not there.
pub(super) fn twin_of(
    connection: &Connection,
    device: DeviceId,
    name: &TwinName,
) -> Result<Twin, Refusal> {
    Ok(Twin {
        desired: half_of(connection, &device, name, Side::Desired)?,
        reported: half_of(connection, &device, name, Side::Reported)?,
        device,
    })
}

/// The names of the twins that `device` has beside its own, in their order.
pub(super) fn names(
    connection: &Connection,
    device: &DeviceId,
) -> Result<BTreeSet<TwinName>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT substr(side, instr(side, '/') + 1) FROM twins
         WHERE device = ?1 AND instr(side, '/') > 0",
    )?;
    let names = statement.query_map([device], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Forgets the twin of that name, and its versions.
pub(super) fn forget_named(
    connection: &Connection,
    device: &DeviceId,
    name: &TwinName,
) -> Result<(), Refusal> {
    let mut forget =
        connection.prepare_cached("DELETE FROM twins WHERE device = ?1 AND side = ?2")?;
    for side in [Side::Desired, Side::Reported] {
        forget.execute(params![device, side.word_of(name)])?;
    }
    Ok(())
}

fn half_under(connection: &Connection, device: &DeviceId, side: &str) -> Result<Half, Refusal> {
    let row = connection
        .prepare_cached(
            "SELECT document, version, changed FROM twins WHERE device = ?1 AND side = ?2",
        )?
        .query_row(params![device, side], |row| {
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
    keep_under(connection, device, side.word(), half)?;
    match (side, half.changed) {
        (Side::Tags, Some(now)) => tags::keep(connection, device, &half.document, now),
        (Side::Tags, None) | (Side::Desired | Side::Reported, _) => Ok(()),
    }
}

/// Keeps one half of the twin of that name as it is now.
pub(super) fn keep_of(
    connection: &Connection,
    device: &DeviceId,
    name: &TwinName,
    (side, half): (Side, &Half),
) -> Result<(), Refusal> {
    keep_under(connection, device, &side.word_of(name), half)
}

fn keep_under(
    connection: &Connection,
    device: &DeviceId,
    side: &str,
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
            side,
            half.document.to_string(),
            half.version,
            half.changed,
        ])?;
    Ok(())
}
