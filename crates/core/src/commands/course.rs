//! How far devices say that they are with their commands, for those that begin one by its name and
//! report on it, rather than take them as they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::leases::{Claim, Standing};
use super::{Command, CommandState, Commands, Settlement, place_of, table};
use crate::clock::Timestamp;
use crate::id::{CommandId, DeviceId};
use crate::refusal::Refusal;
use crate::sessions::Session;

/// What came later: how far a device says that it is.
pub(crate) const SCHEMA: &str = "
ALTER TABLE commands ADD COLUMN course TEXT;
";

/// The most texts by which a device says how far it is.
const MAX_DETAILS: usize = 10;

/// The most bytes of all of them together, names and texts.
const MAX_DETAILS_BYTES: usize = 16 * 1024;

/// The most commands that are looked at in one go.
const MAX_WAITING: u32 = 100;

/// How far a device says that it is with a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// What it says of that: at most 10 texts, 16 KiB together.
    pub details: BTreeMap<String, String>,
    /// Goes up by one when it begins, and with each report; 0 before.
    pub version: u64,
    /// When it has begun.
    pub begun: Option<Timestamp>,
    /// When it last said something.
    pub changed: Option<Timestamp>,
    /// Whether a device that has rejected the command could not do it, rather than would not.
    pub failed: bool,
}

/// A command, and how far its device says that it is with it.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The command.
    pub command: Command,
    /// How far.
    pub course: Course,
}

/// How far a device says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has begun.
    Begun,
    /// It is done.
    Completed,
    /// It could not do it.
    Failed,
    /// It would not do it.
    Rejected,
}

/// A device's report on a command.
#[derive(Clone, Debug)]
pub struct Report {
    /// How far it is.
    pub stage: Stage,
    /// What else it says; what it has said before stays where this says nothing.
    pub details: Option<BTreeMap<String, String>>,
    /// Which version [`Course::version`] has to be.
    pub if_version: Option<u64>,
}

impl Stage {
    fn settlement(self) -> Option<Settlement> {
        match self {
            Self::Begun => None,
            Self::Completed => Some(Settlement::Completed),
            Self::Failed | Self::Rejected => Some(Settlement::Rejected),
        }
    }
}

