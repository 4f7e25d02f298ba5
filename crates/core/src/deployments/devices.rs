//! What devices ask of deployments, and say of them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _};

use super::{Deployments, MAX_WAITING, Plan, Progress, State, confirmed, course, table};
use crate::clock::Timestamp;
use crate::id::{DeploymentId, DeviceId};
use crate::refusal::Refusal;
use crate::releases::{self, Release};
use crate::sessions::Session;

/// The most bytes that are kept of what a device says of a deployment; the last ones.
pub const MAX_LOG: usize = 64 * 1024;

/// The most characters of what a device says it is doing.
const MAX_DOING: usize = 200;

/// The most bytes of the name of what a device says it is on.
const MAX_ON: usize = 256;

/// What a device says it is on when it asks what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct On {
    /// Which release.
    pub name: String,
    /// Which type of device it is.
    pub device_type: String,
    /// What else its releases have said that it is.
    pub more: BTreeMap<String, String>,
}

/// What is due for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// By which deployment.
    pub deployment: DeploymentId,
    /// What it is to be on.
    pub release: Release,
}

impl Deployments {
    /// What is due for the device of `session`, which is on `on`: the oldest deployment that fits
    /// and is offered to it now: whose phase has come, in one of its windows, and neither paused nor
    /// stopped. Those before it that do not fit come to their end for that device, and what it is on
    /// is remembered.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Invalid`] for a name
    /// that is too long; [`Refusal::Revoked`], [`Refusal::Draining`] when the session has ended; as
    /// the store.
    pub async fn next(&self, session: &Session, on: On) -> Result<Option<Due>, Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        if on.name.len() > MAX_ON {
            return Err(Refusal::invalid("artifact_name", "at most 256 bytes"));
        }
        let (asks, asked_on, now) = (device.clone(), on.clone(), self.clock.now());
        let anything = self
            .store
            .read(move |connection| {
                Ok(!turns(connection, &asks, &asked_on, now)?.is_empty()
                    || confirmed::is_news(connection, &asks, &asked_on.name)?)
            })
            .await?;
        if !anything {
            // So that a fleet that is up to date, or waits for its phase, writes nothing.
            session.pass().check()?;
            return Ok(None);
        }
        self.store
            .write_bulk(0, move |connection| {
                pass.check()?;
                confirmed::note(connection, &device, &on.name)?;
                for (deployment, turn) in turns(connection, &device, &on, now)? {
                    match turn {
                        Turn::Due(release) => {
                            let release = *release;
                            return Ok(Some(Due {
                                deployment,
                                release,
                            }));
                        }
                        Turn::Ends(end) => {
                            if end == Progress::Success {
                                let release = release_of(connection, &deployment)?;
                                confirmed::installed(connection, &device, &release)?;
                            }
                            set(connection, (&deployment, &device), (end, None), now)?;
                        }
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Notes how far the device of `session` is with a deployment. Saying the same again changes
    /// nothing, and what is final stays.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it has no part in such a deployment; [`Refusal::Conflict`] when
    /// that was aborted meanwhile; [`Refusal::Forbidden`] for what only the hub can say; as
    /// [`Deployments::next`].
    pub async fn report(
        &self,
        session: &Session,
        deployment: &DeploymentId,
        progress: Progress,
        doing: Option<String>,
    ) -> Result<(), Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        if progress.is_for_the_hub_to_say() {
            return Err(Refusal::forbidden("saying so of a deployment"));
        }
        let doing = doing
            .map(|text| shown(&text))
            .filter(|text| !text.is_empty());
        let (deployment, now) = (deployment.clone(), self.clock.now());
        self.store
            .write_bulk(0, move |connection| {
                pass.check()?;
                let at = (&deployment, &device);
                let before = progress_of(connection, at)?;
                if before == Progress::Aborted {
                    let what = "the deployment";
                    return Err(Refusal::Conflict { what });
                }
                if before.is_final() {
                    return Ok(());
                }
                if matches!(progress, Progress::Success | Progress::AlreadyInstalled) {
                    let release = release_of(connection, &deployment)?;
                    confirmed::installed(connection, &device, &release)?;
                }
                set(connection, at, (progress, doing.as_deref()), now)
            })
            .await
    }

    /// Keeps what the device of `session` has to say of a deployment, the last [`MAX_LOG`] bytes of
    /// it, in the place of what it said before.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when it has no part in such a deployment; as [`Deployments::next`].
    pub async fn keep_log(
        &self,
        session: &Session,
        deployment: &DeploymentId,
        log: &str,
    ) -> Result<(), Refusal> {
        let (pass, device) = (session.pass(), session.device()?.clone());
        let (deployment, log) = (deployment.clone(), end_of(log).to_owned());
        self.store
            .write_bulk(log.len(), move |connection| {
                pass.check()?;
                let kept = connection
                    .prepare_cached(
                        "UPDATE deployment_devices SET log = ?3
                         WHERE deployment = ?1 AND device = ?2",
                    )?
                    .execute((&deployment, &device, &log))?;
                if kept == 1 {
                    Ok(())
                } else {
                    Err(Refusal::not_found("deployment", &deployment))
                }
            })
            .await
    }

    /// What a deployment brings the device of `session`, as long as it has not come to an end
    /// there.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Deployments::next`].
    pub async fn brought(
        &self,
        session: &Session,
        deployment: &DeploymentId,
    ) -> Result<Release, Refusal> {
        let (device, deployment) = (session.device()?.clone(), deployment.clone());
        let release = self
            .store
            .read(move |connection| {
                let progress = progress_of(connection, (&deployment, &device))?;
                if progress.is_final() {
                    return Err(Refusal::not_found("deployment", &deployment));
                }
                release_of(connection, &deployment)
            })
            .await?;
        session.pass().check()?;
        Ok(release)
    }
}

/// What becomes of a deployment for a device that asks.
#[derive(Debug)]
enum Turn {
    /// Its release is due.
    Due(Box<Release>),
    /// It has come to this end.
    Ends(Progress),
}

/// A deployment that a device waits for.
struct Waited {
    deployment: DeploymentId,
    progress: Progress,
    /// Whether its phase, its windows and its state let the device have it now.
    offered: bool,
}

/// What is to be done about what a device waits for, up to what is due for it. Changes nothing.
fn turns(
    connection: &Connection,
    device: &DeviceId,
    on: &On,
    now: Timestamp,
) -> Result<Vec<(DeploymentId, Turn)>, Refusal> {
    let mut turns = Vec::new();
    for waited in waiting(connection, device, now)? {
        let release = release_of(connection, &waited.deployment)?;
        let turn = match judge(connection, device, (&release, &waited), on)? {
            Some(end) => Turn::Ends(end),
            None if waited.offered => Turn::Due(Box::new(release)),
            None => continue,
        };
        let due = matches!(turn, Turn::Due(_));
        turns.push((waited.deployment, turn));
        if due {
            break;
        }
    }
    Ok(turns)
}

/// To what end a deployment comes for a device that asks, if to any. As long as it is not offered,
/// whether it fits stays open: until then the device may be on something else.
fn judge(
    connection: &Connection,
    device: &DeviceId,
    (release, waited): (&Release, &Waited),
    on: &On,
) -> Result<Option<Progress>, Refusal> {
    if release.retired.is_some() {
        return Ok(Some(Progress::Aborted));
    }
    if on.name == release.name.as_str() {
        if waited.progress == Progress::Pending {
            return Ok(Some(Progress::AlreadyInstalled));
        }
        // One that was at it has not been heard when it said that it was done.
        return Ok(Some(Progress::Success));
    }
    if !waited.offered {
        return Ok(None);
    }
    if !fits(release, on) {
        return Ok(Some(Progress::NoArtifact));
    }
    let older = confirmed::forbids(connection, device, release)?;
    Ok(older.then_some(Progress::Older))
}

/// Whether a release is for a device that is what `on` says.
fn fits(release: &Release, on: &On) -> bool {
    let described = &release.described;
    let of_type = described.device_types.contains(&on.device_type);
    let after = described.depends_name.is_empty() || described.depends_name.contains(&on.name);
    let mut depends = described.depends.iter();
    let right = depends.all(|(name, texts)| {
        let has = on.more.get(name);
        has.is_some_and(|has| texts.contains(has))
    });
    of_type && after && right
}

/// What a device waits for, the oldest first.
fn waiting(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Vec<Waited>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT dd.deployment, dd.progress, dd.phase, p.phase, p.state, p.plan
             FROM deployment_devices AS dd
             JOIN deployments AS p ON p.id = dd.deployment
             WHERE dd.device = ?1 AND dd.open = 1 ORDER BY p.seq LIMIT ?2",
        )?
        .query_map((device, MAX_WAITING), |row| {
            let (of, under_way): (u32, u32) = (row.get(2)?, row.get(3)?);
            let (state, plan): (State, Plan) =
                (table::from_text(row, 4)?, table::from_text(row, 5)?);
            Ok(Waited {
                deployment: row.get(0)?,
                progress: row.get(1)?,
                offered: of <= under_way && state == State::Running && plan.is_open(now),
            })
        })?
        .collect::<Result<_, _>>()?)
}

fn release_of(connection: &Connection, deployment: &DeploymentId) -> Result<Release, Refusal> {
    let name = connection
        .prepare_cached("SELECT release FROM deployments WHERE id = ?1")?
        .query_row([deployment], |row| row.get(0))
        .optional()?;
    let name = name.ok_or_else(|| Refusal::not_found("deployment", deployment))?;
    releases::find(connection, &name)
}

fn progress_of(
    connection: &Connection,
    (deployment, device): (&DeploymentId, &DeviceId),
) -> Result<Progress, Refusal> {
    connection
        .prepare_cached(
            "SELECT progress FROM deployment_devices WHERE deployment = ?1 AND device = ?2",
        )?
        .query_row((deployment, device), |row| row.get(0))
        .optional()?
        .ok_or_else(|| Refusal::not_found("deployment", deployment))
}

fn set(
    connection: &Connection,
    (deployment, device): (&DeploymentId, &DeviceId),
    (progress, doing): (Progress, Option<&str>),
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE deployment_devices SET progress = ?3, doing = ?4, open = ?5,
             changed = CASE WHEN progress = ?3 THEN changed ELSE ?6 END
             WHERE deployment = ?1 AND device = ?2",
        )?
        .execute((
            deployment,
            device,
            progress,
            doing,
            !progress.is_final(),
            now,
        ))?;
    if progress.is_final() {
        course::tend(connection, deployment, now)?;
    }
    Ok(())
}

/// What may be shown of a device's words.
fn shown(text: &str) -> String {
    let characters = text.chars().filter(|c| !c.is_control());
    characters.take(MAX_DOING).collect()
}

/// The last [`MAX_LOG`] bytes of a text, from the beginning of a character on.
fn end_of(text: &str) -> &str {
    let mut from = text.len().saturating_sub(MAX_LOG);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.split_at_checked(from).map_or("", |(_, end)| end)
}
