//! Deployments: a release on its way to some devices, and how far each of them is with it.
//!
//! A device asks what is due, and says how far it is until it has come to an end. What it has
//! confirmed to be on is remembered, and nothing older is offered to it, whoever deploys it, unless
//! who signed the release lets it go back ([`crate::releases::Version`] says what is older).

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::id::{DeploymentId, DeviceId, ReleaseName, SiteId, Tag};
use crate::identity::{Actor, Listed, Page, Role, device_seen_by, site_seen_by, words};
use crate::refusal::Refusal;
use crate::releases;
use crate::store::Store;
use crate::twin;

mod confirmed;
mod course;
mod devices;
mod plan;
mod steer;
mod table;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use course::{join, tend_all_of};
pub use devices::{Due, MAX_LOG, On};
pub use plan::{Ends, MAX_PHASES, Phases, Plan, Share, StopAt};
pub(crate) use table::{PLAN_SCHEMA, SCHEMA, end_of_release, forget_all};
pub use window::{MAX_WINDOWS, Windows};

/// The most devices of a deployment.
pub const MAX_DEVICES: usize = 10_000;

/// The most deployments that are kept. Above, the oldest goes that has come to its end.
pub const MAX_DEPLOYMENTS: u64 = 1_000;

/// The most deployments that one device waits for at a time.
pub const MAX_WAITING: u64 = 64;

/// How far a device is with a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It has not asked yet what is due.
    Pending,
    /// It fetches the release.
    Downloading,
    /// It waits to be allowed to install.
    PauseBeforeInstalling,
    /// It installs.
    Installing,
    /// It waits to be allowed to start anew.
    PauseBeforeRebooting,
    /// It starts anew.
    Rebooting,
    /// It waits to be allowed to keep what it has installed.
    PauseBeforeCommitting,
    /// It is on the release.
    Success,
    /// It is not, and has gone back if it could.
    Failure,
    /// It was on the release before it asked.
    AlreadyInstalled,
    /// The release is not for a device like it, and was not offered.
    NoArtifact,
    /// It has confirmed a newer release, and this one was not offered.
    Older,
    /// The deployment was aborted, or its release retired, before the device was done.
    Aborted,
}

words!(Progress {
    Pending => "pending",
    Downloading => "downloading",
    PauseBeforeInstalling => "pause-before-installing",
    Installing => "installing",
    PauseBeforeRebooting => "pause-before-rebooting",
    Rebooting => "rebooting",
    PauseBeforeCommitting => "pause-before-committing",
    Success => "success",
    Failure => "failure",
    AlreadyInstalled => "already-installed",
    NoArtifact => "no-artifact",
    Older => "older",
    Aborted => "aborted",
});

impl Progress {
    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending
            | Self::Downloading
            | Self::PauseBeforeInstalling
            | Self::Installing
            | Self::PauseBeforeRebooting
            | Self::Rebooting
            | Self::PauseBeforeCommitting => false,
            Self::Success
            | Self::Failure
            | Self::AlreadyInstalled
            | Self::NoArtifact
            | Self::Older
            | Self::Aborted => true,
        }
    }

    /// Whether no device says so of itself.
    fn is_for_the_hub_to_say(self) -> bool {
        matches!(
            self,
            Self::Pending | Self::NoArtifact | Self::Older | Self::Aborted
        )
    }
}

/// Whether a deployment goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Devices are offered its release.
    Running,
    /// Nobody is offered anything until somebody resumes it; who is at it goes on.
    Paused {
        /// Since when.
        since: Timestamp,
        /// By whom.
        by: String,
    },
    /// As [`State::Paused`], because too many devices have failed.
    Stopped {
        /// Since when.
        since: Timestamp,
        /// Which ends they had come to, since it was last resumed.
        ends: Ends,
    },
    /// It was ended before its time, or its release was retired.
    Aborted {
        /// Since when.
        since: Timestamp,
    },
    /// All its devices have come to an end, and none comes anew.
    Ended,
}

/// Those who have a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Which.
    pub tag: Tag,
    /// Whether devices that get it later are meant as well, until the deployment is aborted.
    pub stands: bool,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// Of what.
    pub release: ReleaseName,
    /// Who made it.
    pub by: String,
    /// Since when it is there.
    pub created: Timestamp,
    /// Whether it goes on.
    pub state: State,
    /// How.
    pub plan: Plan,
    /// The place of the phase that is under way, the first being 0.
    pub phase: u32,
    /// To which tag, if to one.
    pub tagged: Option<Tagged>,
    /// How many devices are how far; of those that its reader sees.
    pub counts: Vec<(Progress, u64)>,
}

/// A device of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Which.
    pub device: DeviceId,
    /// How far it is.
    pub progress: Progress,
    /// What exactly it does, in words of its own.
    pub doing: Option<String>,
    /// Since when.
    pub changed: Timestamp,
    /// Whether it has sent a log.
    pub has_log: bool,
    /// The place of its phase, the first being 0.
    pub phase: u32,
}

/// Which devices get a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These.
    Devices(Vec<DeviceId>),
    /// All that stand at a site now.
    Site(SiteId),
    /// All that have a tag, of those that who deploys it sees. Those that get it later are of the
    /// last phase.
    Tag(Tagged),
}

/// All deployments. Whoever sees a site sees those that have devices there, and of them those
/// devices.
#[derive(Clone, Debug)]
pub struct Deployments {
    store: Store,
    clock: Clock,
}

