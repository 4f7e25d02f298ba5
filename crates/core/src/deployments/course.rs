//! The course of a deployment: when its next phase begins, when it stops, and who comes later.

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;

use super::table::{self, from_text, text_of};
use super::{Deployment, Ends, MAX_DEVICES, MAX_WAITING, Plan, State, on};
use crate::audit;
use crate::clock::Timestamp;
use crate::id::{DeploymentId, DeviceId};
use crate::identity::Actor;
use crate::refusal::Refusal;

/// Each device with its phase. The order in which they come is by a digest, so that it is no other
/// when it is asked again, and no device is always among the first.
pub(super) fn in_phases(deployment: &Deployment, devices: Vec<DeviceId>) -> Vec<(DeviceId, u32)> {
    let place = |device: &DeviceId| {
        let text = format!("{}/{device}", deployment.id);
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    };
    let mut devices = devices;
    devices.sort_by_cached_key(place);
    let (count, phases) = (devices.len(), &deployment.plan.phases);
    let devices = devices.into_iter().enumerate();
    devices
        .map(|(place, device)| (device, phases.of(place, count)))
        .collect()
}

/// What is kept of the course of a deployment.
struct Kept {
    plan: Plan,
    state: State,
    phase: u32,
    counted_from: Ends,
}

/// Stops a deployment, or begins its next phases, as its plan says: for whenever a device has come
/// to an end, or will come to none.
pub(super) fn tend(
    connection: &Connection,
    id: &DeploymentId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let kept = connection
        .prepare_cached(
            "SELECT plan, state, phase, counted_from FROM deployments
             WHERE id = ?1 AND aborted IS NULL",
        )?
        .query_row([id], |row| {
            Ok(Kept {
                plan: from_text(row, 0)?,
                state: from_text(row, 1)?,
                phase: row.get(2)?,
                counted_from: from_text(row, 3)?,
            })
        })
        .optional()?;
    let Some(kept) = kept.filter(|kept| kept.state == State::Running) else {
        return Ok(());
    };
    if kept.plan.stop_at.is_some() {
        let ends = ends_of(connection, id)?;
        if kept.plan.stops(ends, kept.counted_from) {
            let ends = ends.since(kept.counted_from);
            return stop(connection, id, ends, now);
        }
    }
    let mut phase = kept.phase;
    while phase < kept.plan.phases.last() {
        let (well, devices) = of_phase(connection, id, phase)?;
        if !kept.plan.is_done(well, devices) {
            break;
        }
        phase += 1;
    }
    if phase == kept.phase {
        return Ok(());
    }
    begin(connection, id, phase)?;
    let (hub, detail) = (Actor::hub(), json!({"phase": phase + 1}));
    audit::append(
        connection,
        now,
        &hub,
        "deployment.advance",
        &on(id),
        &detail,
    )
}

/// As [`tend`], all that `device` is still to come to an end of.
pub(crate) fn tend_all_of(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let waited = waited_for(connection, device)?;
    waited.iter().try_for_each(|id| tend(connection, id, now))
}

/// Gives a device what stands deployed to the tags that it has. What there is no room for it is
/// left out.
pub(crate) fn join(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let standing = connection
        .prepare_cached(
            "SELECT p.id, p.plan FROM device_tags AS t
             JOIN deployments AS p ON p.tag = t.tag AND p.stands = 1 AND p.aborted IS NULL
             JOIN devices AS d ON d.id = t.device
             WHERE t.device = ?1 AND (p.only_site IS NULL OR p.only_site = d.site)
             AND NOT EXISTS (SELECT 1 FROM deployment_devices
             WHERE deployment = p.id AND device = ?1) ORDER BY p.seq LIMIT ?2",
        )?
        .query_map((device, MAX_WAITING), |row| {
            Ok((row.get(0)?, from_text(row, 1)?))
        })?
        .collect::<Result<Vec<(DeploymentId, Plan)>, _>>()?;
    for (id, plan) in standing {
        if table::count_waiting(connection, device)? >= MAX_WAITING {
            break;
        }
        let count: usize = connection
            .prepare_cached("SELECT count(*) FROM deployment_devices WHERE deployment = ?1")?
            .query_row([&id], |row| row.get(0))?;
        if count < MAX_DEVICES {
            let place = (device.clone(), plan.phases.last());
            table::add_device(connection, &id, &place, now)?;
        }
    }
    Ok(())
}

/// What `device` is still to come to an end of.
pub(super) fn waited_for(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<DeploymentId>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT deployment FROM deployment_devices WHERE device = ?1 AND open = 1")?
        .query_map([device], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Turns a deployment to another state.
pub(super) fn turn(
    connection: &Connection,
    id: &DeploymentId,
    state: &State,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE deployments SET state = ?2 WHERE id = ?1")?
        .execute((id, text_of(state)?))?;
    Ok(())
}

/// Begins a phase.
pub(super) fn begin(connection: &Connection, id: &DeploymentId, phase: u32) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE deployments SET phase = ?2 WHERE id = ?1")?
        .execute((id, phase))?;
    Ok(())
}

/// Counts the ends that stop a deployment from here on.
pub(super) fn count_anew(connection: &Connection, id: &DeploymentId) -> Result<(), Refusal> {
    let ends = text_of(&ends_of(connection, id)?)?;
    connection
        .prepare_cached("UPDATE deployments SET counted_from = ?2 WHERE id = ?1")?
        .execute((id, ends))?;
    Ok(())
}

fn stop(
    connection: &Connection,
    id: &DeploymentId,
    ends: Ends,
    since: Timestamp,
) -> Result<(), Refusal> {
    turn(connection, id, &State::Stopped { since, ends })?;
    tracing::warn!(deployment = %id, failed = ends.failed, "a deployment has stopped");
    let (hub, detail) = (Actor::hub(), json!({"ends": ends}));
    audit::append(connection, since, &hub, "deployment.stop", &on(id), &detail)
}

fn ends_of(connection: &Connection, id: &DeploymentId) -> Result<Ends, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE progress IN ('success', 'already-installed')),
             count(*) FILTER (WHERE progress = 'failure')
             FROM deployment_devices WHERE deployment = ?1",
        )?
        .query_row([id], |row| {
            let (well, failed) = (row.get(0)?, row.get(1)?);
            Ok(Ends { well, failed })
        })?)
}

/// How many of a phase have ended well, and how many it has without those that the release is not
/// for and those that are revoked.
fn of_phase(connection: &Connection, id: &DeploymentId, phase: u32) -> Result<(u64, u64), Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE dd.progress IN ('success', 'already-installed')),
             count(*) FROM deployment_devices AS dd JOIN devices AS d ON d.id = dd.device
             WHERE dd.deployment = ?1 AND dd.phase = ?2
             AND dd.progress NOT IN ('no-artifact', 'older', 'aborted')
             AND (dd.open = 0 OR d.state != 'revoked')",
        )?
        .query_row((id, phase), |row| Ok((row.get(0)?, row.get(1)?)))?)
}
