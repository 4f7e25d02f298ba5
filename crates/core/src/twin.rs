//! The twin: what a device is wanted to be, and what it says it is.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use crate::acting;
use crate::announcement::Announcement;
use crate::clock::{Clock, Timestamp};
use crate::happening::Hook;
use crate::id::DeviceId;
use crate::identity::Actor;
use crate::limits::{Limits, Rate, Turns};
use crate::messages::Inbound;
use crate::refusal::Refusal;
use crate::sessions::{Pass, Session, Sessions, Signal};
use crate::store::Store;

use table::Side;

mod merge;
mod named;
mod steer;
mod table;
mod tags;

pub use merge::{MAX_DEPTH, MAX_DOCUMENT};
pub use named::{Change, Changed, MAX_NAMED, MAX_NAMED_BYTES, NamedTwin};
pub use steer::{Described, Edit, IfVersion, Steering};
pub(crate) use table::{SCHEMA, forget};
pub use tags::{MAX_TAGS, of as tags_of};
pub(crate) use tags::{SCHEMA as TAGS_SCHEMA, devices_with};

/// The most changes that somebody who looks on may lag behind before they miss some.
const MAX_UNSEEN_CHANGES: usize = 1_024;

/// One half of a twin.
#[derive(Clone, Debug, Serialize)]
pub struct Half {
    /// The document: a JSON object of at most [`MAX_DOCUMENT`] bytes, at most [`MAX_DEPTH`] deep.
    pub document: Value,
    /// Goes up by one with each change; 0 before the first.
    pub version: u64,
    /// When it last changed.
    pub changed: Option<Timestamp>,
}

/// A device's twin.
#[derive(Clone, Debug, Serialize)]
pub struct Twin {
    /// Whose.
    pub device: DeviceId,
    /// What operators want.
    pub desired: Half,
    /// What the device says.
    pub reported: Half,
}

impl Twin {
    /// Goes up with each change of either half.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.desired.version + self.reported.version
    }

    /// Whether nothing stands in either half.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.desired.is_empty() && self.reported.is_empty()
    }
}

/// The twins of all devices.
#[derive(Clone, Debug)]
pub struct Twins {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    changed: broadcast::Sender<DeviceId>,
    reporting: Arc<Turns>,
}

