//! The keys that devices have among their neighbours, as they are kept.

use outgate_neighbours::MEMBERS_MAX;
use rusqlite::{Connection, Params, Row};

use crate::clock::Timestamp;
use crate::id::{DeviceId, SiteId};
use crate::refusal::Refusal;

const COLUMNS: &str = "site, name, device, number, key, since, ended";

/// Whether the key's device may come in, at the key's site.
const BELONGS: &str = "EXISTS (SELECT 1 FROM devices WHERE id = kept.device AND site = kept.site
                               AND state != 'revoked')";

/// A key of a device's.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) site: SiteId,
    pub(super) name: String,
    pub(super) device: DeviceId,
    /// Which of the device's keys it is, from 1.
    pub(super) number: u32,
    pub(super) key: [u8; 32],
    pub(super) since: Timestamp,
    pub(super) ended: Option<Timestamp>,
}

/// All that are kept of a device's.
pub(super) fn of_device(connection: &Connection, device: &DeviceId) -> Result<Vec<Kept>, Refusal> {
    find(connection, "device = ?1", [device])
}

/// Those by which devices of a site are known that may come in.
pub(super) fn of_members(connection: &Connection, site: &SiteId) -> Result<Vec<Kept>, Refusal> {
    let which = format!("site = ?1 AND ended IS NULL AND {BELONGS} ORDER BY name");
    find(connection, &which, [site])
}

/// Those that are kept beside: of devices that are revoked or stand elsewhere, then those that were
/// left last. As many as a roster has room for.
pub(super) fn of_former(connection: &Connection, site: &SiteId) -> Result<Vec<Kept>, Refusal> {
    let which = format!(
        "site = ?1 AND NOT (ended IS NULL AND {BELONGS})
         ORDER BY ended IS NOT NULL, ended DESC, name LIMIT {MEMBERS_MAX}"
    );
    let mut former = find(connection, &which, [site])?;
    former.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(former)
}

/// How many keys of a site are in use, those of revoked devices included: they may be restored, and keep
/// their places until somebody else needs one ([`make_room`]).
pub(super) fn in_use(connection: &Connection, site: &SiteId) -> Result<usize, Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM neighbour_keys WHERE site = ?1 AND ended IS NULL")?
        .query_row([site], |row| row.get(0))?)
}

/// Ends the use of one key of a site by a device that is revoked or stands elsewhere, of those the one
/// that was shown first, if there is one. Should its device come in again, it shows the key again.
pub(super) fn make_room(
    connection: &Connection,
    site: &SiteId,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let ended = connection
        .prepare_cached(&format!(
            "UPDATE neighbour_keys SET ended = ?2 WHERE site = ?1 AND name =
             (SELECT name FROM neighbour_keys AS kept
              WHERE site = ?1 AND ended IS NULL AND NOT {BELONGS} ORDER BY since, name LIMIT 1)"
        ))?
        .execute((site, now))?;
    Ok(ended == 1)
}

/// Whether another device than this has the key, or had it.
pub(super) fn is_of_another(
    connection: &Connection,
    key: [u8; 32],
    device: &DeviceId,
) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM neighbour_keys WHERE key = ?1 AND device != ?2")?
        .exists((key, device))?)
}

/// Ends the use of the device's key.
pub(in crate::identity) fn end(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE neighbour_keys SET ended = ?2 WHERE device = ?1 AND ended IS NULL")?
        .execute((device, now))?;
    Ok(())
}

/// Has the device be known by a key, which it may have had before.
/// With a secret, unless it had one.
pub(super) fn put(connection: &Connection, kept: &Kept, secret: &[u8]) -> Result<(), Refusal> {
    let Kept {
        site,
        name,
        device,
        number,
        key,
        since,
        ended: _,
    } = kept;
    connection
        .prepare_cached(
            "INSERT INTO neighbour_keys (site, name, device, number, key, since, relay)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (site, key) DO UPDATE SET since = excluded.since, ended = NULL",
        )?
        .execute((site, name, device, number, key, since, secret))?;
    Ok(())
}

/// Forgets what no roster of the site has room for.
pub(super) fn forget_oldest(connection: &Connection, site: &SiteId) -> Result<(), Refusal> {
    connection
        .prepare_cached(&format!(
            "DELETE FROM neighbour_keys WHERE site = ?1 AND ended IS NOT NULL AND name NOT IN
             (SELECT name FROM neighbour_keys WHERE site = ?1 AND ended IS NOT NULL
              ORDER BY ended DESC LIMIT {MEMBERS_MAX})"
        ))?
        .execute([site])?;
    Ok(())
}

fn find(connection: &Connection, which: &str, with: impl Params) -> Result<Vec<Kept>, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM neighbour_keys AS kept WHERE {which}");
    let mut found = connection.prepare_cached(&sql)?;
    let found = found.query_map(with, read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        site: row.get(0)?,
        name: row.get(1)?,
        device: row.get(2)?,
        number: row.get(3)?,
        key: row.get(4)?,
        since: row.get(5)?,
        ended: row.get(6)?,
    })
}
