//! Twins that a device has beside its own, under names; and what a device writes into either half
//! of any of its twins.
//!
//! What operators want of a device, the device itself may write too: some devices take back what
//! was wanted of them once they are so.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::table::{self, Side};
use super::{Edit, Half, MAX_DOCUMENT, Twin, Twins, merge};
use crate::acting;
use crate::announcement::Announcement;
use crate::clock::Timestamp;
use crate::id::{DeviceId, TwinName};
use crate::identity::Actor;
use crate::refusal::Refusal;
use crate::sessions::{Pass, Session, Signal};

/// The most twins that a device has beside its own.
pub const MAX_NAMED: usize = 10;

/// The most bytes of both documents of such a twin together, as texts without spaces.
pub const MAX_NAMED_BYTES: usize = 8 * 1024;

/// A twin beside the device's own.
#[derive(Clone, Debug)]
pub struct NamedTwin {
    /// Its name.
    pub name: TwinName,
    /// The twin.
    pub twin: Twin,
}

/// What a device writes into a twin of its own.
#[derive(Clone, Debug)]
pub enum Change {
    /// Into both halves at once.
    Edit {
        /// Into what is wanted of it.
        desired: Option<Edit>,
        /// Into what it says.
        reported: Option<Edit>,
    },
    /// Nothing stays in either half. The versions go on.
    Clear,
}

/// What has become of a twin.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As it was.
    pub before: Twin,
    /// As it is.
    pub after: Twin,
}

impl Twins {
    /// A twin of the device of `session`: its own, or that of this name.
    ///
    /// # Errors
    /// As [`Twins::own`].
    pub async fn own_of(
        &self,
        session: &Session,
        name: Option<&TwinName>,
    ) -> Result<Twin, Refusal> {
        let (device, name) = (session.device()?.clone(), name.cloned());
        let read = move |connection: &Connection| twin(connection, device, name.as_ref());
        let twin = self.store.read(read).await?;
        session.pass().check()?;
        Ok(twin)
    }

    /// The twins that the device of `session` has beside its own, by their names.
    ///
    /// # Errors
    /// As [`Twins::own`].
    pub async fn own_named(&self, session: &Session) -> Result<Vec<NamedTwin>, Refusal> {
        let device = session.device()?.clone();
        let read = move |connection: &Connection| named(connection, &device);
        let all = self.store.read(read).await?;
        session.pass().check()?;
        Ok(all)
    }