impl Twins {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        sessions: Sessions,
        limits: &Limits,
        hook: Hook,
    ) -> Self {
        let turns = Turns::new("reports", reporting(limits), clock.clone(), hook);
        Self {
            reporting: Arc::new(turns),
            store,
            clock,
            sessions,
            changed: broadcast::Sender::new(MAX_UNSEEN_CHANGES),
        }
    }

    /// Goes on with other limits.
    pub fn limit(&self, limits: &Limits) {
        self.reporting.set(reporting(limits));
    }

    /// A device's twin, as an operator sees it.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn get(&self, actor: &Actor, device: &DeviceId) -> Result<Twin, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        self.store
            .read(move |connection| {
                acting::may_see(connection, &actor, &device)?;
                table::twin(connection, device)
            })
            .await
    }

    /// Merges `patch` (RFC 7396) into the desired half, if its version is still `if_version`, and
    /// tells the device's sessions. Returns the half as it is then, on the disk. A patch that
    /// changes nothing leaves the version as it is.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when it has another version; [`Refusal::Invalid`] when the patch is
    /// not an object; [`Refusal::TooLarge`] when it or what comes of it is too large or too deep;
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn desire(
        &self,
        actor: &Actor,
        device: &DeviceId,
        patch: Value,
        if_version: Option<u64>,
    ) -> Result<Half, Refusal> {
        merge::check(&patch)?;
        let (twins, actor, device) = (self.clone(), actor.clone(), device.clone());
        let (half, told) = self
            .store
            .write_bulk(MAX_DOCUMENT, move |connection| {
                let now = twins.clock.now();
                let before = table::half(connection, &device, Side::Desired)?;
                let detail = json!({"from-version": before.version});
                acting::act(connection, &actor, &device, (now, "twin.desire"), &detail)?;
                if if_version.is_some_and(|version| version != before.version) {
                    return Err(Refusal::Conflict {
                        what: "the desired twin",
                    });
                }
                let Some(half) = before.patched(patch, now)? else {
                    return Ok((table::half(connection, &device, Side::Desired)?, None));
                };
                table::keep(connection, &device, Side::Desired, &half)?;
                Ok((half, Some(twins.news(device, Side::Desired))))
            })
            .await?;
        drop(told);
        Ok(half)
    }

    /// The twin of the device of `session`.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn own(&self, session: &Session) -> Result<Twin, Refusal> {
        let device = session.device()?.clone();
        let twin = self
            .store
            .read(move |connection| table::twin(connection, device))
            .await?;
        session.pass().check()?;
        Ok(twin)
    }

    /// Merges `patch` (RFC 7396) into the reported half of the device of `session`. Returns the
    /// half as it is then, on the disk. A patch that changes nothing leaves the version as it is.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when the patch is not an object; [`Refusal::TooLarge`] when it or what
    /// comes of it is too large or too deep; [`Refusal::Forbidden`] when the session is not a
    /// device's; [`Refusal::Limited`] when it comes too soon after others; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn report(&self, session: &Session, patch: Value) -> Result<Half, Refusal> {
        self.report_noting(session.pass(), patch, None, None).await
    }

    /// As [`Twins::report`], with the right to act of a session, if its version is still
    /// `if_version`; and notes in the same commit the packet that brought it.
    ///
    /// # Errors
    /// As [`Twins::report`]; [`Refusal::Conflict`] when it has another version.
    pub async fn report_noting(
        &self,
        pass: Pass,
        patch: Value,
        if_version: Option<u64>,
        inbound: Option<Inbound>,
    ) -> Result<Half, Refusal> {
        merge::check(&patch)?;
        let device = pass.device()?.clone();
        self.reporting.take(&pass)?;
        let twins = self.clone();
        let (half, told) = self
            .store
            .write_bulk(MAX_DOCUMENT, move |connection| {
                pass.check()?;
                inbound
                    .iter()
                    .try_for_each(|inbound| inbound.note(connection))?;
                let before = table::half(connection, &device, Side::Reported)?;
                if if_version.is_some_and(|version| version != before.version) {
                    return Err(Refusal::Conflict {
                        what: "the reported twin",
                    });
                }
                let Some(half) = before.patched(patch, twins.clock.now())? else {
                    return Ok((table::half(connection, &device, Side::Reported)?, None));
                };
                table::keep(connection, &device, Side::Reported, &half)?;
                Ok((half, Some(twins.news(device, Side::Reported))))
            })
            .await?;
        drop(told);
        Ok(half)
    }

    /// What has changed in any twin: its device's name, to those who look on. Who lags behind too
    /// far is told so by the receiver, and reads again what they look at.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<DeviceId> {
        self.changed.subscribe()
    }

    /// Tells of a change, once it is dropped.
    fn news(&self, device: DeviceId, side: Side) -> Announcement<impl FnMut() + Send + use<>> {
        let (sessions, changed) = (self.sessions.clone(), self.changed.clone());
        Announcement::new(move || {
            match side {
                Side::Desired => {
                    sessions.signal(&device, &Signal::Desired);
                }
                Side::Reported | Side::Tags => {}
            }
            // Nobody may be looking on.
            let _ = changed.send(device.clone());
        })
    }
}

fn reporting(limits: &Limits) -> Rate {
    Rate::a_second(limits.reports_a_second, limits.report_burst)
}

impl Half {
    fn is_empty(&self) -> bool {
        self.document.as_object().is_none_or(Map::is_empty)
    }

    /// This half with `patch` merged into it; `None` when that changes nothing.
    fn patched(&self, patch: Value, now: Timestamp) -> Result<Option<Self>, Refusal> {
        self.changed_to(merge::merge(self.document.clone(), patch), now)
    }

    /// This half with another document; `None` when it is the same.
    fn changed_to(&self, document: Value, now: Timestamp) -> Result<Option<Self>, Refusal> {
        if document == self.document {
            return Ok(None);
        }
        merge::check(&document)?;
        Ok(Some(Self {
            document,
            version: self.version + 1,
            changed: Some(now),
        }))
    }
}
