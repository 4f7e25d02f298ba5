//! Schedules: commands that are sent to devices at times that are written down once.
//!
//! A schedule comes at moments ([`next`]). Each of them is claimed in one write, with the devices
//! that it is for; each of these gets its command in one write with the note that it has it. So a
//! moment comes once and a device gets one command of it, whenever the hub is killed and however
//! many look at the same store; and what was claimed is sent when the hub is there again.
//!
//! A moment that is more than [`LATE`] ago when it is looked at was missed: the hub was down. What
//! becomes of those is the schedule's [`Missed`]. From then on a firing's commands are commands
//! like any other: queued, delivered, settled or expired. How each ended is kept in the history.

use std::time::Duration;

use bytes::Bytes;
use outgate_wire::cron::{Cron, CronError};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use crate::acting;
use crate::announcement::Announcement;
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::commands::{Commands, NewCommand};
use crate::happening::Hook;
use crate::id::{DeviceId, ScheduleName, SiteId};
use crate::identity::{Actor, Listed, Page, Role, device_seen_by, words};
use crate::refusal::Refusal;
use crate::store::Store;

mod firing;
mod history;
mod moments;
mod table;

pub use history::{Counts, Fired, FiredDevice, Outcome};
pub use moments::{Zone, next};
pub(crate) use table::{SCHEMA, forget_all};

/// The most schedules of a hub.
pub const MAX_SCHEDULES: u64 = 256;

/// The most devices that a schedule names.
pub const MAX_NAMED: usize = 1_000;

/// The most devices of a firing; of a site with more, the first by name.
pub const MAX_DEVICES: usize = 10_000;

/// The most firings of a schedule that are kept; the oldest go first.
pub const MAX_FIRINGS: u64 = 100;

/// The most devices of all firings that are kept, of all schedules together.
pub const MAX_FIRED: u64 = 1_000_000;

/// How late a moment may be before it counts as missed.
pub const LATE: Duration = Duration::from_secs(60);

/// The most missed moments in a row that are made good.
pub const MAX_MADE_GOOD: u64 = 100;

/// The longest time over which a firing's devices are spread.
pub const MAX_SPREAD: Duration = Duration::from_secs(24 * 3600);

/// The most moments to come that are told at once.
pub const MAX_UPCOMING: u32 = 100;

/// What becomes of moments that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are left out.
    Skip,
    /// The first of those in a row is made good; the others are left out.
    Once,
    /// Each is made good, one after the other: at most [`MAX_MADE_GOOD`] in a row.
    All,
}

words!(Missed { Skip => "skip", Once => "once", All => "all" });

/// What became of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its devices get their commands.
    Fired,
    /// So they do, though it was missed.
    MadeGood,
    /// It was missed, and so were those after it until this was noted.
    Missed,
    /// It was left out: the one before it had still devices to come.
    Overrun,
}

words!(How {
    Fired => "fired",
    MadeGood => "made-good",
    Missed => "missed",
    Overrun => "overrun",
});

/// Which devices a schedule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// These: 1 to [`MAX_NAMED`].
    Devices(Vec<DeviceId>),
    /// All that stand at a site when it comes.
    Site(SiteId),
}

/// A schedule to be made.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// Its name, one in the whole hub.
    pub name: ScheduleName,
    /// When it comes.
    pub cron: Cron,
    /// By which clock.
    pub zone: Zone,
    /// For whom.
    pub whom: Whom,
    /// What they are to do. Its time begins for each device when that is to get it.
    pub command: NewCommand,
    /// What becomes of what was missed.
    pub missed: Missed,
    /// Over how long its devices are spread: each has a place in it that stays the same. At most
    /// [`MAX_SPREAD`].
    pub spread: Duration,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: ScheduleName,
    /// Of which site it is: who sees one site alone sees those of that site. None for those of
    /// who sees all sites.
    pub site: Option<SiteId>,
    /// When it comes, as it was written.
    pub cron: String,
    /// By which clock: the name of a zone.
    pub zone: String,
    /// Whether it is for all devices of its site.
    pub is_of_site: bool,
    /// How many devices it names; none when it is for all of its site.
    pub devices: u64,
    /// What they are to do: a command's name.
    pub command: String,
    /// The media type of its payload, or empty.
    pub content_type: String,
    /// The payload; empty in lists.
    pub payload: Bytes,
    /// For how long each command is worth doing.
    pub lasts: Duration,
    /// What becomes of what was missed.
    pub missed: Missed,
    /// Over how long its devices are spread.
    pub spread: Duration,
    /// Who made it.
    pub by: String,
    /// Since when it is there.
    pub created: Timestamp,
    /// Since when it is paused, if so.
    pub paused: Option<Timestamp>,
    /// When it comes next; nothing while it is paused.
    pub next: Option<Timestamp>,
}