    /// The twins that a device has beside its own, as an operator sees them, by their names.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn named(&self, actor: &Actor, device: &DeviceId) -> Result<Vec<NamedTwin>, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        self.store
            .read(move |connection| {
                acting::may_see(connection, &actor, &device)?;
                named(connection, &device)
            })
            .await
    }

    /// Merges `patch` (RFC 7396) into the desired half of the twin of that name, if the half's
    /// version is still `if_version`, and tells the device's sessions. Returns the half as it is
    /// then, on the disk.
    ///
    /// # Errors
    /// As [`Twins::desire`]; [`Refusal::TooLarge`] above [`MAX_NAMED_BYTES`];
    /// [`Refusal::TooMany`] when the device has [`MAX_NAMED`] others.
    pub async fn desire_of(
        &self,
        actor: &Actor,
        device: &DeviceId,
        name: &TwinName,
        patch: Value,
        if_version: Option<u64>,
    ) -> Result<Half, Refusal> {
        merge::check(&patch)?;
        let (twins, actor) = (self.clone(), actor.clone());
        let (device, name) = (device.clone(), name.clone());
        let (half, told) = self
            .store
            .write_bulk(MAX_NAMED_BYTES, move |connection| {
                let now = twins.clock.now();
                let before = table::twin_of(connection, device.clone(), &name)?;
                let from = before.desired.version;
                let detail = json!({"twin": name.as_str(), "from-version": from});
                acting::act(connection, &actor, &device, (now, "twin.desire"), &detail)?;
                if if_version.is_some_and(|version| version != from) {
                    return Err(Refusal::Conflict {
                        what: "the desired twin",
                    });
                }
                let change = Change::Edit {
                    desired: Some(Edit::Merge(patch)),
                    reported: None,
                };
                let (changed, told) = twins.write(connection, before, Some(&name), change, now)?;
                Ok((changed.after.desired, told))
            })
            .await?;
        drop(told);
        Ok(half)
    }

    /// Writes `change` into a twin of the device that has this right to act, its own or that of
    /// this name, if [`Twin::version`] is still `if_version`. Returns it as it was and as it is,
    /// on the disk. What changes nothing leaves the version as it is.
    ///
    /// # Errors
    /// As [`Twins::report`]; [`Refusal::Conflict`] when it has another version;
    /// [`Refusal::NotFound`] when there is nothing to clear; of a twin with a name
    /// [`Refusal::TooLarge`] above [`MAX_NAMED_BYTES`] and [`Refusal::TooMany`] when there are
    /// [`MAX_NAMED`] others.
    pub async fn change(
        &self,
        pass: Pass,
        name: Option<TwinName>,
        change: Change,
        if_version: Option<u64>,
    ) -> Result<Changed, Refusal> {
        if let Change::Edit { desired, reported } = &change {
            let edits = [desired, reported];
            edits.into_iter().flatten().try_for_each(Edit::check)?;
        }
        let device = pass.device()?.clone();
        self.reporting.take(&pass)?;
        let twins = self.clone();
        let (changed, told) = self
            .store
            .write_bulk(2 * MAX_DOCUMENT, move |connection| {
                pass.check()?;
                let name = name.as_ref();
                let before = twin(connection, device, name)?;
                if if_version.is_some_and(|version| version != before.version()) {
                    return Err(Refusal::Conflict { what: "the twin" });
                }
                let now = twins.clock.now();
                twins.write(connection, before, name, change, now)
            })
            .await?;
        drop(told);
        Ok(changed)
    }

    /// Writes, and tells of it once the second result is dropped.
    fn write(
        &self,
        connection: &Connection,
        before: Twin,
        name: Option<&TwinName>,
        change: Change,
        now: Timestamp,
    ) -> Result<(Changed, impl Send + use<>), Refusal> {
        let (desired, reported) = match change {
            Change::Edit { desired, reported } => (desired, reported),
            Change::Clear if before.is_empty() => {
                let id = name.map_or(before.device.as_str(), TwinName::as_str);
                return Err(Refusal::not_found("twin", id));
            }
            Change::Clear => {
                let nothing = Edit::Replace(Value::Object(Map::new()));
                (Some(nothing.clone()), Some(nothing))
            }
        };
        let changed_to = |half: &Half, edit: Option<Edit>| match edit {
            Some(edit) => half.changed_to(edit.of(half), now),
            None => Ok(None),
        };
        let desired = changed_to(&before.desired, desired)?;
        let reported = changed_to(&before.reported, reported)?;
        let after = Twin {
            device: before.device.clone(),
            desired: desired.as_ref().unwrap_or(&before.desired).clone(),
            reported: reported.as_ref().unwrap_or(&before.reported).clone(),
        };
        if name.is_some() {
            check_named(&after)?;
        }
        let device = &after.device;
        let mut told: Vec<Box<dyn Send>> = Vec::new();
        for (side, half) in [(Side::Desired, desired), (Side::Reported, reported)] {
            let Some(half) = half else {
                continue;
            };
            match name {
                None => {
                    table::keep(connection, device, side, &half)?;
                    told.push(Box::new(self.news(device.clone(), side)));
                }
                Some(name) => {
                    make_room(connection, device, name)?;
                    table::keep_of(connection, device, name, (side, &half))?;
                    told.push(Box::new(self.news_of(device.clone(), name, side)));
                }
            }
        }
        Ok((Changed { before, after }, told))
    }

    /// Tells of a change of the twin of that name, once it is dropped.
    fn news_of(
        &self,
        device: DeviceId,
        name: &TwinName,
        side: Side,
    ) -> Announcement<impl FnMut() + Send + use<>> {
        let (sessions, changed) = (self.sessions.clone(), self.changed.clone());
        let signal = Signal::DesiredOf(name.clone());
        Announcement::new(move || {
            match side {
                Side::Desired => {
                    sessions.signal(&device, &signal);
                }
                Side::Reported | Side::Tags => {}
            }
            // Nobody may be looking on.
            let _ = changed.send(device.clone());
        })
    }
}

fn twin(
    connection: &Connection,
    device: DeviceId,
    name: Option<&TwinName>,
) -> Result<Twin, Refusal> {
    match name {
        None => table::twin(connection, device),
        Some(name) => table::twin_of(connection, device, name),
    }
}

/// All that are there: what was cleared is not.
fn named(connection: &Connection, device: &DeviceId) -> Result<Vec<NamedTwin>, Refusal> {
    let mut all = Vec::new();
    for name in table::names(connection, device)? {
        let twin = table::twin_of(connection, device.clone(), &name)?;
        if !twin.is_empty() {
            all.push(NamedTwin { name, twin });
        }
    }
    Ok(all)
}

/// Makes room for the twin of that name. The versions of what was cleared are forgotten when others
/// need their place.
fn make_room(connection: &Connection, device: &DeviceId, name: &TwinName) -> Result<(), Refusal> {
    let names = table::names(connection, device)?;
    if names.contains(name) || names.len() < MAX_NAMED {
        return Ok(());
    }
    for other in &names {
        if table::twin_of(connection, device.clone(), other)?.is_empty() {
            return table::forget_named(connection, device, other);
        }
    }
    Err(Refusal::TooMany {
        what: "twins with a name",
        limit: MAX_NAMED as u64,
    })
}

fn check_named(twin: &Twin) -> Result<(), Refusal> {
    let size = |half: &Half| half.document.to_string().len();
    if size(&twin.desired) + size(&twin.reported) > MAX_NAMED_BYTES {
        return Err(Refusal::TooLarge {
            what: "bytes of a twin with a name",
            limit: MAX_NAMED_BYTES as u64,
        });
    }
    Ok(())
}
