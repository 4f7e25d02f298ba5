//! Deployments on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::{Deployed, Deployment, MAX_DEPLOYMENTS, MAX_DEVICES, Progress};
use crate::clock::Timestamp;
use crate::id::{DeploymentId, DeviceId, ReleaseName, SiteId};
use crate::identity::Actor;
use crate::refusal::Refusal;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE deployments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    release TEXT NOT NULL REFERENCES releases (name),
    by TEXT NOT NULL,
    created INTEGER NOT NULL,
    aborted INTEGER
) STRICT;
CREATE INDEX deployments_of_release ON deployments (release);

-- `open` as long as nothing final has come of it.
CREATE TABLE deployment_devices (
    deployment TEXT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES devices (id),
    progress TEXT NOT NULL,
    doing TEXT,
    changed INTEGER NOT NULL,
    open INTEGER NOT NULL,
    log TEXT,
    PRIMARY KEY (deployment, device)
) STRICT;
CREATE INDEX deployment_devices_open ON deployment_devices (device, open);

-- The newest release of each line that a device has confirmed to be on.
CREATE TABLE confirmed_releases (
    device TEXT NOT NULL REFERENCES devices (id),
    line TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (device, line)
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "p.seq, p.id, p.release, p.by, p.created, p.aborted";

/// Those of which the reader sees a device.
const SEEN: &str = "(:only IS NULL OR EXISTS (SELECT 1 FROM deployment_devices AS dd
    JOIN devices AS d ON d.id = dd.device WHERE dd.deployment = p.id AND d.site = :only))";

pub(super) fn insert(
    connection: &Connection,
    deployment: &Deployment,
    devices: &[DeviceId],
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO deployments (id, release, by, created) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((
            &deployment.id,
            &deployment.release,
            &deployment.by,
            deployment.created,
        ))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO deployment_devices (deployment, device, progress, changed, open)
         VALUES (?1, ?2, ?3, ?4, 1)",
    )?;
    for device in devices {
        insert.execute((
            &deployment.id,
            device,
            Progress::Pending,
            deployment.created,
        ))?;
    }
    Ok(())
}

/// Makes room for one more: the oldest that has come to its end goes.
pub(super) fn make_room(connection: &Connection) -> Result<(), Refusal> {
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM deployments")?
        .query_row([], |row| row.get(0))?;
    if count < MAX_DEPLOYMENTS {
        return Ok(());
    }
    let oldest: Option<DeploymentId> = connection
        .prepare_cached(
            "SELECT id FROM deployments AS p WHERE NOT EXISTS (SELECT 1 FROM deployment_devices
             WHERE deployment = p.id AND open = 1) ORDER BY seq LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(oldest) = oldest else {
        let (what, limit) = ("deployments", MAX_DEPLOYMENTS);
        return Err(Refusal::TooMany { what, limit });
    };
    connection
        .prepare_cached("DELETE FROM deployment_devices WHERE deployment = ?1")?
        .execute([&oldest])?;
    connection
        .prepare_cached("DELETE FROM deployments WHERE id = ?1")?
        .execute([&oldest])?;
    Ok(())
}

pub(super) fn devices_at(connection: &Connection, site: &SiteId) -> Result<Vec<DeviceId>, Refusal> {
    let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "SELECT id FROM devices WHERE site = ?1 AND state != 'revoked' AND removed IS NULL
             ORDER BY id LIMIT ?2 + 1",
        )?
        .query_map((site, most), |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

pub(super) fn count_waiting(connection: &Connection, device: &DeviceId) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM deployment_devices WHERE device = ?1 AND open = 1")?
        .query_row([device], |row| row.get(0))?)
}

pub(super) fn find(
    connection: &Connection,
    actor: &Actor,
    id: &DeploymentId,
) -> Result<Deployment, Refusal> {
    let only = actor.scope.site();
    let sql = format!("SELECT {COLUMNS} FROM deployments AS p WHERE p.id = :id AND {SEEN}");
    let found = connection
        .prepare_cached(&sql)?
        .query_row(named_params! {":id": id, ":only": only}, read)
        .optional()?;
    let (_, mut found) = found.ok_or_else(|| Refusal::not_found("deployment", id))?;
    found.counts = counts(connection, actor, id)?;
    Ok(found)
}

/// Those before a place, the newest first, each with its place.
pub(super) fn before(
    connection: &Connection,
    actor: &Actor,
    before: Option<i64>,
    fetch: u32,
) -> Result<Vec<(i64, Deployment)>, Refusal> {
    let only = actor.scope.site();
    let sql = format!(
        "SELECT {COLUMNS} FROM deployments AS p WHERE (:before IS NULL OR p.seq < :before)
         AND {SEEN} ORDER BY p.seq DESC LIMIT :fetch"
    );
    let named = named_params! {":before": before, ":only": only, ":fetch": fetch};
    let mut found = connection
        .prepare_cached(&sql)?
        .query_map(named, read)?
        .collect::<Result<Vec<_>, _>>()?;
    for (_, deployment) in &mut found {
        deployment.counts = counts(connection, actor, &deployment.id)?;
    }
    Ok(found)
}

