//! Commands: a durable queue a device, in order, at least once until settled or expired.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast;

use crate::acting;
use crate::announcement::Announcement;
use crate::clock::{Clock, Timestamp};
use crate::happening::{Happening, Hook};
use crate::id::{CommandId, DeviceId, SessionId};
use crate::identity::{Actor, Identity, Listed, MAX_PAGE, Page};
use crate::limits::{check_content_type, check_payload, check_properties};
use crate::refusal::Refusal;
use crate::reminders::Reminders;
use crate::secret::Secret;
use crate::sessions::{Session, Sessions, Signal};
use crate::store::Store;

use leases::{Leases, Standing};

pub(crate) mod checks;
mod course;
mod leases;
mod table;

pub(crate) use course::SCHEMA as COURSE_SCHEMA;
pub use course::{Course, Followed, Report, Stage};
pub(crate) use table::{SCHEMA, SEALED_SCHEMA, cancel_all, count_open, last_expiry};

/// The most open commands of one device.
pub const MAX_OPEN: u64 = 1_000;

/// The most bytes of payload of all open commands of one device.
pub const MAX_OPEN_BYTES: u64 = 16 * 1024 * 1024;

/// The most commands that a session takes at once.
pub const MAX_TAKEN: u32 = 100;

/// For how long a command may be worth doing.
pub const LASTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// The most changes that somebody who looks on may lag behind before they miss some.
const MAX_UNSEEN_CHANGES: usize = 1_024;

/// What a device is to do.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// What to do: a path of 1 to 128 bytes.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload: at most 64, 8 KiB together.
    pub properties: BTreeMap<String, String>,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
    /// For how long it is worth doing; 1 second to 30 days.
    pub lasts: Duration,
}

/// Where a command is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandState {
    /// In the queue, for the first time or again.
    Queued,
    /// Given to a live session, not settled yet.
    Delivered,
    /// The device has taken it.
    Completed,
    /// The device has refused it.
    Rejected,
    /// Nobody took it in time.
    Expired,
    /// An operator took it back.
    Cancelled,
}

/// How a device settles a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Taken.
    Completed,
    /// Refused, never to be offered again.
    Rejected,
    /// Not now: back to the front of the queue.
    Abandoned,
}

/// A command as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    /// Its name.
    pub id: CommandId,
    /// Its place among the device's commands: goes up.
    pub seq: u64,
    /// For whom.
    pub device: DeviceId,
    /// What to do.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// The payload; empty once the command has ended.
    #[serde(skip)]
    pub payload: Bytes,
    /// Where it is in its life.
    pub state: CommandState,
    /// How often it was given to a session.
    pub deliveries: u32,
    /// Since when.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// When it was settled, expired or cancelled.
    pub ended: Option<Timestamp>,
}

/// The commands of all devices.
///
/// A device gets its commands in the order in which they were sent, through one of its sessions at
/// a time: as long as a session that may act has one that is not settled, no other session gets a
/// later one. What a session had not settled when it ended goes to the next that asks.
#[derive(Clone, Debug)]
pub struct Commands {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    leases: Leases,
    reminders: Reminders,
    /// Who has the vault for what is sealed.
    identity: Identity,
    hook: Hook,
    changed: broadcast::Sender<DeviceId>,
}

