//! Deployments on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Deployed, Deployment, MAX_DEPLOYMENTS, MAX_DEVICES, Progress, State, Tagged, course};
use crate::clock::Timestamp;
use crate::id::{DeploymentId, DeviceId, ReleaseName, SiteId, Tag};
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

const COLUMNS: &str = "p.seq, p.id, p.release, p.by, p.created, p.aborted, p.plan, p.state, p.phase,
    p.tag, p.stands, EXISTS (SELECT 1 FROM deployment_devices WHERE deployment = p.id AND open = 1)";

/// Phases, plans, pauses and tags, since the tables were made.
pub(crate) const PLAN_SCHEMA: &str = "
-- `plan`, `state` and `counted_from` are JSON; `phase` is the place of the one under way.
-- `only_site` is the site beyond which a deployment to a tag does not reach, if any.
ALTER TABLE deployments ADD COLUMN plan TEXT NOT NULL DEFAULT '{}';
ALTER TABLE deployments ADD COLUMN state TEXT NOT NULL DEFAULT '\"running\"';
ALTER TABLE deployments ADD COLUMN phase INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployments ADD COLUMN counted_from TEXT NOT NULL DEFAULT '{\"well\":0,\"failed\":0}';
ALTER TABLE deployments ADD COLUMN tag TEXT;
ALTER TABLE deployments ADD COLUMN stands INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployments ADD COLUMN only_site TEXT;
CREATE INDEX deployments_that_stand ON deployments (tag) WHERE stands = 1 AND aborted IS NULL;

ALTER TABLE deployment_devices ADD COLUMN phase INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deployment_devices_by_phase ON deployment_devices (deployment, phase, progress);
CREATE INDEX deployment_devices_unended ON deployment_devices (deployment) WHERE open = 1;
";

/// Those of which the reader sees a device, and what was deployed to a tag at their site alone.
const SEEN: &str =
    "(:only IS NULL OR p.only_site = :only OR EXISTS (SELECT 1 FROM deployment_devices AS dd
    JOIN devices AS d ON d.id = dd.device WHERE dd.deployment = p.id AND d.site = :only))";

/// Keeps a new deployment, and gives each of its devices the phase beside it.
pub(super) fn insert(
    connection: &Connection,
    deployment: &Deployment,
    only: Option<&SiteId>,
    devices: &[(DeviceId, u32)],
) -> Result<(), Refusal> {
    let (tag, stands) = match &deployment.tagged {
        Some(Tagged { tag, stands }) => (Some(tag), *stands),
        None => (None, false),
    };
    connection
        .prepare_cached(
            "INSERT INTO deployments (id, release, by, created, plan, tag, stands, only_site)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            deployment.id,
            deployment.release,
            deployment.by,
            deployment.created,
            text_of(&deployment.plan)?,
            tag,
            stands,
            tag.and(only),
        ])?;
    for device in devices {
        add_device(connection, &deployment.id, device, deployment.created)?;
    }
    Ok(())
}

/// Adds a device that has not asked yet.
pub(super) fn add_device(
    connection: &Connection,
    id: &DeploymentId,
    (device, phase): &(DeviceId, u32),
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO deployment_devices (deployment, device, progress, changed, open, phase)
             VALUES (?1, ?2, ?3, ?4, 1, ?5)",
        )?
        .execute((id, device, Progress::Pending, now, phase))?;
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
            "SELECT id FROM deployments AS p WHERE (stands = 0 OR aborted IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM deployment_devices
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
            "SELECT dd.device, dd.progress, dd.doing, dd.changed, dd.log IS NOT NULL, dd.phase
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
                phase: row.get(5)?,
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

/// Whether `actor` sees every device that a deployment has and may come to have.
pub(super) fn sees_all_of(
    connection: &Connection,
    actor: &Actor,
    id: &DeploymentId,
) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM deployment_devices AS dd
             JOIN devices AS d ON d.id = dd.device
             WHERE dd.deployment = ?1 AND ?2 IS NOT NULL AND d.site != ?2)
             AND NOT EXISTS (SELECT 1 FROM deployments WHERE id = ?1 AND stands = 1
             AND ?2 IS NOT NULL AND only_site IS NOT ?2)",
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
            "SELECT id FROM deployments AS p WHERE release = ?1 AND aborted IS NULL
             AND (stands = 1 OR EXISTS
             (SELECT 1 FROM deployment_devices WHERE deployment = p.id AND open = 1))",
        )?
        .query_map([release], |row| row.get(0))?
        .collect::<Result<Vec<DeploymentId>, _>>()?;
    under_way.iter().try_for_each(|id| end(connection, id, now))
}

/// Forgets all of a device that is taken out of the registry: another may come by its name.
pub(crate) fn forget_all(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let waited = course::waited_for(connection, device)?;
    for sql in [
        "DELETE FROM deployment_devices WHERE device = ?1",
        "DELETE FROM confirmed_releases WHERE device = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([device])?;
    }
    waited
        .iter()
        .try_for_each(|id| course::tend(connection, id, now))
}

/// A deployment with its place in the order; its counts and whether it is offered are still to be
/// found out.
fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Deployment)> {
    let tag: Option<Tag> = row.get(9)?;
    let (stands, open): (bool, bool) = (row.get(10)?, row.get(11)?);
    let aborted: Option<Timestamp> = row.get(5)?;
    let state = match aborted {
        Some(since) => State::Aborted { since },
        None if !open && !stands => State::Ended,
        None => from_text(row, 7)?,
    };
    let deployment = Deployment {
        id: row.get(1)?,
        release: row.get(2)?,
        by: row.get(3)?,
        created: row.get(4)?,
        state,
        plan: from_text(row, 6)?,
        phase: row.get(8)?,
        tagged: tag.map(|tag| Tagged { tag, stands }),
        counts: Vec::new(),
    };
    Ok((row.get(0)?, deployment))
}

/// What a column holds in JSON.
pub(super) fn from_text<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, error.into())
    })
}

/// What a column is to hold, in JSON.
pub(super) fn text_of(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value)
        .map_err(|_| Refusal::Internal("a part of a deployment could not be written"))
}