/// The place that `after` of a page means.
pub(super) fn place_of(after: Option<&str>) -> Result<Option<i64>, Refusal> {
    let wrong = |_| Refusal::invalid("after", "what `next` was of the part before");
    after.map(|text| text.parse().map_err(wrong)).transpose()
}

fn counts(
    connection: &Connection,
    actor: &Actor,
    id: &DeploymentId,
) -> Result<Vec<(Progress, u64)>, Refusal> {
    let mut counts = connection
        .prepare_cached(
            "SELECT dd.progress, count(*) FROM deployment_devices AS dd
             JOIN devices AS d ON d.id = dd.device
             WHERE dd.deployment = ?1 AND (?2 IS NULL OR d.site = ?2) GROUP BY dd.progress",
        )?
        .query_map((id, actor.scope.site()), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<Vec<(Progress, u64)>, _>>()?;
    counts.sort();
    Ok(counts)
}

pub(super) fn devices_after(
    connection: &Connection,
    actor: &Actor,
    id: &DeploymentId,
    after: &str,
    fetch: u32,
) -> Result<Vec<Deployed>, Refusal> {
    let named = named_params! {
        ":id": id, ":after": after, ":only": actor.scope.site(), ":fetch": fetch,
    };
    Ok(connection
        .prepare_cached(
            "SELECT dd.device, dd.progress, dd.doing, dd.changed, dd.log IS NOT NULL
             FROM deployment_devices AS dd JOIN devices AS d ON d.id = dd.device
             WHERE dd.deployment = :id AND dd.device > :after
             AND (:only IS NULL OR d.site = :only) ORDER BY dd.device LIMIT :fetch",
        )?
        .query_map(named, |row| {
            Ok(Deployed {
                device: row.get(0)?,
                progress: row.get(1)?,
                doing: row.get(2)?,
                changed: row.get(3)?,
                has_log: row.get(4)?,
            })
        })?
        .collect::<Result<_, _>>()?)
}

pub(super) fn log(
    connection: &Connection,
    id: &DeploymentId,
    device: &DeviceId,
) -> Result<Option<String>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT log FROM deployment_devices WHERE deployment = ?1 AND device = ?2")?
        .query_row((id, device), |row| row.get(0))
        .optional()?
        .flatten())
}

/// Whether `actor` sees every device of a deployment.
pub(super) fn sees_all_of(
    connection: &Connection,
    actor: &Actor,
    id: &DeploymentId,
) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM deployment_devices AS dd
             JOIN devices AS d ON d.id = dd.device
             WHERE dd.deployment = ?1 AND ?2 IS NOT NULL AND d.site != ?2)",
        )?
        .query_row((id, actor.scope.site()), |row| row.get(0))?)
}

/// Ends a deployment before its time.
pub(super) fn end(
    connection: &Connection,
    id: &DeploymentId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE deployments SET aborted = coalesce(aborted, ?2) WHERE id = ?1")?
        .execute((id, now))?;
    connection
        .prepare_cached(
            "UPDATE deployment_devices SET progress = 'aborted', changed = ?2, open = 0
             WHERE deployment = ?1 AND open = 1",
        )?
        .execute((id, now))?;
    Ok(())
}

/// Ends what is still under way of a release.
pub(crate) fn end_of_release(
    connection: &Connection,
    release: &ReleaseName,
    now: Timestamp,
) -> Result<(), Refusal> {
    let under_way = connection
        .prepare_cached(
            "SELECT id FROM deployments AS p WHERE release = ?1 AND EXISTS
             (SELECT 1 FROM deployment_devices WHERE deployment = p.id AND open = 1)",
        )?
        .query_map([release], |row| row.get(0))?
        .collect::<Result<Vec<DeploymentId>, _>>()?;
    under_way.iter().try_for_each(|id| end(connection, id, now))
}

/// Forgets all of a device that is taken out of the registry: another may come by its name.
pub(crate) fn forget_all(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    for sql in [
        "DELETE FROM deployment_devices WHERE device = ?1",
        "DELETE FROM confirmed_releases WHERE device = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([device])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Deployment)> {
    let deployment = Deployment {
        id: row.get(1)?,
        release: row.get(2)?,
        by: row.get(3)?,
        created: row.get(4)?,
        aborted: row.get(5)?,
        counts: Vec::new(),
    };
    Ok((row.get(0)?, deployment))
}