impl Commands {
    /// The open commands of the device of `session`, in order, at most `limit`; without their
    /// payloads. Nothing is taken.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn own_open(&self, session: &Session, limit: u32) -> Result<Vec<Followed>, Refusal> {
        let (device, now) = (session.device()?.clone(), self.clock.now());
        let limit = limit.min(MAX_WAITING);
        let open = self
            .store
            .read(move |connection| table::open_without_payload(connection, &device, now, limit))
            .await?;
        session.pass().check()?;
        Ok(open)
    }

    /// One command of the device of `session`, with its payload. Nothing is taken.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as [`Commands::own_open`].
    pub async fn own_one(&self, session: &Session, id: &CommandId) -> Result<Followed, Refusal> {
        let (device, id) = (session.device()?.clone(), id.clone());
        let commands = self.clone();
        let mut followed = self
            .store
            .read(move |connection| commands.followed(connection, &device, &id))
            .await?;
        session.pass().check()?;
        let device = followed.command.device.clone();
        self.date(&device, std::slice::from_mut(&mut followed.command));
        Ok(followed)
    }

    /// Begins the next command of the device of `session`: one that was begun before and is not
    /// settled, or the first in the queue. It is this session's until settled or it ends. None
    /// when there is none, or when another live session of the device has some.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] for too many details; as [`Commands::own_open`].
    pub async fn begin(
        &self,
        session: &Session,
        details: Option<BTreeMap<String, String>>,
    ) -> Result<Option<Followed>, Refusal> {
        check(details.as_ref())?;
        let device = session.device()?.clone();
        let (holder, pass) = (session.presence().id.clone(), session.pass());
        let waits = Arc::new(());
        let caller = Arc::downgrade(&waits);
        let commands = self.clone();
        let begun = self
            .store
            .write(move |connection| {
                pass.check()?;
                let now = commands.clock.now();
                table::expire(connection, &device, now)?;
                let Some(id) = table::next_open(connection, &device)? else {
                    return Ok(None);
                };
                let held = match commands.leases.standing(&device, &holder) {
                    Standing::Own(held) => held,
                    Standing::Foreign(held) if table::any_open(connection, &device, &held)? => {
                        return Ok(None);
                    }
                    Standing::Foreign(_) => std::collections::BTreeSet::new(),
                };
                let mut followed = commands.followed(connection, &device, &id)?;
                let is_new = followed.course.begun.is_none();
                // What was said of one that is under way stays, as with AWS's jobs.
                if is_new {
                    followed.course.say(details, now);
                    table::keep_course(connection, &followed)?;
                }
                let seq = followed.command.seq;
                let mut places = Vec::new();
                if !held.contains(&seq) {
                    table::count_delivery(connection, &mut followed.command)?;
                    places.push(seq);
                }
                let claim = commands.leases.claim(&device, &holder, places, caller);
                Ok(Some((followed, claim)))
            })
            .await?;
        Ok(begun.map(|(followed, claim)| self.begun(followed, claim)))
    }

    fn begun(&self, mut followed: Followed, claim: Claim) -> Followed {
        claim.keep();
        // Nobody may be looking on.
        let _ = self.changed.send(followed.command.device.clone());
        self.tell(1, "delivered");
        followed.command.state = CommandState::Delivered;
        followed
    }

    /// Takes up a device's report on one of its commands, whether it was begun or not. It is on
    /// the disk when this returns; a command that has ended has no payload any more.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the device has no such command; [`Refusal::Conflict`] when it has
    /// ended, another session of the device has some, or it has another version;
    /// [`Refusal::TooLarge`] for too many details; as [`Commands::own_open`].
    pub async fn report(
        &self,
        session: &Session,
        id: &CommandId,
        report: Report,
    ) -> Result<Followed, Refusal> {
        check(report.details.as_ref())?;
        let device = session.device()?.clone();
        let (holder, pass) = (session.presence().id.clone(), session.pass());
        let waits = Arc::new(());
        let caller = Arc::downgrade(&waits);
        let (commands, id) = (self.clone(), id.clone());
        let stage = report.stage;
        let (followed, claim, told) = self
            .store
            .write(move |connection| {
                pass.check()?;
                let now = commands.clock.now();
                table::expire(connection, &device, now)?;
                let mut followed = commands.followed(connection, &device, &id)?;
                let held = commands.leases.standing(&device, &holder);
                may_report(connection, &followed, (&held, report.if_version))?;
                followed.course.say(report.details, now);
                followed.course.failed = report.stage == Stage::Failed;
                table::keep_course(connection, &followed)?;
                let seq = followed.command.seq;
                let Some(how) = report.stage.settlement() else {
                    let mut places = Vec::new();
                    if !held.has(seq) {
                        table::count_delivery(connection, &mut followed.command)?;
                        places.push(seq);
                    }
                    let claim = commands.leases.claim(&device, &holder, places, caller);
                    return Ok((followed, Some(claim), None));
                };
                followed.command.state = how.outcome();
                commands.leases.release(&device, seq);
                table::end(connection, &followed.command, how.outcome(), now)?;
                let more = table::has_open(connection, &device)?;
                Ok((followed, None, Some(commands.news(device, more))))
            })
            .await?;
        drop(told);
        if let Some(claim) = claim {
            return Ok(self.begun(followed, claim));
        }
        let became = match stage {
            Stage::Begun => "delivered",
            Stage::Completed => "completed",
            Stage::Failed | Stage::Rejected => "rejected",
        };
        self.tell(1, became);
        Ok(followed)
    }

    fn followed(
        &self,
        connection: &Connection,
        device: &DeviceId,
        id: &CommandId,
    ) -> Result<Followed, Refusal> {
        table::followed(connection, device, id, |id, sealed| {
            let opened = self.identity.vault().open_sealed(&place_of(id), sealed);
            Ok(Bytes::copy_from_slice(opened?.expose()))
        })
    }
}

impl Course {
    fn say(&mut self, details: Option<BTreeMap<String, String>>, now: Timestamp) {
        if let Some(details) = details {
            self.details = details;
        }
        self.version += 1;
        self.begun.get_or_insert(now);
        self.changed = Some(now);
    }
}

impl Standing {
    /// Whether the session has this one already.
    fn has(&self, seq: u64) -> bool {
        match self {
            Self::Own(held) => held.contains(&seq),
            Self::Foreign(_) => false,
        }
    }
}

fn may_report(
    connection: &Connection,
    followed: &Followed,
    (standing, if_version): (&Standing, Option<u64>),
) -> Result<(), Refusal> {
    const CHANGED: Refusal = Refusal::Conflict {
        what: "the command",
    };
    let command = &followed.command;
    match command.state {
        CommandState::Queued | CommandState::Delivered => {}
        CommandState::Completed
        | CommandState::Rejected
        | CommandState::Expired
        | CommandState::Cancelled => return Err(CHANGED),
    }
    if if_version.is_some_and(|version| version != followed.course.version) {
        return Err(CHANGED);
    }
    match standing {
        Standing::Foreign(held) if table::any_open(connection, &command.device, held)? => {
            Err(CHANGED)
        }
        Standing::Foreign(_) | Standing::Own(_) => Ok(()),
    }
}

fn check(details: Option<&BTreeMap<String, String>>) -> Result<(), Refusal> {
    let Some(details) = details else {
        return Ok(());
    };
    let bytes = details.iter().map(|(name, text)| name.len() + text.len());
    if details.len() > MAX_DETAILS || bytes.sum::<usize>() > MAX_DETAILS_BYTES {
        return Err(Refusal::TooLarge {
            what: "details of a command",
            limit: MAX_DETAILS as u64,
        });
    }
    Ok(())
}