/// All schedules.
#[derive(Clone, Debug)]
pub struct Schedules {
    store: Store,
    clock: Clock,
    commands: Commands,
    hook: Hook,
    changed: watch::Sender<()>,
}

impl Schedules {
    pub(crate) fn new(store: Store, clock: Clock, commands: Commands, hook: Hook) -> Self {
        let changed = watch::Sender::new(());
        Self {
            store,
            clock,
            commands,
            hook,
            changed,
        }
    }

    /// Makes a schedule.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; [`Refusal::NotFound`] for a device or a site that there
    /// is not, or that `actor` does not see; [`Refusal::Invalid`], also for what never comes;
    /// [`Refusal::TooLarge`]; [`Refusal::Exists`]; [`Refusal::TooMany`] beyond [`MAX_SCHEDULES`] or
    /// [`MAX_NAMED`]; as the store.
    pub async fn add_schedule(&self, actor: &Actor, new: NewSchedule) -> Result<Schedule, Refusal> {
        actor.require(Role::Operator, "making a schedule")?;
        new.check()?;
        let now = self.clock.now();
        let due = next(&new.cron, &new.zone, now);
        let due = due.ok_or_else(|| Refusal::invalid("cron", "a time that comes"))?;
        let (schedules, actor) = (self.clone(), actor.clone());
        let made = move |connection: &Connection| {
            actor.check()?;
            let (site, devices) = new.whom.seen_by(connection, &actor)?;
            let whom = (site.as_ref(), devices.as_slice());
            table::insert(connection, &new, whom, (&actor.name(), now, due))?;
            let detail = json!({
                "cron": new.cron.as_str(), "zone": new.zone.as_str(),
                "command": new.command.name, "devices": devices.len(), "site": site,
            });
            let on = on(&new.name);
            audit::append(connection, now, &actor, "schedule.add", &on, &detail)?;
            let made = table::find(connection, &actor, &new.name)?;
            Ok((made.schedule, schedules.news()))
        };
        let (made, told) = self.store.write_bulk(0, made).await?;
        drop(told);
        Ok(made)
    }

