//! What devices are to do at times that are written down once.

use std::collections::BTreeMap;

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::payload::Payload;
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// Of which site it is; none when it is of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// When it comes, as crontab(5) has it.
    pub cron: String,
    /// The time zone whose clocks count.
    pub zone: String,
    /// Whether it is for all devices of its site.
    pub of_site: bool,
    /// How many devices it names.
    pub devices: u64,
    /// What they are to do.
    pub command: String,
    /// A media type, or empty.
    pub content_type: String,
    /// For how many seconds each command is worth doing.
    pub lasts: u64,
    /// What becomes of missed moments: `skip`, `once` or `all`.
    pub missed: String,
    /// Over how many seconds the devices are spread.
    pub spread: u64,
    /// Who made it.
    pub by: String,
    /// Since when it is there.
    pub created: String,
    /// Since when it is paused, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// When it comes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What the command carries; nothing in lists.
    #[serde(flatten)]
    pub payload: Payload,
}

/// A schedule to be made.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// When it comes.
    pub cron: String,
    /// The time zone whose clocks count.
    pub zone: String,
    /// For whom.
    pub whom: ScheduleFor,
    /// What they are to do.
    pub command: String,
    /// A media type, or empty.
    pub content_type: String,
    /// What the command carries.
    pub payload: Payload,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// For how many seconds each command is worth doing; a day when none.
    pub lasts: Option<u64>,
    /// What becomes of missed moments: `skip`, `once` or `all`.
    pub missed: String,
    /// Over how many seconds the devices are spread.
    pub spread: u64,
}

/// Which devices a schedule is for.
#[derive(Clone, Debug)]
pub enum ScheduleFor {
    /// These.
    Devices(Vec<String>),
    /// All that stand at a site when it comes.
    Site(String),
}

/// A moment of a schedule, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fired {
    /// Its name.
    pub id: String,
    /// When it was due.
    pub due: String,
    /// When the hub looked at it.
    pub at: String,
    /// What became of it: `fired`, `made-good`, `missed` or `overrun`.
    pub how: String,
    /// How many devices are how far.
    pub devices: BTreeMap<String, u64>,
}

/// A device of a firing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FiredDevice {
    /// Which.
    pub device: String,
    /// How far it is.
    pub outcome: String,
    /// Its command, if it has got one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// When it is to get it, as long as it waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// When that ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

#[derive(Deserialize)]
struct Upcoming {
    next: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    device: String,
}

impl Client {
    /// All schedules that the asker sees, by name, without their payloads.
    pub fn schedules(&self) -> impl Stream<Item = Result<Schedule, Error>> + use<> {
        pages::items(self, Ask::get(["api", "schedules"]))
    }

    /// Makes a schedule.
    ///
    /// # Errors
    /// As any request.
    pub async fn add_schedule(&self, new: &NewSchedule) -> Result<Schedule, Error> {
        let mut body = json!({
            "name": new.name, "cron": new.cron, "zone": new.zone, "command": new.command,
            "content_type": new.content_type, "properties": new.properties,
            "missed": new.missed, "spread": new.spread,
        });
        if let Value::Object(body) = &mut body {
            let (key, whom) = match &new.whom {
                ScheduleFor::Devices(devices) => ("devices", json!(devices)),
                ScheduleFor::Site(site) => ("site", json!(site)),
            };
            body.insert(key.to_owned(), whom);
            if let Some(lasts) = new.lasts {
                body.insert("lasts".to_owned(), lasts.into());
            }
            new.payload.put(body);
        }
        let ask = Ask::create(["api", "schedules"])?.json(&body);
        self.send(&ask).await?.json()
    }

    /// A schedule.
    ///
    /// # Errors
    /// As any request.
    pub async fn schedule(&self, name: &str) -> Result<Schedule, Error> {
        let ask = Ask::get(["api", "schedules", name]);
        self.send(&ask).await?.json()
    }

    /// The devices that a schedule names.
    pub fn schedule_devices(
        &self,
        name: &str,
    ) -> impl Stream<Item = Result<String, Error>> + use<> {
        use futures_util::TryStreamExt as _;
        let ask = Ask::get(["api", "schedules", name, "devices"]);
        pages::items(self, ask).map_ok(|named: Named| named.device)
    }

    /// When a schedule comes next, as the clocks of its zone show it.
    ///
    /// # Errors
    /// As any request.
    pub async fn upcoming(&self, name: &str, count: u32) -> Result<Vec<String>, Error> {
        let ask = Ask::get(["api", "schedules", name, "next"]).query("count", Some(count));
        let upcoming: Upcoming = self.send(&ask).await?.json()?;
        Ok(upcoming.next)
    }

    /// What became of a schedule's moments, the newest first.
    pub fn firings(&self, name: &str) -> impl Stream<Item = Result<Fired, Error>> + use<> {
        pages::items(self, Ask::get(["api", "schedules", name, "firings"]))
    }

    /// The devices of a firing.
    pub fn fired_devices(
        &self,
        name: &str,
        firing: &str,
    ) -> impl Stream<Item = Result<FiredDevice, Error>> + use<> {
        let ask = Ask::get(["api", "schedules", name, "firings", firing, "devices"]);
        pages::items(self, ask)
    }

    /// Lets a schedule come no more until it is resumed.
    ///
    /// # Errors
    /// As any request.
    pub async fn pause_schedule(&self, name: &str) -> Result<Schedule, Error> {
        let ask = Ask::post(["api", "schedules", name, "pause"]);
        self.send(&ask).await?.json()
    }

    /// Lets a schedule come again.
    ///
    /// # Errors
    /// As any request.
    pub async fn resume_schedule(&self, name: &str) -> Result<Schedule, Error> {
        let ask = Ask::post(["api", "schedules", name, "resume"]);
        self.send(&ask).await?.json()
    }

    /// Removes a schedule with its history.
    ///
    /// # Errors
    /// As any request.
    pub async fn remove_schedule(&self, name: &str) -> Result<(), Error> {
        let ask = Ask::delete(["api", "schedules", name]);
        self.send(&ask).await.map(drop)
    }
}
