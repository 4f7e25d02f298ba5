//! What operators write into a twin beyond a patch of what they desire: all of it at once, and tags,
//! by which they find devices and which devices are not told of.

use serde_json::{Map, Value, json};

use super::table::{self, Side};
use super::{Half, MAX_DOCUMENT, Twin, Twins, merge};
use crate::acting;
use crate::id::DeviceId;
use crate::identity::Actor;
use crate::refusal::Refusal;

/// A twin with its tags.
#[derive(Clone, Debug)]
pub struct Described {
    /// What operators want, and what the device says.
    pub twin: Twin,
    /// What operators say of the device to each other.
    pub tags: Half,
}

/// How a document is changed.
#[derive(Clone, Debug)]
pub enum Edit {
    /// By a merge patch (RFC 7396).
    Merge(Value),
    /// By another in its place, of which what is `null` is left out.
    Replace(Value),
}

/// What operators write at once.
#[derive(Clone, Debug, Default)]
pub struct Steering {
    /// Into what they desire.
    pub desired: Option<Edit>,
    /// Into the tags.
    pub tags: Option<Edit>,
}

/// What must still be so for a [`Steering`] to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfVersion {
    /// [`Described::version`].
    Described(u64),
    /// The version of the tags alone, whatever has become of what is desired.
    Tags(u64),
}

impl IfVersion {
    fn holds(self, before: &Described) -> bool {
        match self {
            Self::Described(version) => version == before.version(),
            Self::Tags(version) => version == before.tags.version,
        }
    }
}

impl Edit {
    /// Checks the document before it is written.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let (Self::Merge(document) | Self::Replace(document)) = self;
        merge::check(document)
    }

    /// What becomes of the document of `half`.
    pub(super) fn of(self, half: &Half) -> Value {
        match self {
            Self::Merge(patch) => merge::merge(half.document.clone(), patch),
            Self::Replace(document) => merge::merge(Value::Object(Map::new()), document),
        }
    }
}

impl Described {
    /// Goes up with each change of what operators write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.twin.desired.version + self.tags.version
    }
}

impl Twins {
    /// A device's twin with its tags.
    ///
    /// # Errors
    /// As [`Twins::get`].
    pub async fn described(&self, actor: &Actor, device: &DeviceId) -> Result<Described, Refusal> {
        let (actor, device) = (actor.clone(), device.clone());
        self.store
            .read(move |connection| {
                acting::may_see(connection, &actor, &device)?;
                described(connection, device)
            })
            .await
    }

    /// Writes into the desired half and the tags, if `if_version` still holds, and tells the
    /// device's sessions of what is desired. Returns the twin as it is then, on the disk.
    ///
    /// # Errors
    /// As [`Twins::desire`].
    pub async fn steer(
        &self,
        actor: &Actor,
        device: &DeviceId,
        steering: Steering,
        if_version: Option<IfVersion>,
    ) -> Result<Described, Refusal> {
        let all = [&steering.desired, &steering.tags];
        all.into_iter().flatten().try_for_each(Edit::check)?;
        let (twins, actor, device) = (self.clone(), actor.clone(), device.clone());
        let (described, told) = self
            .store
            .write_bulk(2 * MAX_DOCUMENT, move |connection| {
                let now = twins.clock.now();
                let before = described(connection, device.clone())?;
                let detail = json!({"from-version": before.version()});
                acting::act(connection, &actor, &device, (now, "twin.steer"), &detail)?;
                if if_version.is_some_and(|version| !version.holds(&before)) {
                    return Err(Refusal::Conflict { what: "the twin" });
                }
                let mut told = Vec::new();
                let halves = [
                    (Side::Desired, &before.twin.desired, steering.desired),
                    (Side::Tags, &before.tags, steering.tags),
                ];
                for (side, half, edit) in halves {
                    let Some(edit) = edit else {
                        continue;
                    };
                    if let Some(half) = half.changed_to(edit.of(half), now)? {
                        table::keep(connection, &device, side, &half)?;
                        told.push(twins.news(device.clone(), side));
                    }
                }
                Ok((described(connection, device)?, told))
            })
            .await?;
        drop(told);
        Ok(described)
    }
}

fn described(connection: &rusqlite::Connection, device: DeviceId) -> Result<Described, Refusal> {
    Ok(Described {
        tags: table::half(connection, &device, Side::Tags)?,
        twin: table::twin(connection, device)?,
    })
}
