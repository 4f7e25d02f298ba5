//! Schedules, and what became of their moments.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::Timestamp;
use outgate_core::id::DeviceId;
use outgate_core::schedules;

use super::Payload;

/// What becomes of moments that were missed: left out, the first in a row made good, or each.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "only its description is used, for the policy is the core's"
)]
pub(crate) enum Missed {
    /// They are left out.
    Skip,
    /// The first in a row is made good.
    Once,
    /// Each is made good, at most 100 in a row.
    All,
}

/// What devices are to do, and when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    /// Its name.
    #[schema(value_type = crate::api::names::Name, example = "reload")]
    name: String,
    /// Of which site it is; absent when it is of all.
    #[schema(value_type = Option<crate::api::names::Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// When it comes.
    #[schema(example = "0 2 * * *")]
    cron: String,
    /// The time zone whose clocks count.
    #[schema(example = "Europe/Stockholm")]
    zone: String,
    /// Whether it is for all devices of its site.
    of_site: bool,
    /// How many devices it names; none when it is for all of its site.
    devices: u64,
    /// What they are to do.
    #[schema(example = "reload")]
    command: String,
    /// A media type, or empty.
    content_type: String,
    #[serde(flatten)]
    payload: Payload,
    /// For how many seconds each command is worth doing.
    lasts: u64,
    /// What becomes of moments that were missed.
    #[schema(value_type = Missed)]
    missed: &'static str,
    /// Over how many seconds the devices are spread.
    spread: u64,
    /// Who made it.
    by: String,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Since when it is paused, if so.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<Timestamp>,
    /// When it comes next; absent while it is paused.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
}

impl From<schedules::Schedule> for Schedule {
    fn from(schedule: schedules::Schedule) -> Self {
        Self {
            payload: Payload::new(&schedule.content_type, &schedule.payload),
            name: schedule.name.into(),
            site: schedule.site.map(Into::into),
            cron: schedule.cron,
            zone: schedule.zone,
            of_site: schedule.is_of_site,
            devices: schedule.devices,
            command: schedule.command,
            content_type: schedule.content_type,
            lasts: schedule.lasts.as_secs(),
            missed: schedule.missed.as_str(),
            spread: schedule.spread.as_secs(),
            by: schedule.by,
            created: schedule.created,
            paused: schedule.paused,
            next: schedule.next,
        }
    }
}

/// A device that a schedule names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamedDevice {
    /// Which.
    #[schema(value_type = crate::api::names::Name)]
    device: String,
}

impl From<DeviceId> for NamedDevice {
    fn from(device: DeviceId) -> Self {
        Self {
            device: device.into(),
        }
    }
}

/// When a schedule comes next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upcoming {
    /// Moments as the clocks of its zone show them.
    #[schema(example = json!(["2026-11-24T02:00:00+01:00"]))]
    pub(crate) next: Vec<String>,
}

/// A moment of a schedule, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fired {
    /// Its name.
    #[schema(value_type = crate::api::names::Name, example = "fi-0123456789abcdefghjk")]
    id: String,
    /// When it was due.
    #[schema(value_type = String, format = DateTime)]
    due: Timestamp,
    /// When the hub looked at it.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What became of it: `fired`, `made-good` (it was missed), `missed` (and all until the next
    /// was, too) or `overrun` (devices of the one before were still to come).
    #[schema(example = "fired")]
    how: &'static str,
    /// How many devices are how far.
    #[schema(example = json!({"completed": 12, "queued": 3}))]
    devices: BTreeMap<String, u64>,
}

impl From<schedules::Fired> for Fired {
    fn from(fired: schedules::Fired) -> Self {
        let counts = fired.counts.into_iter();
        Self {
            id: fired.id.into(),
            due: fired.due,
            at: fired.at,
            how: fired.how.as_str(),
            devices: counts
                .map(|(outcome, count)| (outcome.as_str().to_owned(), count))
                .collect(),
        }
    }
}

/// A device of a firing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiredDevice {
    /// Which.
    #[schema(value_type = crate::api::names::Name)]
    device: String,
    /// How far it is: `waiting`, `queued`, `delivered`; and at the end `completed`, `rejected`,
    /// `expired`, `cancelled`, `revoked` or `queue-full`.
    #[schema(example = "completed")]
    outcome: &'static str,
    /// Its command, if it has got one.
    #[schema(value_type = Option<crate::api::names::Name>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// When it is to get it, as long as it waits for it.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// When that ended, if it has.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
}

impl From<schedules::FiredDevice> for FiredDevice {
    fn from(fired: schedules::FiredDevice) -> Self {
        Self {
            device: fired.device.into(),
            outcome: fired.outcome.as_str(),
            command: fired.command.map(Into::into),
            due: fired.due,
            ended: fired.ended,
        }
    }
}