impl Commands {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        sessions: Sessions,
        reminders: Reminders,
        identity: Identity,
        hook: Hook,
    ) -> Self {
        Self {
            hook,
            identity,
            reminders,
            leases: Leases::new(sessions.clone()),
            store,
            clock,
            sessions,
            changed: broadcast::Sender::new(MAX_UNSEEN_CHANGES),
        }
    }

    /// Puts a command in a device's queue and tells its sessions. It is on the disk when this
    /// returns.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Invalid`], [`Refusal::TooLarge`];
    /// [`Refusal::Limited`] when the device's queue is full ([`MAX_OPEN`], [`MAX_OPEN_BYTES`]);
    /// as the store.
    pub async fn send(
        &self,
        actor: &Actor,
        device: &DeviceId,
        command: NewCommand,
    ) -> Result<Command, Refusal> {
        self.queue(actor, device, command, false).await
    }

    /// As [`Commands::send`], of a payload with a secret in it: sealed on the disk and told to the
    /// device alone; whoever else looks at the command sees an empty payload.
    ///
    /// # Errors
    /// As [`Commands::send`].
    pub async fn send_sealed(
        &self,
        actor: &Actor,
        device: &DeviceId,
        command: NewCommand,
    ) -> Result<Command, Refusal> {
        self.queue(actor, device, command, true).await
    }

    async fn queue(
        &self,
        actor: &Actor,
        device: &DeviceId,
        mut command: NewCommand,
        sealed: bool,
    ) -> Result<Command, Refusal> {
        command.check()?;
        let id = CommandId::made_up()?;
        if sealed {
            let payload = Secret::new(command.payload.to_vec());
            let vault = self.identity.vault();
            command.payload = vault.seal(&place_of(&id), &payload)?.into();
        }
        let (commands, actor, device) = (self.clone(), actor.clone(), device.clone());
        let (sent, told) = self
            .store
            .write_bulk(command.payload.len(), move |connection| {
                let now = commands.clock.now();
                let detail = json!({"command": id.as_str(), "name": command.name});
                acting::act(connection, &actor, &device, (now, "command.send"), &detail)?;
                table::tidy(connection, now)?;
                commands.insert(connection, &device, &id, (&command, sealed), now)
            })
            .await?;
        drop(told);
        self.tell(1, "sent");
        Ok(sent)
    }

    /// Puts a command in a device's queue, as part of a write. It is told when the second result is
    /// dropped; that it was sent, by [`Commands::tell_sent`].
    pub(crate) fn put(
        &self,
        connection: &Connection,
        device: &DeviceId,
        id: &CommandId,
        command: &NewCommand,
        now: Timestamp,
    ) -> Result<(Command, impl Send + use<>), Refusal> {
        table::tidy(connection, now)?;
        self.insert(connection, device, id, (command, false), now)
    }

    /// Counts commands that were put in queues.
    pub(crate) fn tell_sent(&self, count: usize) {
        if count > 0 {
            self.tell(count, "sent");
        }
    }

    fn insert(
        &self,
        connection: &Connection,
        device: &DeviceId,
        id: &CommandId,
        command: (&NewCommand, bool),
        now: Timestamp,
    ) -> Result<(Command, impl Send + use<>), Refusal> {
        let sent = table::insert(connection, device, id, command, now)?;
        let name = &command.0.name;
        let noted = self.reminders.note(connection, device, name, now)?;
        Ok((sent, (self.news(device.clone(), true), noted)))
    }

    /// The next commands for the device of `session`, in order, at most `limit` and at most
    /// [`MAX_TAKEN`]; they are this session's until settled or it ends. Those that it has already
    /// are not given again. None when another live session of the device has some: this session is
    /// told by [`Signal::Commands`] when it may ask again.
    ///
    /// When the caller stops waiting for this, nothing has been taken.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when the session is not a device's; [`Refusal::Revoked`],
    /// [`Refusal::Draining`] when it has ended; as the store.
    pub async fn take(&self, session: &Session, limit: u32) -> Result<Vec<Command>, Refusal> {
        let device = session.device()?.clone();
        let (id, pass) = (session.presence().id.clone(), session.pass());
        let waits = Arc::new(());
        let caller = Arc::downgrade(&waits);
        let commands = self.clone();
        let (mut taken, claim) = self
            .store
            .write(move |connection| {
                pass.check()?;
                table::expire(connection, &device, commands.clock.now())?;
                let held = match commands.leases.standing(&device, &id) {
                    Standing::Own(held) => held,
                    Standing::Foreign(held) if table::any_open(connection, &device, &held)? => {
                        let none = commands.leases.claim(&device, &id, Vec::new(), caller);
                        return Ok((Vec::new(), none));
                    }
                    Standing::Foreign(_) => std::collections::BTreeSet::new(),
                };
                let open = |id: &CommandId, sealed: &[u8]| {
                    let opened = commands.identity.vault().open_sealed(&place_of(id), sealed);
                    Ok(Bytes::copy_from_slice(opened?.expose()))
                };
                let limit = limit.min(MAX_TAKEN);
                let taken = table::deliver(connection, &device, &held, limit, open)?;
                let places = taken.iter().map(|command| command.seq).collect();
                let claim = commands.leases.claim(&device, &id, places, caller);
                Ok((taken, claim))
            })
            .await?;
        claim.keep();
        if let Some(first) = taken.first() {
            // Nobody may be looking on.
            let _ = self.changed.send(first.device.clone());
            self.tell(taken.len(), "delivered");
        }
        for command in &mut taken {
            command.state = CommandState::Delivered;
        }
        Ok(taken)
    }

    /// Settles a command that this session has taken, or that an earlier session of the same
    /// device has taken and no other session has now. It is on the disk when this returns.
    /// Settling again in the same way does nothing. Once it has been polled it goes on even when
    /// nobody waits for it any more, also when the session's connection is closed meanwhile.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the device has no such command; [`Refusal::Conflict`] when it
    /// was never delivered, another session has it, it is settled otherwise, has expired or was
    /// cancelled; [`Refusal::Revoked`], [`Refusal::Draining`] when the session has ended; as the
    /// store.
    pub fn settle(
        &self,
        session: &Session,
        id: &CommandId,
        how: Settlement,
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        let (commands, id, device) = (self.clone(), id.clone(), session.device().cloned());
        let (holder, pass) = (session.presence().id.clone(), session.pass());
        async move {
            let (noting, device) = (commands.clone(), device?);
            let told = commands
                .store
                .write(move |connection| {
                    pass.check()?;
                    noting.settled(connection, (&device, &holder), &id, how)
                })
                .await?;
            drop(told);
            let became = match how {
                Settlement::Completed => "completed",
                Settlement::Rejected => "rejected",
                Settlement::Abandoned => "abandoned",
            };
            commands.tell(1, became);
            Ok(())
        }
    }

    /// Settles a command for `holder`, and gives what is to be told of it; nothing when that was so
    /// already.
    fn settled(
        &self,
        connection: &Connection,
        (device, holder): (&DeviceId, &SessionId),
        id: &CommandId,
        how: Settlement,
    ) -> Result<Option<impl Send + use<>>, Refusal> {
        let now = self.clock.now();
        table::expire(connection, device, now)?;
        let command = table::one(connection, device, id)?;
        let Some(outcome) = how.of(&command)? else {
            return Ok(None);
        };
        if let Standing::Foreign(held) = self.leases.standing(device, holder)
            && held.contains(&command.seq)
        {
            return Err(Refusal::Conflict {
                what: "the command",
            });
        }
        self.leases.release(device, command.seq);
        if outcome != CommandState::Queued {
            table::end(connection, &command, outcome, now)?;
        }
        let more = table::has_open(connection, device)?;
        Ok(Some(self.news(device.clone(), more)))
    }

    /// Lists a device's commands, newest first. `page.after` is the place of the oldest seen so
    /// far. Those that have ended are listed for 7 days, at most 1,000 of them.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Invalid`]; as the store.
    pub async fn list(
        &self,
        actor: &Actor,
        device: &DeviceId,
        page: &Page,
    ) -> Result<Listed<Command>, Refusal> {
        let before = match &page.after {
            Some(text) => text
                .parse::<u64>()
                .ok()
                .filter(|place| i64::try_from(*place).is_ok())
                .ok_or_else(|| Refusal::invalid("after", "what `next` was"))?,
            None => i64::MAX.cast_unsigned(),
        };
        let limit = page.limit.clamp(1, MAX_PAGE);
        let (actor, id) = (actor.clone(), device.clone());
        let (mut items, more) = self
            .store
            .read(move |connection| {
                acting::may_see(connection, &actor, &id)?;
                table::before(connection, &id, before, limit)
            })
            .await?;
        let next = items.last().filter(|_| more).map(|last| last.seq);
        self.date(device, &mut items);
        Ok(Listed {
            items,
            next: next.map(|place| place.to_string()),
        })
    }

    /// Gives one command.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; as the store.
    pub async fn get(
        &self,
        actor: &Actor,
        device: &DeviceId,
        id: &CommandId,
    ) -> Result<Command, Refusal> {
        let (actor, whose, id) = (actor.clone(), device.clone(), id.clone());
        let mut command = self
            .store
            .read(move |connection| {
                acting::may_see(connection, &actor, &whose)?;
                table::one(connection, &whose, &id)
            })
            .await?;
        self.date(device, std::slice::from_mut(&mut command));
        Ok(command)
    }

    /// Takes back a command that is not settled. A device that has it already may do it all the
    /// same; its settlement is refused. Cancelling again does nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::Conflict`] when it is settled or
    /// has expired; as the store.
    pub async fn cancel(
        &self,
        actor: &Actor,
        device: &DeviceId,
        id: &CommandId,
    ) -> Result<Command, Refusal> {
        let (commands, actor) = (self.clone(), actor.clone());
        let (device, id) = (device.clone(), id.clone());
        let (cancelled, told) = self
            .store
            .write(move |connection| {
                let now = commands.clock.now();
                let detail = json!({"command": id.as_str()});
                acting::act(
                    connection,
                    &actor,
                    &device,
                    (now, "command.cancel"),
                    &detail,
                )?;
                table::expire(connection, &device, now)?;
                let command = table::one(connection, &device, &id)?;
                match command.state {
                    CommandState::Cancelled => return Ok((command, None)),
                    CommandState::Queued | CommandState::Delivered => {}
                    CommandState::Completed | CommandState::Rejected | CommandState::Expired => {
                        return Err(Refusal::Conflict {
                            what: "the command",
                        });
                    }
                }
                commands.leases.release(&device, command.seq);
                table::end(connection, &command, CommandState::Cancelled, now)?;
                let cancelled = table::one(connection, &device, &id)?;
                Ok((cancelled, Some(commands.news(device, true))))
            })
            .await?;
        drop(told);
        self.tell(1, "cancelled");
        Ok(cancelled)
    }

    /// Takes back all commands of a device that are not settled. Returns how many.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`]; as the store.
    pub async fn cancel_all(&self, actor: &Actor, device: &DeviceId) -> Result<usize, Refusal> {
        let (commands, actor, device) = (self.clone(), actor.clone(), device.clone());
        let (count, told) = self
            .store
            .write(move |connection| {
                let act = (commands.clock.now(), "command.cancel-all");
                acting::act(connection, &actor, &device, act, &json!({}))?;
                let count = cancel_all(connection, &device, act.0)?;
                Ok((count, commands.news(device, true)))
            })
            .await?;
        drop(told);
        self.tell(count, "cancelled");
        Ok(count)
    }

    fn tell(&self, count: usize, became: &'static str) {
        self.hook.tell(&Happening::Commands { count, became });
    }

    /// What has changed in any queue: its device's name, to those who look on. Who lags behind too
    /// far is told so by the receiver, and reads again what they look at. That a command has
    /// expired, or that the session which had it has ended, is not told.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<DeviceId> {
        self.changed.subscribe()
    }

    /// Tells those who look on, once it is dropped, that the queue of `device` has changed; and the
    /// device's sessions to look at it if there is something `to_take`.
    fn news(&self, device: DeviceId, to_take: bool) -> Announcement<impl FnMut() + Send + use<>> {
        let (sessions, changed) = (self.sessions.clone(), self.changed.clone());
        Announcement::new(move || {
            if to_take {
                sessions.signal(&device, &Signal::Commands);
            }
            // Nobody may be looking on.
            let _ = changed.send(device.clone());
        })
    }

    /// Brings what was read up to now: what a session has, and what has expired meanwhile.
    fn date(&self, device: &DeviceId, commands: &mut [Command]) {
        let now = self.clock.now();
        let delivered = self.leases.delivered(device);
        for command in commands {
            if command.state != CommandState::Queued {
                continue;
            }
            if command.expires <= now {
                command.state = CommandState::Expired;
                command.ended = Some(command.expires);
                command.payload = Bytes::new();
            } else if delivered.contains(&command.seq) {
                command.state = CommandState::Delivered;
            }
        }
    }
}