    /// Lists schedules by name, without their payloads.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when `page` is no good; as the store.
    pub async fn list(&self, actor: &Actor, page: &Page) -> Result<Listed<Schedule>, Refusal> {
        let (actor, page, fetch) = (actor.clone(), page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                let found = table::after(connection, &actor, page.after(), fetch)?;
                Ok(Listed::of(found, &page, |one| one.name.to_string()))
            })
            .await
    }

    /// A schedule.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when there is none such, or none that `actor` sees; as the store.
    pub async fn get(&self, actor: &Actor, name: &ScheduleName) -> Result<Schedule, Refusal> {
        let (actor, name) = (actor.clone(), name.clone());
        self.store
            .read(move |connection| Ok(table::find(connection, &actor, &name)?.schedule))
            .await
    }

    /// Lists the devices that a schedule names, by name.
    ///
    /// # Errors
    /// As [`Schedules::get`]; [`Refusal::Invalid`] when `page` is no good.
    pub async fn named(
        &self,
        actor: &Actor,
        name: &ScheduleName,
        page: &Page,
    ) -> Result<Listed<DeviceId>, Refusal> {
        let (actor, name) = (actor.clone(), name.clone());
        let (page, fetch) = (page.clone(), page.fetch()?);
        self.store
            .read(move |connection| {
                let found = table::find(connection, &actor, &name)?;
                let devices = table::named_after(connection, found.seq, page.after(), fetch)?;
                Ok(Listed::of(devices, &page, ToString::to_string))
            })
            .await
    }

    /// When a schedule comes next: the first `count` moments from now, 1 to [`MAX_UPCOMING`],
    /// as the clock on the wall shows them. Told for one that is paused as well.
    ///
    /// # Errors
    /// As [`Schedules::get`]; [`Refusal::Invalid`] for another count.
    pub async fn upcoming(
        &self,
        actor: &Actor,
        name: &ScheduleName,
        count: u32,
    ) -> Result<Vec<String>, Refusal> {
        if !(1..=MAX_UPCOMING).contains(&count) {
            let right = format!("1 to {MAX_UPCOMING}");
            return Err(Refusal::invalid("count", right));
        }
        let found = self.get(actor, name).await?;
        let (cron, zone) = (read_cron(&found.cron)?, found.zone.parse::<Zone>()?);
        let first = next(&cron, &zone, self.clock.now());
        let all = std::iter::successors(first, |last| next(&cron, &zone, *last));
        let count = count as usize;
        Ok(all.take(count).map(|moment| zone.shown(moment)).collect())
    }

    /// Pauses a schedule: it does not come until it is resumed, and what is left out meanwhile
    /// does not count as missed. Pausing it again does nothing.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers; as [`Schedules::get`].
    pub async fn pause(&self, actor: &Actor, name: &ScheduleName) -> Result<Schedule, Refusal> {
        self.switch(actor, name, "schedule.pause").await
    }

    /// Lets a schedule come again from now on.
    ///
    /// # Errors
    /// As [`Schedules::pause`].
    pub async fn resume(&self, actor: &Actor, name: &ScheduleName) -> Result<Schedule, Refusal> {
        self.switch(actor, name, "schedule.resume").await
    }

    async fn switch(
        &self,
        actor: &Actor,
        name: &ScheduleName,
        act: &'static str,
    ) -> Result<Schedule, Refusal> {
        actor.require(Role::Operator, act)?;
        let (schedules, actor, name) = (self.clone(), actor.clone(), name.clone());
        let switched = move |connection: &Connection| {
            actor.check()?;
            let now = schedules.clock.now();
            let found = table::find(connection, &actor, &name)?;
            let is_paused = found.schedule.paused.is_some();
            if act == "schedule.pause" && !is_paused {
                table::pause(connection, found.seq, now)?;
            } else if act == "schedule.resume" && is_paused {
                let (cron, zone) = found.timing()?;
                table::put_on(connection, found.seq, next(&cron, &zone, now), 0)?;
            }
            audit::append(connection, now, &actor, act, &on(&name), &json!({}))?;
            let switched = table::find(connection, &actor, &name)?.schedule;
            Ok((switched, schedules.news()))
        };
        let (switched, told) = self.store.write(switched).await?;
        drop(told);
        Ok(switched)
    }

    /// Removes a schedule with its history. Commands that it has sent stay; what it had still to
    /// send is not sent.
    ///
    /// # Errors
    /// As [`Schedules::pause`].
    pub async fn remove_schedule(&self, actor: &Actor, name: &ScheduleName) -> Result<(), Refusal> {
        actor.require(Role::Operator, "removing a schedule")?;
        let (actor, name, now) = (actor.clone(), name.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                actor.check()?;
                let found = table::find(connection, &actor, &name)?;
                table::remove(connection, found.seq)?;
                let act = "schedule.remove";
                audit::append(connection, now, &actor, act, &on(&name), &json!({}))
            })
            .await
    }

    /// That there may be something due sooner than was said.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn news(&self) -> Announcement<impl FnMut() + Send + use<>> {
        let changed = self.changed.clone();
        Announcement::new(move || {
            changed.send_replace(());
        })
    }
}

impl NewSchedule {
    fn check(&self) -> Result<(), Refusal> {
        self.command.check()?;
        if self.spread > MAX_SPREAD {
            return Err(Refusal::invalid("spread", "at most 24 hours"));
        }
        Ok(())
    }
}

impl Whom {
    /// The site that a schedule of `actor` for these is of, and the devices that are named, each
    /// once, in order.
    fn seen_by(
        &self,
        connection: &Connection,
        actor: &Actor,
    ) -> Result<(Option<SiteId>, Vec<DeviceId>), Refusal> {
        match self {
            Self::Site(site) => {
                acting::may_see_site(connection, actor, site)?;
                Ok((Some(site.clone()), Vec::new()))
            }
            Self::Devices(named) => {
                let mut named = named.clone();
                named.sort();
                named.dedup();
                if named.is_empty() {
                    return Err(Refusal::invalid("devices", "at least one, or a site"));
                }
                if named.len() > MAX_NAMED {
                    let (what, limit) = ("devices that a schedule names", MAX_NAMED as u64);
                    return Err(Refusal::TooMany { what, limit });
                }
                for device in &named {
                    device_seen_by(connection, actor, device)?;
                }
                Ok((actor.scope.site().cloned(), named))
            }
        }
    }
}

/// Reads when a schedule comes.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn read_cron(text: &str) -> Result<Cron, Refusal> {
    let wrong = |error: CronError| Refusal::invalid("cron", error.to_string());
    text.parse().map_err(wrong)
}

/// How a schedule is called in the audit log.
fn on(name: &ScheduleName) -> String {
    format!("schedule/{name}")
}
