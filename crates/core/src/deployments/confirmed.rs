//! What devices have confirmed to be on, so that nothing older is offered to them.

use rusqlite::{Connection, OptionalExtension as _};

use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::releases::{Release, Version};

/// The most lines of releases that are remembered of one device; it makes up their names.
const MAX_LINES: u64 = 16;

/// Notes that `device` says it is on `name`, if that is newer than what it has said before.
pub(super) fn note(connection: &Connection, device: &DeviceId, name: &str) -> Result<(), Refusal> {
    let Some(version) = Version::of(name) else {
        return Ok(());
    };
    match newest(connection, device, &version)? {
        Some(known) if !known.is_older_than(&version) => Ok(()),
        Some(_) => keep(connection, device, &version, name),
        None if count(connection, device)? < MAX_LINES => keep(connection, device, &version, name),
        None => Ok(()),
    }
}

/// Notes that `device` has installed `release`, which may have gone back.
pub(super) fn installed(
    connection: &Connection,
    device: &DeviceId,
    release: &Release,
) -> Result<(), Refusal> {
    match Version::of(release.name.as_str()) {
        Some(version) if release.described.may_go_back => {
            keep(connection, device, &version, release.name.as_str())
        }
        Some(_) | None => note(connection, device, release.name.as_str()),
    }
}

/// Whether `device` has confirmed something newer than `release`, which may not go back.
pub(super) fn forbids(
    connection: &Connection,
    device: &DeviceId,
    release: &Release,
) -> Result<bool, Refusal> {
    if release.described.may_go_back {
        return Ok(false);
    }
    let Some(version) = Version::of(release.name.as_str()) else {
        return Ok(false);
    };
    let known = newest(connection, device, &version)?;
    Ok(known.is_some_and(|known| version.is_older_than(&known)))
}

/// Whether what `device` says it is on is newer than what it has said before.
pub(super) fn is_news(
    connection: &Connection,
    device: &DeviceId,
    name: &str,
) -> Result<bool, Refusal> {
    let Some(version) = Version::of(name) else {
        return Ok(false);
    };
    let known = newest(connection, device, &version)?;
    Ok(known.is_none_or(|known| known.is_older_than(&version)))
}

fn newest(
    connection: &Connection,
    device: &DeviceId,
    of: &Version,
) -> Result<Option<Version>, Refusal> {
    let name: Option<String> = connection
        .prepare_cached("SELECT name FROM confirmed_releases WHERE device = ?1 AND line = ?2")?
        .query_row((device, of.line()), |row| row.get(0))
        .optional()?;
    Ok(name.as_deref().and_then(Version::of))
}

fn count(connection: &Connection, device: &DeviceId) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM confirmed_releases WHERE device = ?1")?
        .query_row([device], |row| row.get(0))?)
}

fn keep(
    connection: &Connection,
    device: &DeviceId,
    version: &Version,
    name: &str,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO confirmed_releases (device, line, name) VALUES (?1, ?2, ?3)",
        )?
        .execute((device, version.line(), name))?;
    Ok(())
}