/// Where the payload of a command is sealed for.
fn place_of(id: &CommandId) -> String {
    format!("command/{id}")
}

impl NewCommand {
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        checks::path("name", &self.name)?;
        check_content_type(&self.content_type)?;
        check_properties(&self.properties)?;
        check_payload(&self.payload)?;
        if !LASTS.contains(&self.lasts) {
            return Err(Refusal::invalid("lasts", "1 second to 30 days"));
        }
        Ok(())
    }
}

impl Settlement {
    fn outcome(self) -> CommandState {
        match self {
            Self::Completed => CommandState::Completed,
            Self::Rejected => CommandState::Rejected,
            Self::Abandoned => CommandState::Queued,
        }
    }

    /// What becomes of `command`, as it is on the disk; `None` when that is so already.
    fn of(self, command: &Command) -> Result<Option<CommandState>, Refusal> {
        let outcome = self.outcome();
        match command.state {
            CommandState::Queued | CommandState::Delivered if command.deliveries > 0 => {
                Ok(Some(outcome))
            }
            state if state == outcome => Ok(None),
            CommandState::Queued
            | CommandState::Delivered
            | CommandState::Completed
            | CommandState::Rejected
            | CommandState::Expired
            | CommandState::Cancelled => Err(Refusal::Conflict {
                what: "the command",
            }),
        }
    }
}