impl Deployments {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Deploys a release, as `plan` says. Devices that are away get it when they come. Which device
    /// is of which phase is by chance, and stays.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`] for a release, device or site that
    /// there is not, or that `actor` does not see, and for a release that is retired;
    /// [`Refusal::Invalid`] without any device; [`Refusal::TooMany`] beyond [`MAX_DEVICES`],
    /// [`MAX_WAITING`] or [`MAX_DEPLOYMENTS`]; as the store.
    pub async fn create(
        &self,
        actor: &Actor,
        release: ReleaseName,
        target: Target,
        plan: Plan,
    ) -> Result<Deployment, Refusal> {
        actor.require(Role::Operator, "deploying a release")?;
        let tagged = match &target {
            Target::Tag(tagged) => Some(tagged.clone()),
            Target::Devices(_) | Target::Site(_) => None,
        };
        let deployment = Deployment {
            id: DeploymentId::made_up()?,
            release,
            by: actor.name(),
            created: self.clock.now(),
            state: State::Running,
            plan,
            phase: 0,
            tagged,
            counts: Vec::new(),
        };
        let actor = actor.clone();
        self.store
            .write_bulk(0, move |connection| {
                actor.check()?;
                let release = releases::find(connection, &deployment.release)?;
                if release.retired.is_some() {
                    return Err(Refusal::not_found("release", &release.name));
                }
                let devices = devices_of(connection, &actor, target)?;
                table::make_room(connection)?;
                let phases = course::in_phases(&deployment, devices);
                table::insert(connection, &deployment, actor.scope.site(), &phases)?;
                course::tend(connection, &deployment.id, deployment.created)?;
                let detail = json!({
                    "release": deployment.release, "devices": phases.len(),
                    "plan": deployment.plan,
                });
                let on = on(&deployment.id);
                let act = "deployment.create";
                audit::append(connection, deployment.created, &actor, act, &on, &detail)?;
                table::find(connection, &actor, &deployment.id)
            })
            .await
    }

    /// A deployment.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when there is none such, or none that `actor` sees; as the store.
    pub async fn get(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        let (actor, id) = (actor.clone(), id.clone());
        self.store
            .read(move |connection| table::find(connection, &actor, &id))
            .await
    }

    /// Lists deployments, the newest first.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` is no good; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Deployment>, Refusal> {
        let (actor, page, fetch) = (actor.clone(), page.clone(), page.fetch()?);
        let before = table::place_of(page.after.as_deref())?;
        self.store
            .read(move |connection| {
                let found = table::before(connection, &actor, before, fetch)?;
                let listed = Listed::of(found, &page, |(seq, _)| seq.to_string());
                let items = listed.items.into_iter().map(|(_, one)| one).collect();
                let next = listed.next;
                Ok(Listed { items, next })
            })
            .await
    }

    /// Lists the devices of a deployment, by name.
    ///
    /// # Errors
    /// As [`Deployments::get`]; [`Refusal::Invalid`] when `page` has no good limit.
    pub async fn devices(
        &self,
        actor: &Actor,
        id: &DeploymentId,
        page: &Page,
    ) -> Result<Listed<Deployed>, Refusal> {
        let (actor, id, page, fetch) = (actor.clone(), id.clone(), page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                table::find(connection, &actor, &id)?;
                let devices = table::devices_after(connection, &actor, &id, page.after(), fetch)?;
                Ok(Listed::of(devices, &page, |one| one.device.to_string()))
            })
            .await
    }

    /// What a device of a deployment had to say of it: lines, the last [`MAX_LOG`] bytes of them.
    ///
    /// # Errors
    /// As [`Deployments::get`]; [`Refusal::NotFound`] also when it has said nothing.
    pub async fn log(
        &self,
        actor: &Actor,
        id: &DeploymentId,
        device: &DeviceId,
    ) -> Result<String, Refusal> {
        let (actor, id, device) = (actor.clone(), id.clone(), device.clone());
        self.store
            .read(move |connection| {
                device_seen_by(connection, &actor, &device)?;
                let log = table::log(connection, &id, &device)?;
                log.ok_or_else(|| Refusal::not_found("log of device", &device))
            })
            .await
    }
}

/// The devices that `target` means, each once, in order.
fn devices_of(
    connection: &Connection,
    actor: &Actor,
    target: Target,
) -> Result<Vec<DeviceId>, Refusal> {
    let devices = match target {
        Target::Devices(mut devices) => {
            devices.sort();
            devices.dedup();
            check_count(devices.len())?;
            for device in &devices {
                device_seen_by(connection, actor, device)?;
            }
            devices
        }
        Target::Site(site) => {
            site_seen_by(connection, actor, &site)?;
            table::devices_at(connection, &site)?
        }
        Target::Tag(Tagged { tag, stands }) => {
            let only = actor.scope.site();
            let devices = twin::devices_with(connection, &tag, only, MAX_DEVICES + 1)?;
            if stands && devices.is_empty() {
                return Ok(devices);
            }
            devices
        }
    };
    check_count(devices.len())?;
    for device in &devices {
        if table::count_waiting(connection, device)? >= MAX_WAITING {
            let (what, limit) = ("deployments that a device waits for", MAX_WAITING);
            return Err(Refusal::TooMany { what, limit });
        }
    }
    Ok(devices)
}

fn check_count(devices: usize) -> Result<(), Refusal> {
    match devices {
        0 => Err(Refusal::invalid("devices", "at least one")),
        1..=MAX_DEVICES => Ok(()),
        _ => {
            let (what, limit) = ("devices of a deployment", MAX_DEVICES as u64);
            Err(Refusal::TooMany { what, limit })
        }
    }
}

/// How a deployment is called in the audit log.
fn on(id: &DeploymentId) -> String {
    format!("deployment/{id}")
}
