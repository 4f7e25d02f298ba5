//! Deployments: a release on its way to some devices, and how far each of them is with it.
//!
//! A device asks what is due, and says how far it is until it has come to an end. What it has
//! confirmed to be on is remembered, and nothing older is offered to it, whoever deploys it, unless
//! who signed the release lets it go back ([`crate::releases::Version`] says what is older).

use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::id::{DeploymentId, DeviceId, ReleaseName, SiteId};
use crate::identity::{Actor, Listed, Page, Role, device_seen_by, site_seen_by, words};
use crate::refusal::Refusal;
use crate::releases;
use crate::store::Store;

mod confirmed;
mod devices;
mod table;
#[cfg(test)]
mod tests;

pub use devices::{Due, MAX_LOG, On};
pub(crate) use table::{SCHEMA, end_of_release, forget_all};

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
    /// Since when it has ended before its time.
    pub aborted: Option<Timestamp>,
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
}

/// Which devices get a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These.
    Devices(Vec<DeviceId>),
    /// All that stand at a site now.
    Site(SiteId),
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

    /// Deploys a release. Devices that are away get it when they come.
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
    ) -> Result<Deployment, Refusal> {
        actor.require(Role::Operator, "deploying a release")?;
        let deployment = Deployment {
            id: DeploymentId::made_up()?,
            release,
            by: actor.name(),
            created: self.clock.now(),
            aborted: None,
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
                table::insert(connection, &deployment, &devices)?;
                let detail = json!({"release": deployment.release, "devices": devices.len()});
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

    /// Ends a deployment before its time: devices that are not done are offered nothing more by
    /// it, and those that are at it are told when they next say how far they are. Ending it again
    /// does nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, and for who does not see all of its devices;
    /// [`Refusal::NotFound`]; as the store.
    pub async fn abort(&self, actor: &Actor, id: &DeploymentId) -> Result<Deployment, Refusal> {
        actor.require(Role::Operator, "aborting a deployment")?;
        let (actor, id, now) = (actor.clone(), id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                actor.check()?;
                table::find(connection, &actor, &id)?;
                if !table::sees_all_of(connection, &actor, &id)? {
                    return Err(Refusal::forbidden("aborting a deployment at other sites"));
                }
                table::end(connection, &id, now)?;
                let act = "deployment.abort";
                audit::append(connection, now, &actor, act, &on(&id), &json!({}))?;
                table::find(connection, &actor, &id)
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
